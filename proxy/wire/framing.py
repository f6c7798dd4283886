"""Chunked framing (RFC 9112 §7.1) where a parser would cost more than the chunk: one read that is one whole chunk.

Says only whether it is that. Everything else (extensions, cut chunks, several, the last) is the parser's to read.
"""

from typing import Final

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
