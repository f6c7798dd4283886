"""Usage of an answer or event that is too large to be kept or parsed: read from its first and its last bytes.

Engines write `usage` first (llama.cpp, embeddings) or last (all others). Owns finding it there; never sees the middle.
"""

import re
from collections import deque
from typing import Any, Final

import orjson

_FIRST_B: Final = 4 * 1024
_LAST_B: Final = 8 * 1024
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(?=\{)')
"""Cannot occur inside text: there every quote is escaped."""
_COUNTS: Final = re.compile(rb'"((?:prompt_)?eval_count)"\s*:\s*([0-9]{1,15})')
_MARKS: Final = re.compile(rb'"[^"]*"|[][{}]')
_NAME: Final = re.compile(rb"event: ?([a-z_.]{1,64})\n")
_TYPE: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_.]{1,64})"')
_NUMBER: Final = re.compile(rb'"sequence_number"\s*:\s*([0-9]{1,15})')
_PARSED_B: Final = 1024 * 1024
"""Of an event; larger ones are pictures and files."""
_CANDIDATES: Final = 16
_SAID: Final = ("type", "sequence_number", "usage", "timings")


class Ends:
    """Of one answer as it passes: a few KiB, whatever its size and however it is split."""

    __slots__ = ("_first", "_last", "_last_b")

    def __init__(self) -> None:
        self._first = b""
        self._last: deque[bytes] = deque()
        self._last_b = 0

    def saw(self, data: bytes) -> None:
        """Some more of it passed."""
        if len(self._first) < _FIRST_B:
            self._first += data[: _FIRST_B - len(self._first)]
        data = data[-_LAST_B:]
        self._last.append(data)
        self._last_b += len(data)
        while self._last_b - len(self._last[0]) >= _LAST_B:
            self._last_b -= len(self._last.popleft())

    def usage(self) -> dict[str, Any] | None:
        """The `usage` object of the answer; None: it has none there."""
        return _at_the_end(b"".join(self._last), 1) or _at_the_start(self._first)

    def counts(self) -> dict[str, Any]:
        """Those of Ollama's own, which stand at the end of an answer."""
        return {name.decode(): int(number) for name, number in _COUNTS.findall(b"".join(self._last))}


def abridged(event: bytes, data: bytes) -> bytes:
    """What is worth knowing of a large event, as an event: its type, number and usage. `data`: its payload."""
    said = _of_fields(data) if len(data) <= _PARSED_B else _of_ends(event, data)
    return b"data: " + orjson.dumps(said) + b"\n\n"


def _of_fields(data: bytes) -> dict[str, Any]:
    fields = _object(data) or {}
    said: dict[str, Any] = {name: fields[name] for name in _SAID if name in fields}
    response = fields.get("response")
    if isinstance(response, dict) and isinstance(response.get("usage"), dict):
        said["usage"] = response["usage"]
    return said


def _of_ends(event: bytes, data: bytes) -> dict[str, Any]:
    said: dict[str, Any] = {}
    first, last = data[:_FIRST_B], data[-_LAST_B:]
    kind = _NAME.match(event) or _TYPE.match(first)
    if kind is not None:
        said["type"] = kind[1].decode()
    number = _NUMBER.search(first) or _NUMBER.search(last)
    if number is not None:
        said["sequence_number"] = int(number[1])
    usage = _at_the_end(last, 2)
    if usage is not None:
        said["usage"] = usage
    return said


def _at_the_end(tail: bytes, deepest: int) -> dict[str, Any] | None:
    """The last object named `usage` that has at most `deepest` objects around it."""
    for found in reversed(list(_USAGE.finditer(tail))[-_CANDIDATES:]):
        end, around = _measured(tail[found.end() :])
        if 0 < around <= deepest:
            return _object(tail[found.end() : found.end() + end])
    return None


def _at_the_start(head: bytes) -> dict[str, Any] | None:
    for found in _USAGE.finditer(head):
        if _measured(head[: found.start()])[1] == -1:
            return _object(head[found.end() : found.end() + _measured(head[found.end() :])[0]])
    return None


def _measured(text: bytes) -> tuple[int, int]:
    """(where the object ends that `text` begins with, how many more brackets are closed than opened)."""
    plain = text.replace(b"\\\\", b"..").replace(b'\\"', b"..")
    depth, end = 0, 0
    for mark in _MARKS.finditer(plain):
        first = plain[mark.start()]
        if first == 0x22:  # a string
            continue
        depth += 1 if first in b"{[" else -1
        if not depth and not end:
            end = mark.end()
    return end, -depth


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
