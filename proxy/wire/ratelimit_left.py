"""What a cloud says is left of its quota, in the head of an answer: `x-ratelimit-remaining-…`, `-reset-…`
and `-limit-…`.

Owns reading them as OpenAI and those compatible with it write them: numbers, and durations as Go does (`60ms`, `6m0s`),
or plain seconds. What cannot be read is not said.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_PREFIX: Final = b"x-ratelimit-"
_AMOUNT: Final = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{1,6})?\Z")
_DURATION: Final = re.compile(rb"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|us|\xc2\xb5s|ns|d|h|m|s))+\Z")
_PART: Final = re.compile(rb"([0-9.]+)(ms|us|\xc2\xb5s|ns|d|h|m|s)")
_UNITS_S: Final = {
    b"d": 86_400.0,
    b"h": 3600.0,
    b"m": 60.0,
    b"s": 1.0,
    b"ms": 1e-3,
    b"us": 1e-6,
    b"\xc2\xb5s": 1e-6,
    b"ns": 1e-9,
}


class Left(NamedTuple):
    """None: not said. In the order of the report that is made of it."""

    requests: float | None
    requests_reset_s: float | None
    requests_limit: float | None
    tokens: float | None
    tokens_reset_s: float | None
    tokens_limit: float | None


def remaining(headers: Iterable[tuple[bytes, bytes]]) -> Left | None:
    """None: nothing is said of what is left."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(_PREFIX):
            found[lower] = value.strip()
    if not found:
        return None
    requests, tokens = _amount(found, b"remaining-requests"), _amount(found, b"remaining-tokens")
    if requests is None and tokens is None:
        return None
    requests_reset_s = seconds(found.get(b"x-ratelimit-reset-requests"))
    tokens_reset_s = seconds(found.get(b"x-ratelimit-reset-tokens"))
    requests_limit, tokens_limit = _amount(found, b"limit-requests"), _amount(found, b"limit-tokens")
    return Left(requests, requests_reset_s, requests_limit, tokens, tokens_reset_s, tokens_limit)


def seconds(text: bytes | None) -> float | None:
    """Of a duration; None: it is none."""
    if not text:
        return None
    if _AMOUNT.match(text):
        return float(text)
    if not _DURATION.match(text):
        return None
    return sum([float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text)])


def _amount(found: dict[bytes, bytes], what: bytes) -> float | None:
    text = found.get(_PREFIX + what)
    return float(text) if text and _AMOUNT.match(text) else None
