"""Response heads: what of a backend's headers a client may see, and how a head is written."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

_ALLOWED: Final = frozenset(
    {
        b"age",
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"date",
        b"endpoint-load-metrics",
        b"retry-after",
        b"retry-after-ms",
        b"x-accel-buffering",
        b"x-should-retry",
        b"x-compute-time",
        b"x-compute-type",
        b"x-generated-tokens",
        b"x-inference-time",
        b"x-prompt-tokens",
        b"x-queue-time",
        b"x-time-per-token",
        b"x-total-time",
        b"x-validation-time",
    }
)
_ALLOWED_PREFIXES: Final[tuple[bytes, ...]] = (
    b"openai-",
    b"x-ratelimit-",
    b"anthropic-ratelimit-",
    b"x-envoy-upstream-service-time",
)
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}

_STREAM_HEADERS: Final = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""Every stream says so, whatever the engine says: intermediaries must not buffer it."""
_SSE: Final[tuple[bytes, ...]] = (b"text/event-stream",)
_LINES: Final[tuple[bytes, ...]] = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl")
_STREAM_NAMES: Final = frozenset(name for name, _ in _STREAM_HEADERS)
_ABOUT_BODY: Final = frozenset({b"content-disposition", b"content-encoding", b"content-language", b"content-type"})
_JSON: Final = (b"content-type", b"application/json")


def filtered(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A backend's headers by the allow-list: no cookies, no server names, no hop-by-hop, no raw bytes above 0x7F."""
    kept = []
    for name, value in headers:
        lower = name.lower()
        if (lower in _ALLOWED or lower.startswith(_ALLOWED_PREFIXES)) and value.isascii():
            kept.append((lower, value))
    return kept


def for_stream(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a stream of events."""
    return [*(header for header in headers if header[0] not in _STREAM_NAMES), *_STREAM_HEADERS]


def for_error(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an error object: whatever the engine said of its own body, this one is plain JSON."""
    return [*(header for header in headers if header[0] not in _ABOUT_BODY), _JSON]


def head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A response head, blank line included. Unknown statuses keep their number."""
    parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def is_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body is HTML."""
    return any(name.lower() == b"content-type" and value.lower().startswith(b"text/html") for name, value in headers)


def is_sse(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body is a stream of events that can be read (nobody asked for a compressed one)."""
    return _is_plain(headers, _SSE)


def is_lines(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """The same of a stream of lines of JSON."""
    return _is_plain(headers, _LINES)


def _is_plain(headers: Iterable[tuple[bytes, bytes]], kinds: tuple[bytes, ...]) -> bool:
    found = False
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-type":
            found = value.lower().startswith(kinds)
        elif lower == b"content-encoding" and value.lower() != b"identity":
            return False
    return found
