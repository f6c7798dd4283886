"""The few edits of a body we make, spliced into the client's own bytes so that everything else stays as it came.

Works on text that a JSON parser has accepted; finds nothing in text that is not JSON.
"""

import orjson


def replace_value(body: bytes, key: str, value: object) -> bytes:
    """`body` with the value of every top-level `key` replaced (JSON allows duplicates; engines take the last or any).

    Nested keys of the same name stay. `body` must be a valid JSON object.
    """
    encoded = orjson.dumps(value)
    parts: list[bytes] = []
    done = 0
    for start, end in _value_spans(body, key):
        parts += (body[done:start], encoded)
        done = end
    parts.append(body[done:])
    return b"".join(parts)


def _value_spans(body: bytes, key: str) -> list[tuple[int, int]]:
    """[start, end) of the values of top-level `key`, by walking from string to string and counting brackets."""
    spans: list[tuple[int, int]] = []
    depth, position, value_start = 0, 0, -1
    while True:
        quote = body.find(b'"', position)
        gap = body[position : quote if quote >= 0 else len(body)]
        if value_start >= 0:
            depth, end = _value_end(gap, depth)
            if end >= 0:
                spans.append((value_start, position + end))
                value_start = -1
        else:
            depth += gap.count(b"{") + gap.count(b"[") - gap.count(b"}") - gap.count(b"]")
        if quote < 0:
            return spans
        position = _string_end(body, quote)
        if depth == 1 and value_start < 0:
            colon = _skip_space(body, position)
            if body[colon : colon + 1] == b":" and orjson.loads(body[quote:position]) == key:
                value_start = position = _skip_space(body, colon + 1)


def _value_end(gap: bytes, depth: int) -> tuple[int, int]:
    """(depth after `gap`, where in it the current top-level value ends or -1); `gap` is text between two strings."""
    end = -1
    for index, byte in enumerate(gap):
        if end < 0 and depth == 1 and byte in b",}":
            end = len(gap[:index].rstrip())
        if byte in b"{[":
            depth += 1
        elif byte in b"}]":
            depth -= 1
    return depth, end


def _string_end(body: bytes, quote: int) -> int:
    """Index after the closing quote of the string that opens at `quote`."""
    position = quote + 1
    while True:
        close = body.index(b'"', position)
        backslashes = close
        while body[backslashes - 1 : backslashes] == b"\\":
            backslashes -= 1
        if (close - backslashes) % 2 == 0:
            return close + 1
        position = close + 1


def _skip_space(body: bytes, position: int) -> int:
    while body[position : position + 1] in (b" ", b"\t", b"\r", b"\n"):
        position += 1
    return position
