"""The fields of one line of a trace: numbers, counts, names and times, or why they are none.

Owns what a field may be, whatever the format.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

MAX_TOKENS = 10_000_000
"""No prompt or answer is longer; a larger number in a trace is a broken line."""


class BrokenLine(Exception):  # noqa: N818 — caught by `traces`, never seen outside
    """A line that cannot be understood."""


def text(row: dict[str, Any], key: str, most: int = 256) -> str:
    """Of at most so many characters; nothing where there is none."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BrokenLine(f"{key} is not text")
    return value[:most]


def object_or_none(line: str) -> dict[str, Any] | None:
    """The object of a line; None: it holds none."""
    try:
        return object_of(line)
    except BrokenLine:
        return None


def object_of(line: str) -> dict[str, Any]:
    """The object of a line. Like all here it raises BrokenLine."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise BrokenLine("not a JSON object") from None
    if not isinstance(row, dict):
        raise BrokenLine("not a JSON object")
    return row


def number(row: dict[str, Any], key: str) -> float:
    """A number of at least 0, neither infinite nor none."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise BrokenLine(f"{key} is not a number of at least 0" if key in row else f"{key} is missing")
    return float(value)


def count(row: dict[str, Any], key: str, least: int) -> int:
    """A whole number from `least` to `MAX_TOKENS`."""
    value = row.get(key)
    if type(value) is not int:
        raise BrokenLine(f"{key} is not a whole number" if key in row else f"{key} is missing")
    return in_range(key, value, least)


def in_range(key: str, value: int, least: int) -> int:
    """The value, if it is not too small or large."""
    if not least <= value <= MAX_TOKENS:
        raise BrokenLine(f"{key} is not between {least} and {MAX_TOKENS}")
    return value


def seconds(text: str) -> float:
    """Of a date and time; Azure writes seven digits of a second, which `fromisoformat` cuts to six."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BrokenLine("the time stamp is not a date and time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
