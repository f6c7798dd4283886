"""One chunk in one read, as the parser would read it; and what parsers let pass."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.framing import ALLOWANCE_B, first_chunk_b, is_overweight, is_request_line, one_chunk

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Reader:
    """What the parser says of the same bytes."""

    def __init__(self) -> None:
        self.body = b""
        self.chunks = 0

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_chunk_complete(self) -> None:
        self.chunks += 1


def framed(payload: bytes, line: str = "%x") -> bytes:
    return line.encode() % len(payload) + b"\r\n" + payload + b"\r\n"


@pytest.mark.parametrize("line", ["%x", "%X", "%04x", "%06X"])
@pytest.mark.parametrize("size", [1, 15, 16, 235, 255, 256, 4095, 4096, 70_000])
def test_a_chunk(size: int, line: str) -> None:
    data = framed(b"\r\n" * size, line)
    start = one_chunk(data)
    assert data[start:-2] == b"\r\n" * size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0\r\n\r\n",
        b"\r\n\r\n",
        b"2",
        b"2\r",
        b"2\r\n",
        b"2\r\nhi",
        b"2\r\nhi\r",
        b"2\r\nhi\r\n2",
        b"2\r\nhi\r\n2\r\nhi\r\n",
        b"2\r\nhi\r\n0\r\n\r\n",
        b"2;a=b\r\nhi\r\n",
        b"2 \r\nhi\r\n",
        b" 2\r\nhi\r\n",
        b"-2\r\nhi\r\n",
        b"0x2\r\nhi\r\n",
        b"2\nhi\r\n",
        b"2\n\nhi\r\n",
        b"2\r\nhi\n\n",
        b"2\r\nhiya",
        b"3\r\nhi\r\n",
        b"1\r\nhi\r\n",
        b"0000002\r\nhi\r\n",
    ],
)
def test_anything_else_is_for_the_parser(data: bytes) -> None:
    assert one_chunk(data) == 0


@given(st.text(alphabet="012af;\r\n x", max_size=12), st.integers(0, 4))
def test_the_parser_agrees(text: str, repeats: int) -> None:
    data = text.encode() + b"a" * repeats + b"\r\n"
    start = one_chunk(data)
    if start:
        reader = Reader()
        parser = httptools.HttpResponseParser(reader)
        parser.feed_data(HEAD)
        parser.feed_data(data)
        parser.feed_data(b"1\r\n!\r\n")  # it stands before a chunk
        assert (reader.body, reader.chunks) == (data[start:-2] + b"!", 2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"\r\nGET / HTTP/1.1\r\n", True),
        (b"GET /", True),
        (b"GET /\r\n", False),
        (b"GET  / HTTP/1.1\r\n", False),
        (b"GET  /", False),
        (b"GET / HTTP/1.1\r\nHost:  a\r\n", True),
    ],
)
def test_request_lines(data: bytes, expected: bool) -> None:
    assert is_request_line(data) is expected


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"5\r\nhello\r\n", 5),
        (b"1F;a=b\r\n", 31),
        (b"POST / HTTP/1.1\r\na: b\r\n\r\nffff\r\nx", 65535),
        (b"hello", 0),
        (b"-5\r\n", 0),
        (b"", 0),
        (b"0x10\r\n", 0),
    ],
)
def test_the_size_that_is_announced_first(data: bytes, size: int) -> None:
    assert first_chunk_b(data) == size


def test_framing_may_weigh_so_much() -> None:
    assert not is_overweight(ALLOWANCE_B, 0)
    assert is_overweight(ALLOWANCE_B + 1, 0)
    assert not is_overweight(6_000_000, 1_000_000), "one-byte chunks"
    assert is_overweight(17_000_000, 1_000_000)
