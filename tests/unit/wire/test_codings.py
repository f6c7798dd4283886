"""Coded answers: who takes them as they are, and what they hold."""

import gzip
import zlib

import pytest

from proxy.model.faults import FaultError, Kind, Source
from proxy.wire import codings

TEXT = b'{"error":{"message":"x"}}' * 9


@pytest.mark.parametrize(
    ("said", "coding", "takes"),
    [
        (b"gzip, deflate, br", b"gzip", True),
        (b"gzip, deflate, br", b"zstd", False),
        (b"GZIP", b"gzip", True),
        (b"gzip;q=0.5", b"gzip", True),
        (b"gzip;q=0, deflate", b"gzip", False),
        (b"gzip; q=0.000", b"gzip", False),
        (b"*", b"br", True),
        (b"*;q=0", b"br", False),
        (b"br;q=0, *", b"br", False),
        (b"identity", b"gzip", False),
        (b"", b"gzip", False),
        (b"gzip", b"gzip, gzip", False),
    ],
)
def test_who_takes_what(said: bytes, coding: bytes, takes: bool) -> None:
    assert codings.accepts(said, coding) is takes


@pytest.mark.parametrize(
    ("values", "coding"),
    [([], b""), ([b"identity"], b""), ([b"GZip"], b"gzip"), ([b" br "], b"br"), ([b"gzip", b"gzip"], b"gzip, gzip")],
)
def test_the_coding_of_an_answer(values: list[bytes], coding: bytes) -> None:
    assert codings.coding_of([(b"a", b"b"), *((b"Content-Encoding", value) for value in values)]) == coding


@pytest.mark.parametrize(
    ("coding", "body"),
    [(b"", TEXT), (b"gzip", gzip.compress(TEXT)), (b"x-gzip", gzip.compress(TEXT)), (b"deflate", zlib.compress(TEXT))],
)
def test_undone(coding: bytes, body: bytes) -> None:
    assert codings.undone(body, coding, "alpha") == TEXT


BOMB = gzip.compress(bytes(codings._MAX_B + 1), 1)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", TEXT),
        (b"gzip", b""),
        (b"gzip", gzip.compress(TEXT)[:-1]),
        (b"gzip", gzip.compress(TEXT) + b"x"),
        (b"gzip", BOMB),
        (b"br", TEXT),
        (b"gzip, gzip", gzip.compress(gzip.compress(TEXT))),
    ],
    ids=["none", "empty", "cut", "more", "bomb", "brotli", "twice"],
)
def test_what_cannot_be_undone_is_the_backends_fault(coding: bytes, body: bytes) -> None:
    with pytest.raises(FaultError) as raised:
        codings.undone(body, coding, "alpha")
    fault = raised.value.fault
    assert (fault.source, fault.kind) == (Source.UPSTREAM, Kind.NONSENSE)
    assert "alpha" in fault.message
