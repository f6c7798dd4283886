"""Answers that must have a form: whether it is checked that they do, and what can be found.

Owns the words of it. How the form is read stands in `wire/structured`, the check itself in `wire/schema_check`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What was found of one answer. Closed: also a metric label."""

    VALID = "valid"
    NOT_JSON = "not_json"
    MISMATCH = "mismatch"
    """JSON, and not what the schema says."""
    UNFINISHED = "unfinished"
    """Cut at its limit of tokens, filtered, or not readable as an answer."""
    REFUSAL = "refusal"
    """The model declined, in words that need no form."""
    UNUSABLE = "schema_unusable"
    """The schema is none, refers to another place (which is never fetched), or to itself without end."""
    TOO_LARGE = "too_large"
    """The schema or the answer: not checked."""
    SLOW = "timeout"
    """The check did not end in time, or did not the last time with this schema."""
    BUSY = "busy"
    """Too many are to be checked: not checked."""
    FAILED = "checker_failed"
    """Its process died of it: not checked."""


WRONG = frozenset({Verdict.NOT_JSON, Verdict.MISMATCH})
"""What asking once more may mend."""


class Finding(NamedTuple):
    """A verdict, and what is wrong in words; they hold a part of the answer, and are for its engine alone."""

    verdict: Verdict
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateSettings:
    """Whether answers that must have a form (`response_format`, strict tools) are checked to have it."""

    answers: bool = False
    """Check them, in a process of its own (40 MB) that is killed when it takes longer than half a second; the header
    `x-tidegate-structured` says what was found. Streams are checked when they have ended. `validate: true` is short for
    this option alone."""
    repair: bool = False
    """A whole answer that is wrong is asked for once more, with what is wrong with it, within a budget as that of
    `retries`. The client gets the first one when the second is wrong, too."""
