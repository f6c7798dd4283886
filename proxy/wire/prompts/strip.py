"""Lines that an operator wants taken out of the stable part of a prompt, cut out of the client's own bytes.

Owns which texts are looked at (system, instructions, the first messages of the system) and what a cut leaves: every
other byte as it came. The parsed fields are changed alike, so that what is hashed and counted is what is sent.
"""

import re
from typing import Any, Final

import orjson

from proxy.model.line_pattern import LOOKED_AT
from proxy.wire.prompts.spans import Edit, items, with_edits, without_items
from proxy.wire.splice import value_spans

Patterns = tuple[re.Pattern[str], ...]
MOST_LINES: Final = 512
"""Of one text, so many are looked at: what spoils a prefix stands at its front."""
_MOST_MESSAGES: Final = 16
_ESCAPE: Final = re.compile(rb"\\(?:(n|u000[aA])|.)", re.DOTALL)
_SYSTEM: Final = frozenset({"system", "developer"})
_EMPTY: Final = b'""'


def stripped(body: bytes, fields: dict[str, Any], patterns: Patterns) -> tuple[bytes, int]:
    """The body without the lines that fit, and how many those were. `fields` is changed with it."""
    total = 0
    for key in ("system", "instructions"):
        if fields.get(key):
            body, count = _member(body, fields, key, patterns)
            total += count
    for key in ("messages", "input"):
        if isinstance(fields.get(key), list):
            body, count = _messages(body, fields[key], key, patterns)
            total += count
    return body, total


def _member(body: bytes, fields: dict[str, Any], key: str, patterns: Patterns) -> tuple[bytes, int]:
    for start, end in value_spans(body, key)[-1:]:  # of a key that comes twice the last one counts
        value, count = _content(body[start:end], patterns)
        if count:
            fields[key] = orjson.loads(value)
            return with_edits(body, [(start, end, value)]), count
    return body, 0


def _messages(body: bytes, messages: list[Any], key: str, patterns: Patterns) -> tuple[bytes, int]:
    """Those of the system at the front; the others are the conversation."""
    leading = 0
    for message in messages[:_MOST_MESSAGES]:
        if not isinstance(message, dict) or message.get("role") not in _SYSTEM:
            break
        leading += 1
    if not leading:
        return body, 0
    edits: list[Edit] = []
    total = 0
    for start, end in value_spans(body, key)[-1:]:
        array = body[start:end]
        for index, (first, last) in enumerate(items(array)):
            if index >= leading:
                break
            item = array[first:last]
            for at, until in value_spans(item, "content"):
                value, count = _content(item[at:until], patterns)
                if count:
                    edits.append((start + first + at, start + first + until, value))
                    messages[index]["content"] = orjson.loads(value)
                    total += count
    return with_edits(body, edits), total


def _content(value: bytes, patterns: Patterns) -> tuple[bytes, int]:
    """A text, or parts that have one each; a part of which nothing is left goes with it where there are others."""
    if value.startswith(b'"'):
        return _text(value, patterns)
    if not value.startswith(b"["):
        return value, 0
    edits: list[Edit] = []
    gone: list[tuple[int, int]] = []
    total, parts = 0, list(items(value))
    for start, end in parts:
        part = value[start:end]
        for at, until in value_spans(part, "text"):
            text, count = _text(part[at:until], patterns)
            total += count
            if count and text == _EMPTY and len(parts) > len(gone) + 1:
                gone.append((start, end))
            elif count:
                edits.append((start + at, start + until, text))
    if not gone:
        return with_edits(value, edits), total
    kept = [edit for edit in edits if not any(start <= edit[0] < end for start, end in gone)]
    return without_items(with_edits(value, kept), _moved(gone, kept)), total


def _moved(spans: list[tuple[int, int]], edits: list[Edit]) -> list[tuple[int, int]]:
    """Where they are once those edits were made."""
    moved: list[tuple[int, int]] = []
    for start, end in spans:
        shift = sum(len(new) - (until - at) for at, until, new in edits if at < start)
        moved.append((start + shift, end + shift))
    return moved


def _text(literal: bytes, patterns: Patterns) -> tuple[bytes, int]:
    """A string of JSON without the lines that fit."""
    if not literal.startswith(b'"'):
        return literal, 0
    edits: list[Edit] = []
    start, last = 1, len(literal) - 1
    for _ in range(MOST_LINES):
        end, following = _line_end(literal, start, last)
        if _fits(literal[start:end], patterns):
            edits.append((start, following, b""))
        start = following
        if start >= last:
            break
    return (with_edits(literal, edits), len(edits)) if edits else (literal, 0)


def _line_end(literal: bytes, start: int, last: int) -> tuple[int, int]:
    """Where the line that begins at `start` ends, and where the next one begins."""
    for escape in _ESCAPE.finditer(literal, start, last):
        if escape.group(1):
            return escape.start(), escape.end()
    return last, last


def _fits(line: bytes, patterns: Patterns) -> bool:
    line = line[: 12 * LOOKED_AT]  # bytes that a character takes at most, spelled as two escapes
    if b"\\" in line:
        try:
            text = orjson.loads(b'"' + line + b'"')
        except orjson.JSONDecodeError:  # cut inside an escape
            return False
    else:
        text = line.decode("utf-8", "replace")
    return any(pattern.match(text, 0, LOOKED_AT) is not None for pattern in patterns)
