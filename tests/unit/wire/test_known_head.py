"""Which heads are known again, and which never are."""

import pytest

from proxy.wire.known_head import head_of

LINE = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
REQUEST = LINE + b"Content-Length: 3\r\nX: 1\r\n\r\nabc"


def sent(length: bytes, body: bytes) -> bytes:
    return LINE + b"Content-Length: " + length + b"\r\nX: 1\r\n\r\n" + body


def test_the_body_may_be_another_one_of_another_length() -> None:
    head = head_of(REQUEST)
    assert head is not None
    for body in (b"x", b"xyz", b"x" * 10, b"x" * 12345):
        data = sent(b"%d" % len(body), body)
        assert data[head.body_at(data) :] == body
    assert head.is_like(head_of(sent(b"10", b"x" * 10)) or head)
    assert head.size_b == len(REQUEST) - 3


@pytest.mark.parametrize(
    "data",
    [
        sent(b"03", b"abc"),
        sent(b"+3", b"abc"),
        sent(b"", b"abc"),
        sent(b"0", b""),
        sent(b"3 ", b"abc"),
        sent(b"3", b"ab"),
        sent(b"3", b"abcd"),
        sent(b"3", b"abcPOST / HTTP/1.1\r\n"),
        sent(b"12345678", b"x" * 12345678),
        sent(b"3", b"abc").replace(b"Host", b"host"),
        sent(b"3", b"abc").replace(b"X: 1", b"X: 2"),
        sent(b"3", b"abc").replace(b"X: 1\r\n", b""),
        sent(b"3", b"abc").replace(b"X: 1", b"X: 1\r\nContent-Length: 3"),
        LINE,
        LINE + b"Content-Length: ",
        LINE + b"Content-Length: 3",
        b"",
    ],
)
def test_what_differs_in_anything_else_is_another_one(data: bytes) -> None:
    head = head_of(REQUEST)
    assert head is not None
    assert head.body_at(data) == 0


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 3",
        b"x-content-length: 9",
        b"Transfer-Encoding: chunked",
        b"TRANSFER-ENCODING: identity",
        b"Expect: 100-continue",
        b"Upgrade: h2c",
        b"Connection: upgrade",
        b"X: a\nb",
    ],
)
def test_what_may_mean_more_than_it_shows_is_never_learned(line: bytes) -> None:
    assert head_of(LINE + b"Content-Length: 3\r\n" + line + b"\r\n\r\nabc") is None


@pytest.mark.parametrize("data", [b"", LINE, LINE + b"\r\n", REQUEST[:-1], REQUEST + b"x", REQUEST + REQUEST])
def test_only_what_is_one_whole_message_is_learned(data: bytes) -> None:
    assert head_of(data) is None
