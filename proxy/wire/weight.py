"""What a large JSON text will weigh once it is parsed, known before it is: and what of it need not be parsed at all.

Every value stands behind `[`, `,` or `:`, and every string between two quotes: a few counts in C bound them all. Only
where that bound is too high (a text of many commas may be one string) is it looked at what stands outside of strings.
The insides of long strings (pictures, books) and of long lists of numbers (token ids) are checked piece by piece and
left out of what is parsed: nobody here reads them.
"""

import re
from collections.abc import Iterator
from typing import Final

import orjson

_VALUE: Final = 2
_LARGE: Final = 3
_CONTAINER: Final = 16
_STRING: Final = 8
"""What every value counts, and more: one that is no small number, an array or object, a string. At the height of
parsing (CPython 3.11, orjson 3.13) a number up to 256 takes 24 bytes, a larger one 62, a short string 94, an empty
array 91, an object of one member 249. What no honest request has many of in few bytes counts more than that."""
_LARGE_B: Final = 4
"""Bytes of text that a number above 256 takes at least, with what is behind it; others take two."""
_CHARACTERS_B: Final = 64
"""So many bytes of characters count as one value."""
_DENSEST: Final = 9
"""Values that a byte of text can count: `[]` is the heaviest."""
_PIECE_B: Final = 4 * 1024
_KEPT_B: Final = 2 << 20
"""As much of the beginning stays as it is: prompts are told apart by it (`prompt.prefix`)."""
_BEYOND_BASIC: Final = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")
_HIGH_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_PLAIN: Final = re.compile(rb'[^"\[\]{}:]{32,}')
"""Numbers and literals one after the other, more of them than are worth a cut."""
_ESCAPE_B: Final = 6
"""The longest escape: a backslash, u and four digits."""


def is_light(text: bytes, most: int) -> bool:
    """Whether the parsed `text` counts at most `most` values."""
    return len(text) * _DENSEST <= most or _weight(text, most) <= most


def abridged(text: bytes) -> bytes:
    """`text` without the insides of long strings and lists of numbers behind its first 2 MiB: the same fields but for
    these, and valid exactly where `text` is valid."""
    kept: list[bytes] = []
    at = kept_to = inside = 0
    while at < len(text):
        end = _border(text, at)
        piece = text[at:end]
        quotes = _quotes(piece)
        if at >= _KEPT_B and not quotes:
            for start, size in _dispensable(piece, bool(inside)):
                kept.append(text[kept_to : at + start])
                kept_to = at + start + size
        inside = (inside + quotes) % 2
        at = end
    return b"".join((*kept, text[kept_to:])) if kept else text


def _dispensable(piece: bytes, inside: bool) -> Iterator[tuple[int, int]]:
    """Where in `piece` begins what can be left out, and its size: all of it inside a string; else of each row of
    numbers what stands between the second comma and the last, so that a value without a name stays where an object has
    one. What is not well-formed stays for the parser to find."""
    if inside:
        if _is_valid(b'"%b"', piece):
            yield 0, len(piece)
        return
    for row in _PLAIN.finditer(piece):
        start, end = row.span()
        first, last = piece.find(b",", piece.find(b",", start, end) + 1, end), piece.rfind(b",", start, end)
        if start < first < last and _is_valid(b"[%b]", piece[first + 1 : last]):
            yield first, last - first


def _weight(text: bytes, most: int) -> int:
    """Exact enough to be compared with `most`, which may be passed before all is looked at."""
    characters = len(text) * (1 + _width(text)) // _CHARACTERS_B
    values = _values(text, text.count(b'"'))
    if characters + values > most:
        values = _values_outside(text, most - characters)
    return characters + values


def _width(text: bytes) -> int:
    """Bytes per character in the widest string there can be; besides, the parser works on a copy of its own."""
    if text.isascii() and b"\\u" not in text:
        return 1
    return 4 if _BEYOND_BASIC.search(text) else 2


def _values(text: bytes, quotes: int) -> int:
    values = text.count(b",") + text.count(b":") + 1
    large = min(values, max(0, len(text) - 2 * values) // (_LARGE_B - 2))
    containers = text.count(b"[") + text.count(b"{")
    return _VALUE * values + _LARGE * large + _CONTAINER * containers + _STRING * (quotes // 2)


def _values_outside(text: bytes, most: int) -> int:
    """Without what stands inside strings, piece by piece: a copy of it all would weigh as much again."""
    total = at = inside = 0
    while at < len(text) and total <= most:
        end = _border(text, at)
        parts = without_escapes(text[at:end]).split(b'"')
        total += _values(b"".join(parts[inside::2]), len(parts) - 1)
        inside = (inside + len(parts) - 1) % 2
        at = end
    return total


def _quotes(piece: bytes) -> int:
    return without_escapes(piece).count(b'"') if b'"' in piece else 0


def _is_valid(frame: bytes, piece: bytes) -> bool:
    try:
        value = orjson.loads(frame % piece)
    except orjson.JSONDecodeError:
        return False
    return bool(value)


def _border(text: bytes, at: int) -> int:
    """Where a piece that begins at `at` ends: inside no character, no escape and no pair of surrogates."""
    end = at + _PIECE_B
    if end >= len(text):
        return len(text)
    while end > at + _PIECE_B - 3 and text[end] & 0xC0 == 0x80:
        end -= 1
    end = _before_escape(text, at, end)
    if _HIGH_SURROGATE.search(text, max(at, end - _ESCAPE_B), end):
        end -= _ESCAPE_B
    return end


def _before_escape(text: bytes, at: int, end: int) -> int:
    slash = text.rfind(b"\\", max(at, end - _ESCAPE_B), end)
    if slash < 0:
        return end
    run = text[at : slash + 1]
    if (len(run) - len(run.rstrip(b"\\"))) % 2 == 0:
        return end  # a backslash that is itself escaped
    size = _ESCAPE_B if text[slash + 1 : slash + 2] == b"u" else 2
    return slash if slash + size > end else end


def without_escapes(text: bytes) -> bytes:
    """`text` with escaped backslashes and quotes blanked, byte for byte: every quote left is the border of a string.

    Two passes in C: a text full of escapes must not cost a step of ours for each.
    """
    if b"\\" not in text:
        return text
    return text.replace(b"\\\\", b"..").replace(b'\\"', b"..")
