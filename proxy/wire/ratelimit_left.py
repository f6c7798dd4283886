"""What a cloud says is left of its quota, in the head of an answer.

    OpenAI, Azure, Groq, …   x-ratelimit-{limit,remaining,reset}-{requests,tokens}
    Mistral, Cerebras        x-ratelimit-…-{req,requests,tokens}-minute
    DigitalOcean             x-ratelimit-…-tokens-per-minute
    Fireworks                x-ratelimit-…-tokens-prompt
    Anthropic                anthropic-ratelimit-{requests,tokens,input-tokens}-{limit,remaining,reset}

Owns reading them: numbers; resets as durations (Go's `60ms`, `6m0s`, or plain seconds) or as moments (RFC 3339, seconds
since 1970), which are compared with the `date` of the answer. What is of an hour or a day is not a minute's, and is not
read; what cannot be read is not said.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

_PREFIXES: Final = (b"x-ratelimit-", b"anthropic-ratelimit-")
_EPOCH_S: Final = 1e9
"""Larger numbers are moments, since 1970."""
_AMOUNT: Final = re.compile(rb"[0-9]{1,13}(?:\.[0-9]{1,6})?\Z")
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


class _Spelling(NamedTuple):
    """Names of headers."""

    limit: bytes
    remaining: bytes
    reset: bytes


def _openai(what: bytes) -> _Spelling:
    return _Spelling(b"x-ratelimit-limit-" + what, b"x-ratelimit-remaining-" + what, b"x-ratelimit-reset-" + what)


def _anthropic(what: bytes) -> _Spelling:
    name = b"anthropic-ratelimit-" + what
    return _Spelling(name + b"-limit", name + b"-remaining", name + b"-reset")


_REQUESTS: Final = (
    _openai(b"requests"),
    _anthropic(b"requests"),
    _openai(b"requests-minute"),
    _openai(b"req-minute"),
)
_TOKENS: Final = (
    _openai(b"tokens"),
    _anthropic(b"tokens"),  # of the tightest of its limits
    _openai(b"tokens-minute"),
    _openai(b"tokens-per-minute"),
    _openai(b"tokens-prompt"),
    _anthropic(b"input-tokens"),
)
_UNSAID: Final = (None, None, None)


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
        if lower.startswith(_PREFIXES) or lower == b"date":
            found[lower] = value.strip()
    if len(found) < 2 and (not found or b"date" in found):
        return None
    requests, tokens = _of(found, _REQUESTS), _of(found, _TOKENS)
    return None if requests is None and tokens is None else Left(*(requests or _UNSAID), *(tokens or _UNSAID))


def seconds(text: bytes | None) -> float | None:
    """Of a duration; None: it is none."""
    if not text:
        return None
    if _AMOUNT.match(text):
        return float(text)
    if not _DURATION.match(text):
        return None
    return sum([float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text)])


def _of(found: dict[bytes, bytes], spellings: tuple[_Spelling, ...]) -> tuple[float, float | None, float | None] | None:
    """What is left, when it is whole, and of how much: as the first says that says what is left."""
    for spelling in spellings:
        left = _amount(found.get(spelling.remaining))
        if left is not None:
            reset, limit = found.get(spelling.reset), _amount(found.get(spelling.limit))
            return left, _until(reset, found.get(b"date")), limit
    return None


def _until(reset: bytes | None, now: bytes | None) -> float | None:
    """Seconds: of a duration, or until a moment by the sender's own clock."""
    told = seconds(reset)
    if told is not None and told < _EPOCH_S:
        return told
    try:
        sent = parsedate_to_datetime((now or b"").decode("latin-1")).timestamp()
        if told is None:
            told = datetime.fromisoformat((reset or b"").decode("latin-1")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    while told > _EPOCH_S * 1000:  # milliseconds
        told /= 1000
    return max(0.0, told - sent)


def _amount(text: bytes | None) -> float | None:
    return float(text) if text and _AMOUNT.match(text) else None
