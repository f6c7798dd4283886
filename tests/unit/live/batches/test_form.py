"""The upload of a file: what of its form is wanted, and what is refused."""

import pytest

from proxy.live.batches.form import TakenForm, take_form
from proxy.live.downstream.upload import Upload
from proxy.model.faults import FaultError, Kind

TYPE = b"multipart/form-data; boundary=b"


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    more = "" if filename is None else f'; filename="{filename}"'
    return b'--b\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name.encode(), more.encode(), value)


PURPOSE, FILE, END = part("purpose", b"batch"), part("file", b"data", "../x/a.jsonl"), b"--b--\r\n"


async def taken(*pieces: bytes, cut: bool = False) -> tuple[TakenForm, bytes]:
    upload, got = Upload(-1), bytearray()
    for piece in pieces:
        upload.feed(piece)
    if cut:
        upload.cut()
    else:
        upload.end()

    async def write(data: bytes) -> None:
        got.extend(data)

    return await take_form(upload, TYPE, 5.0, write), bytes(got)


async def test_a_form() -> None:
    anchor, seconds = part("expires_after[anchor]", b"created_at"), part("expires_after[seconds]", b"3600")
    form, data = await taken(PURPOSE, anchor, seconds, FILE, END)
    assert (form.purpose, form.filename, data, form.expires(100)) == ("batch", "a.jsonl", b"data", 3700)
    form, data = await taken(FILE + PURPOSE, END)
    assert form.expires(100) is None


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ((PURPOSE, END), "`file` is missing"),
        ((FILE, END), "`purpose`"),
        ((PURPOSE, FILE), "no end"),
        ((PURPOSE, FILE, FILE, END), "more than one file"),
        ((part("purpose", b"x" * 5000), FILE, END), "longer than"),
        ((PURPOSE, part("expires_after[seconds]", b"3600"), FILE, END), "expires_after"),
        (
            (
                PURPOSE,
                part("expires_after[anchor]", b"created_at"),
                part("expires_after[seconds]", b"5"),
                FILE,
                END,
            ),
            "from 3600",
        ),
    ],
)
async def test_what_is_refused(pieces: tuple[bytes, ...], why: str) -> None:
    with pytest.raises(FaultError, match=why):
        await taken(*pieces)


async def test_one_that_is_cut() -> None:
    with pytest.raises(FaultError) as error:
        await taken(PURPOSE, FILE, cut=True)
    assert error.value.fault.kind is Kind.LEFT
