"""Where in a JSON text the parts of a prompt stand, byte for byte, so that they can be changed and the rest stays.

Owns the items of arrays and putting edits together; the members of objects are found by `splice`. Works on
text that a JSON parser has accepted.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from proxy.wire.splice import value_spans
from proxy.wire.weight import without_escapes

Edit = tuple[int, int, bytes]
"""[start, end) of what goes, and what comes in its place."""
_TOKEN: Final = re.compile(rb'"[^"]*"|[][{},]')
_SPACE: Final = b" \t\r\n"


def items(array: bytes) -> Iterator[tuple[int, int]]:
    """[start, end) of each item of an array, one after the other: whoever needs only the first reads no more."""
    depth, start = 0, 0
    for token in _TOKEN.finditer(without_escapes(array)):
        at = token.start()
        byte = array[at]
        if byte == 0x22:
            continue
        if byte in b"[{":
            depth += 1
            if depth == 1:
                start = at + 1
        elif depth == 1:  # a comma between two items, or the end of the array
            item = array[start:at]
            if item.strip(_SPACE):
                first = start + len(item) - len(item.lstrip(_SPACE))
                yield first, start + len(item.rstrip(_SPACE))
            start = at + 1
        if byte in b"]}":
            depth -= 1
            if not depth:
                return


def values(body: bytes, key: str, begins: bytes) -> list[tuple[int, int]]:
    """[start, end) of the values of top-level `key` that begin so (`[`, `"`), the last one first: JSON allows a key to
    come twice, with values of two kinds."""
    return [span for span in reversed(value_spans(body, key)) if body.startswith(begins, span[0])]


def with_edits(text: bytes, edits: Sequence[Edit]) -> bytes:
    """`text` with all of them made; they are in order and do not overlap."""
    parts: list[bytes] = []
    done = 0
    for start, end, new in edits:
        parts += (text[done:start], new)
        done = end
    parts.append(text[done:])
    return b"".join(parts)


def without_items(array: bytes, gone: Sequence[tuple[int, int]]) -> bytes:
    """`array` without the items at these spans, in order, and without their commas."""
    for start, end in reversed(gone):
        after = len(array) - len(array[end:].lstrip(_SPACE))
        before = array[:start].rstrip(_SPACE)
        if array.startswith(b",", after):
            array = array[:start] + array[after + 1 :].lstrip(_SPACE)
        elif before.endswith(b","):
            array = before[:-1] + array[end:]
        else:
            array = before + array[end:]
    return array
