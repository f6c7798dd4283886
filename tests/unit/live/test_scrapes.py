"""Scrapes: which form is asked for, that it is shared, and that nobody else waits for it."""

import asyncio
import gzip
from collections.abc import Iterator
from time import monotonic

import pytest

from proxy.live.scrapes import Form, Scrapes, form_for

PROMETHEUS_2 = (
    b"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    b"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        (b"", False),
        (b"*/*", False),
        (b"text/html,application/xhtml+xml,*/*;q=0.8", False),
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        (b"application/openmetrics-text", True),
        (b'Application/OpenMetrics-Text; Version="1.0.0"; q=0.9, */*;q=0.1', True),
        (b"application/openmetrics-text;q=0", False),
        (b"application/openmetrics-text;q=0.3, text/plain;q=0.5", False),
        (b"application/openmetrics-text;version=2.0.0", False),
        (b"application/openmetrics-text;q=nan, text/plain", False),
        (b"application/openmetrics-text;q=many", False),
        (b",;=;,,;q" * 1000, False),
        (b"\xff\xfe;q=1", False),
    ],
)
def test_openmetrics_is_for_those_who_name_it(accept: bytes, is_open: bool) -> None:
    assert form_for(accept, b"").is_open is is_open


@pytest.mark.parametrize(
    ("accept_encoding", "is_packed"),
    [(b"", False), (b"gzip", True), (b"deflate, gzip;q=0.5", True), (b"gzip;q=0", False), (b"br", False), (b"*", True)],
)
def test_gzip_is_for_those_who_take_it(accept_encoding: bytes, is_packed: bool) -> None:
    assert form_for(b"", accept_encoding).is_packed is is_packed


class Text:
    """Metrics of so many pieces; counts how often they are read."""

    def __init__(self, count: int = 3, takes_s: float = 0.0) -> None:
        self.count = count
        self.takes_s = takes_s
        self.read = 0

    def __call__(self, is_open: bool) -> Iterator[str]:
        self.read += 1
        for number in range(self.count):
            until = monotonic() + self.takes_s
            while monotonic() < until:
                pass
            yield f"m{int(is_open)} {self.read} {number}\n"


def scrapes(text: Text) -> Scrapes:
    return Scrapes(text, asyncio.get_running_loop(), monotonic)


async def test_all_of_it_in_each_form() -> None:
    text = Text()
    told = scrapes(text)
    assert await told.body(Form(False, False)) == b"m0 1 0\nm0 1 1\nm0 1 2\n"
    assert gzip.decompress(await told.body(Form(True, True))) == b"m1 2 0\nm1 2 1\nm1 2 2\n"
    assert dict(Form(True, True).headers())[b"content-encoding"] == b"gzip"
    assert b"content-encoding" not in dict(Form(True, False).headers())


async def test_a_large_one_is_packed_as_well() -> None:
    packed = await scrapes(Text(50_000)).body(Form(False, True))
    assert gzip.decompress(packed).count(b"\n") == 50_000


async def test_those_who_ask_at_once_share_one() -> None:
    text = Text(5, 0.002)
    told = scrapes(text)
    bodies = await asyncio.gather(*(told.body(Form(False, packed)) for packed in (False, True) * 10))
    assert text.read == 1
    assert len({gzip.decompress(body) if body[:1] == b"\x1f" else body for body in bodies}) == 1
    await told.body(Form(False, False))
    assert text.read == 2


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    told = scrapes(Text(5, 0.002))
    first = asyncio.ensure_future(told.body(Form(False, False)))
    second = asyncio.ensure_future(told.body(Form(False, False)))
    await asyncio.sleep(0.001)
    first.cancel()
    assert await second
    assert first.cancelled()


async def test_a_bug_is_told_to_everybody_and_forgotten() -> None:
    class Broken(Text):
        def __call__(self, is_open: bool) -> Iterator[str]:
            raise ZeroDivisionError

    told = scrapes(Broken())
    for _ in range(2):
        results = await asyncio.gather(
            *(told.body(Form(False, packed)) for packed in (False, True)), return_exceptions=True
        )
        assert [type(result) for result in results] == [ZeroDivisionError] * 2


async def test_others_come_between_two_slices() -> None:
    told, turns = scrapes(Text(100, 0.001)), 0
    task = asyncio.ensure_future(told.body(Form(False, False)))
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 50
