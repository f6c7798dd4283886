"""Response heads: what of an engine's headers passes, and how a head looks on the wire."""

import httptools
import pytest

from proxy.wire import answers
from tests.engines_captures.reading import ERRORS, STREAMS, capture

PASS = [
    b"content-type",
    b"content-disposition",
    b"content-encoding",
    b"cache-control",
    b"date",
    b"retry-after",
    b"retry-after-ms",
    b"x-should-retry",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-reset-requests",
    b"openai-processing-ms",
    b"openai-version",
    b"endpoint-load-metrics",
]
STOP = [
    b"set-cookie",
    b"server",
    b"connection",
    b"keep-alive",
    b"transfer-encoding",
    b"content-length",
    b"upgrade",
    b"trailer",
    b"proxy-authenticate",
    b"www-authenticate",
    b"location",
    b"access-control-allow-origin",
    b"x-request-id",
    b"x-powered-by",
    b"x-openai-key",
]


@pytest.mark.parametrize("name", PASS)
def test_what_passes_in_lower_case(name: bytes) -> None:
    assert answers.filtered([(name.title(), b"Value")]) == [(name, b"Value")]


@pytest.mark.parametrize("name", STOP)
def test_what_stops_here(name: bytes) -> None:
    assert answers.filtered([(name.title(), b"value")]) == []


def test_bytes_above_ascii_stop_here() -> None:
    assert answers.filtered([(b"content-disposition", "filename=ü".encode())]) == []


@pytest.mark.parametrize("name", STREAMS + ERRORS)
def test_captured_heads(name: str) -> None:
    passed = dict(answers.filtered(capture(name).headers))
    assert passed.keys() <= {b"content-type", b"date", b"cache-control", b"x-accel-buffering"}
    assert passed.get(b"content-type", b"") == capture(name).header(b"content-type")


class Reader:
    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.reason = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_status(self, reason: bytes) -> None:
        self.reason += reason


@pytest.mark.parametrize(
    ("status", "reason"), [(200, b"OK"), (429, b"Too Many Requests"), (499, b"Unknown"), (299, b"Unknown")]
)
def test_a_head_on_the_wire(status: int, reason: bytes) -> None:
    headers = [(b"content-type", b"a/b"), (b"content-length", b"0")]
    reader = Reader()
    parser = httptools.HttpResponseParser(reader)
    parser.feed_data(answers.head(status, headers))
    assert (parser.get_status_code(), reader.reason, reader.headers) == (status, reason, headers)


@pytest.mark.parametrize(
    ("headers", "streams"),
    [
        ([(b"Content-Type", b"text/event-stream")], True),
        ([(b"content-type", b"Text/Event-Stream; charset=utf-8")], True),
        ([(b"content-type", b"text/event-stream"), (b"Content-Encoding", b"identity")], True),
        ([(b"content-type", b"text/event-stream"), (b"Content-Encoding", b"gzip")], False),
        ([(b"Content-Encoding", b"gzip"), (b"content-type", b"text/event-stream")], False),
        ([(b"content-type", b"application/json")], False),
        ([], False),
    ],
)
def test_is_sse(headers: list[tuple[bytes, bytes]], streams: bool) -> None:
    assert answers.is_sse(headers) is streams
