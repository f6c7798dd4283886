"""Forms that come in pieces: cut anywhere they are the same, and nothing of a file is kept."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.faults import FaultError
from proxy.wire.form_data import Field, FormReader

TYPE = b'multipart/form-data; boundary="b"'
HEAD = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
FILE = b'content-disposition: form-data; name="file"; filename="a \\"b\\".jsonl"\r\ncontent-type: x/y\r\n\r\n'


def read(whole: bytes, cuts: list[int], content_type: bytes = TYPE) -> tuple[list[tuple[Field, bytes]], bool]:
    reader = FormReader(content_type)
    parts: list[tuple[Field, bytes]] = []
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        for one in reader.feed(whole[start:end]):
            if isinstance(one, Field):
                parts.append((one, b""))
            else:
                parts[-1] = parts[-1][0], parts[-1][1] + one
    return parts, reader.has_ended


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=20), st.sampled_from([b"", b"preamble\r\n"]))
def test_cut_anywhere_it_is_the_same(data: bytes, cuts: list[int], preamble: bytes) -> None:
    if b"\r\n--b" in b"\r\n" + data:
        return
    whole = preamble + HEAD + FILE + data + b"\r\n--b--\r\nepilogue"
    expected = [(Field("purpose", None), b"batch"), (Field("file", 'a "b".jsonl'), data)]
    assert read(whole, cuts) == (expected, True)


def test_a_file_is_handed_on_as_it_comes() -> None:
    reader = FormReader(TYPE)
    list(reader.feed(HEAD + FILE))
    for _ in range(100):
        assert sum(len(one) for one in reader.feed(b"x" * 10_000) if isinstance(one, bytes)) > 9_000
        assert len(reader._data) < 10


def test_what_is_cut_has_no_end() -> None:
    for end in (b"", b"\r\n--", b"\r\n--b", b"\r\n--b-"):
        assert not read(HEAD + FILE + b"x" + end, [])[1]


@pytest.mark.parametrize(
    ("content_type", "whole"),
    [
        (b"application/json", b"{}"),
        (b"multipart/form-data", b"--b--"),
        (TYPE, b"--bx\r\n"),
        (TYPE, b"--b\r\n" + b"x" * 10_000),
        (TYPE, HEAD.removesuffix(b"--b\r\n") * 40),
        (b"multipart/form-data; boundary=" + b"b" * 300, b""),
    ],
)
def test_what_is_no_form_is_refused(content_type: bytes, whole: bytes) -> None:
    with pytest.raises(FaultError):
        read(whole, [], content_type)
