"""What stands at the place where two texts part, as one of a few safe classes: never the text itself.

Owns these classes and where in a line the changing value begins.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple


class BreakKind(StrEnum):
    """Closed: also a metric label."""

    TIMESTAMP = "timestamp"
    UUID = "uuid"
    COUNTER = "counter"
    BILLING_LINE = "billing line"
    HEX = "hex"
    RANDOM = "random"
    OTHER = "other"


class Break(NamedTuple):
    """Where in a line the value that changes begins, and what it is."""

    at: int
    kind: BreakKind


_AROUND_B: Final = 128
"""Of a line, so much on each side of the difference is looked at."""
_MONTH: Final = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_DAY: Final = rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?"
_TIME: Final = rb"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
_TIMESTAMP: Final = re.compile(
    b"|".join(
        (
            rb"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:(?:[T,]| at)? ?" + _TIME + rb")?",
            rb"\d{1,2}[/.]\d{1,2}[/.]\d{2,4}(?:,? " + _TIME + rb")?",
            _DAY + _MONTH + rb" \d{1,2}(?:st|nd|rd|th)?,?(?: \d{4})?(?:,?(?: at)? " + _TIME + rb"(?: \d{4})?)?",
            _DAY + rb"\d{1,2} " + _MONTH + rb",?(?: \d{4})?(?:,?(?: at)? " + _TIME + rb")?",
            _TIME,
            rb"(?<![\w.])1[4-9]\d{8}(?:\d{3}){0,3}(?:\.\d{1,9})?(?!\w)",
            rb"\d{8}T\d{6}Z?",
        )
    )
)
_UUID: Final = re.compile(rb"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_BILLING: Final = re.compile(rb"(?i)\s{0,16}[\w-]{0,40}billing[\w-]{0,40}\s?[:=]")
_WORD: Final = re.compile(rb"[A-Za-z0-9_+/=-]+")
_NUMBER: Final = re.compile(rb"(?<![A-Za-z0-9])\d{1,18}(?![A-Za-z0-9])")
_HEX: Final = re.compile(rb"(?:0x)?[0-9A-Fa-f]{8,}\Z")
_RANDOM_B: Final = 10
_NEAR: Final = 1_000_000
"""Numbers further apart than this are not counted up."""


def broken(before: bytes, after: bytes, at: int) -> Break:
    """Two lines that differ from byte `at` on."""
    if _BILLING.match(after) and _BILLING.match(before):
        return Break(0, BreakKind.BILLING_LINE)
    first = max(0, at - _AROUND_B)
    old, new, at = before[first : at + _AROUND_B], after[first : at + _AROUND_B], at - first
    for pattern, kind in ((_UUID, BreakKind.UUID), (_TIMESTAMP, BreakKind.TIMESTAMP)):
        start, _ = _value(pattern, new, at)
        if start >= 0 and _value(pattern, old, at)[0] >= 0:
            return Break(first + start, kind)
    start, kind = _of_word(old, new, at)
    return Break(first + start, kind)


def _of_word(old: bytes, new: bytes, at: int) -> tuple[int, BreakKind]:
    start, end = _value(_NUMBER, new, at)
    then, then_end = _value(_NUMBER, old, at)
    if start >= 0 and then == start:
        near = abs(int(new[start:end]) - int(old[then:then_end])) <= _NEAR
        return start, BreakKind.COUNTER if near else BreakKind.RANDOM
    start, end = _value(_WORD, new, at)
    if start < 0:
        return at, BreakKind.OTHER
    word = new[start:end]
    if _HEX.match(word) and _is_mixed(word):
        return start, BreakKind.HEX
    return start, BreakKind.RANDOM if len(word) >= _RANDOM_B and _is_mixed(word) else BreakKind.OTHER


def _value(pattern: re.Pattern[bytes], line: bytes, at: int) -> tuple[int, int]:
    """[start, end) of what the pattern finds around `at`; -1, -1: nothing."""
    for found in pattern.finditer(line):
        if found.start() > at:
            break
        if found.end() >= at:
            return found.start(), found.end()
    return -1, -1


def _is_mixed(word: bytes) -> bool:
    """Letters and digits: a word of a language has only the former."""
    return any(48 <= byte <= 57 for byte in word) and not word.isdigit()
