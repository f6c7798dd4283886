"""The few edits of a body we make, spliced into the client's own bytes so that everything else stays as it came.

Works on text that a JSON parser has accepted; finds nothing in text that is not a JSON object.
"""

import re
from typing import Final

import orjson

from proxy.wire.weight import without_escapes

_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_BRACKET: Final = re.compile(rb"[][{}]")
_FLAT_GAPS: Final = frozenset({b":", b",", b": ", b", "})
"""What most often stands between two strings; changes no depth."""


def replace_value(body: bytes, key: str, value: object) -> bytes:
    """`body` with the value of every top-level `key` replaced (JSON allows duplicates; engines take the last or any).

    Nested keys of the same name stay. `body` must be a valid JSON object.
    """
    encoded = orjson.dumps(value)
    parts: list[bytes] = []
    done = 0
    for start, end in value_spans(body, key):
        parts += (body[done:start], encoded)
        done = end
    parts.append(body[done:])
    return b"".join(parts)


def with_item(body: bytes, key: str, item: object) -> bytes:
    """`body` with `item` behind all others in every top-level `key`, which must be an array."""
    encoded = orjson.dumps(item)
    for start, end in reversed(value_spans(body, key)):
        last = end - 1
        comma = b"" if _after_space(body, start + 1) == last else b","
        body = b"".join((body[:last], comma, encoded, body[last:]))
    return body


def with_first(body: bytes, key: str, value: object) -> bytes:
    """`body`, a JSON object without a top-level `key`, with that key in front of all others."""
    start = body.index(b"{") + 1
    comma = b"" if body.startswith(b"}", _after_space(body, start)) else b","
    return b"".join((body[:start], orjson.dumps(key), b":", orjson.dumps(value), comma, body[start:]))


def with_last(body: bytes, key: str, value: object) -> bytes:
    """`body`, a JSON object without a top-level `key`, with that key behind all others."""
    end = body.rindex(b"}")
    before = body[:end].rstrip()
    comma = b"" if before.endswith(b"{") else b","
    return b"".join((before, comma, orjson.dumps(key), b":", orjson.dumps(value), body[end:]))


def without_key(body: bytes, key: str) -> bytes:
    """`body`, a JSON object, without its top-level `key`; the rest stays byte for byte."""
    for start, end in reversed(value_spans(body, key)):
        colon = body.rindex(b":", 0, start)
        before = body[: body.rindex(b'"', 0, body.rindex(b'"', 0, colon))].rstrip()
        after = _after_space(body, end)
        if before.endswith(b","):
            body = before[:-1] + body[end:]
        elif body.startswith(b",", after):
            body = before + body[after + 1 :]
        else:
            body = before + body[after:]
    return body


def value_spans(body: bytes, key: str) -> list[tuple[int, int]]:
    """[start, end) of the values of top-level `key`, by walking from string to string and counting brackets."""
    spans: list[tuple[int, int]] = []
    if not body.startswith(b"{", _after_space(body, 0)):
        return spans
    text = without_escapes(body)
    wanted = orjson.dumps(key)
    depth, position, value_start = 0, 0, -1
    while True:
        quote = text.find(b'"', position)
        gap = text[position : quote if quote >= 0 else len(text)]
        if value_start >= 0 and (end := _value_end(gap, depth)) >= 0:
            spans.append((value_start, position + end))
            value_start = -1
        if gap not in _FLAT_GAPS:
            depth += gap.count(b"{") + gap.count(b"[") - gap.count(b"}") - gap.count(b"]")
        position = text.find(b'"', quote + 1) + 1
        if quote < 0 or not position:
            return spans
        if depth == 1 and value_start < 0:
            colon = _after_space(text, position)
            if text.startswith(b":", colon) and _spells(body[quote:position], wanted):
                value_start = position = _after_space(text, colon + 1)


def _spells(literal: bytes, wanted: bytes) -> bool:
    """Whether two JSON string literals mean the same; `wanted` is as orjson writes it."""
    return literal == wanted or (b"\\" in literal and orjson.dumps(orjson.loads(literal)) == wanted)


def _value_end(gap: bytes, depth: int) -> int:
    """Where in `gap` (text between two strings) the current top-level value ends; -1 when it goes on."""
    start = 0
    for bracket in _BRACKET.finditer(gap):
        at = bracket.start()
        if depth == 1:
            comma = gap.find(b",", start, at)
            if comma >= 0 or gap[at] == ord("}"):
                return len(gap[: comma if comma >= 0 else at].rstrip())
        depth += 1 if gap[at] in b"{[" else -1
        start = at + 1
    comma = gap.find(b",", start) if depth == 1 else -1
    return len(gap[:comma].rstrip()) if comma >= 0 else -1


def _after_space(text: bytes, position: int) -> int:
    space = _SPACE.match(text, position)
    assert space is not None  # it may be empty
    return space.end()
