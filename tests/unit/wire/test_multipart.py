"""Forms: which model they name, in every spelling that engines understand, and the same form with another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.faults import FaultError, Kind
from proxy.wire.multipart import PARTS_MAX, model_span, with_model

TYPE = b"multipart/form-data; boundary=x"


def form(*parts: tuple[bytes, bytes]) -> bytes:
    lines = [b"--x\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % part for part in parts]
    return b"".join(lines) + b"--x--\r\n"


FILE = (b'name="file"; filename="a.wav"', b"RIFF" + bytes(9000))


def named(body: bytes) -> bytes | None:
    span = model_span(TYPE, body)
    return None if span is None else body[span.start : span.end]


@pytest.mark.parametrize(
    "disposition", [b'name="model"', b"name=model", b'NAME="model"', b'name = "model"', b'name="x"; name="model"']
)
def test_spellings_of_the_field(disposition: bytes) -> None:
    assert named(form(FILE, (disposition, b"whisper-1"))) == b"whisper-1"


@pytest.mark.parametrize(
    "disposition",
    [
        b'name="models"',
        b'name="model"; filename="a"',
        b'filename="a"; name="model"',
        b"name=\"model\"; filename*=UTF-8''a",
        b'title="; name=model"',
        b'name="a"; x-name="model"',
    ],
)
def test_what_is_another_field_or_a_file(disposition: bytes) -> None:
    assert named(form(FILE, (disposition, b"whisper-1"))) is None


@pytest.mark.parametrize("second", [(b'name="model"', b"other"), (b"NAME=model", b"whisper-1")])
def test_two_models_are_one_too_many(second: tuple[bytes, bytes]) -> None:
    """Engines take the last, others the first: whoever checks one may serve the other."""
    with pytest.raises(FaultError) as caught:
        named(form((b'name="model"', b"whisper-1"), FILE, second))
    assert (caught.value.fault.kind, caught.value.fault.param) == (Kind.INVALID, "model")


def test_no_model_hides_behind_many_parts() -> None:
    filler = [(b'name="a"', b"b")] * (PARTS_MAX - 1)
    assert named(form(*filler, (b'name="model"', b"m"))) == b"m"
    with pytest.raises(FaultError, match="more than 256 parts"):
        named(form(*filler, (b'name="a"', b"b"), (b'name="model"', b"m")))


def test_what_follows_the_last_border_is_nothing() -> None:
    assert named(form(FILE) + b'\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--x--') is None


def test_another_model_in_its_place_and_no_copy_of_the_file() -> None:
    body = form(FILE, (b'name="model"', b"public"), (b'name="language"', b"public"))
    pieces = with_model(TYPE, body, "engine's own")
    assert pieces is not None
    assert b"".join(pieces) == form(FILE, (b'name="model"', b"engine's own"), (b'name="language"', b"public"))
    assert all(piece.obj is body for piece in pieces if isinstance(piece, memoryview))


def test_a_form_without_one_stays() -> None:
    assert with_model(TYPE, form(FILE), "m") is None
    assert with_model(b"application/octet-stream", form((b'name="model"', b"m")), "n") is None


@given(st.binary(max_size=300), st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20))
def test_whatever_the_file_is(content: bytes, model: str) -> None:
    content = content.replace(b"--x", b"")
    before = form((FILE[0], content), (b'name="model"', b"a"), (b'name="z"', content))
    pieces = with_model(TYPE, before, model)
    assert pieces is not None
    assert b"".join(pieces) == form((FILE[0], content), (b'name="model"', model.encode()), (b'name="z"', content))


@pytest.mark.parametrize("name", [b'name="mo\\del"', b"name*=utf-8''model", b"name*=utf-8''mod%65l", b'NAME="model"'])
def test_odd_spellings_of_the_field_are_read_as_engines_read_them(name: bytes) -> None:
    part = b"--x\r\nContent-Disposition: form-data; %b\r\n\r\nm\r\n"
    kind = b"multipart/form-data; boundary=x"
    found = model_span(kind, part % name + b"--x--\r\n")
    assert found is not None
    with pytest.raises(FaultError, match="more than one"):
        model_span(kind, part % name + part % b'name="model"' + b"--x--\r\n")


def test_a_part_whose_headers_never_end_is_refused() -> None:
    body = b'--x\r\nContent-Disposition: form-data; a="' + b"a" * 9000 + b'"; name="model"\r\n\r\nm\r\n--x--\r\n'
    with pytest.raises(FaultError, match="bytes of headers"):
        model_span(b"multipart/form-data; boundary=x", body)
