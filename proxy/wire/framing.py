"""Framing (RFC 9112) beside the parsers: what they let pass, what would cost more than it carries, and one read that is
one whole chunk, for which a parser would cost more than the chunk.

Looks only, reads nothing. Extensions, cut chunks, several, the last: all these are the parser's.
"""

from typing import Final

ALLOWANCE_B: Final = 64 * 1024
"""Chunk framing without a byte of the body: extensions, trailers, one read's worth of one-byte chunks."""
_RATIO: Final = 16
"""Chunk extensions and tiny chunks cost CPU and carry nothing: a one-byte chunk needs 6 bytes, so 16 is generous."""
_LINE_B: Final = 8192
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_DIGITS_MAX: Final = 6
_NONE: Final = 255
_VALUES: Final = bytes(int(chr(code), 16) if chr(code) in "0123456789abcdefABCDEF" else _NONE for code in range(256))


def one_chunk(data: bytes) -> int:
    """Where the payload of `data` begins if `data` is exactly one chunk, ending two bytes before its end; else 0."""
    length, size, at = len(data), 0, 0
    while at < _DIGITS_MAX and at < length:
        value = _VALUES[data[at]]
        if value == _NONE:
            break
        size = size * 16 + value
        at += 1
    if not size or length != at + size + 4 or data[at] != 13 or data[at + 1] != 10 or not data.endswith(b"\r\n"):
        return 0
    return at + 2


def is_overweight(raw_b: int, body_b: int) -> bool:
    """Whether so many bytes of a chunked request carry too small a body."""
    return raw_b > ALLOWANCE_B + _RATIO * body_b


def first_chunk_b(data: bytes) -> int:
    """The size that a read announces which begins a chunked body; 0 when it announces none."""
    start = data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0
    line = data[start : start + 32].split(b"\r\n", 1)[0].split(b";", 1)[0]
    return int(line, 16) if line.isalnum() and set(line) <= _HEX else 0


def is_request_line(data: bytes) -> bool:
    """Catches what llhttp lets pass at the start of a request: HTTP/0.9 and doubled spaces."""
    end = data.find(b"\r\n")
    if end < 0:
        return data.find(b"  ", 0, _LINE_B) < 0
    return data.find(b"  ", 0, end) < 0 and (end == 0 or data.find(b" HTTP/", 0, end) >= 0)
