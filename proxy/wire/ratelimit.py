"""What a tenant may still use, in the headers of an answer: as OpenAI writes them, and as Anthropic does.

    OpenAI       x-ratelimit-{limit,remaining,reset}-{requests,tokens,…}      reset: a duration, such as 6m0s
    Anthropic    anthropic-ratelimit-{requests,tokens,…}-{limit,remaining,reset}      reset: a time, RFC 3339

Beside the names that both have, `input-tokens`, `output-tokens` (Anthropic's) and `day-tokens` (ours) are told alike.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from typing import Final

from proxy.model.endpoint import Api
from proxy.model.tenants import Allowance, QuotaView

_OPENAI: Final = b"x-ratelimit-"
_ANTHROPIC: Final = b"anthropic-ratelimit-"
_PREFIXES: Final = (_OPENAI, _ANTHROPIC)
Headers = list[tuple[bytes, bytes]]


def replaced(headers: Headers, quota: QuotaView, api: Api, wall_s: float) -> Headers:
    """The headers of an answer with ours: those of the engine are about its key, not about this tenant. `wall_s`: now,
    in seconds since 1970."""
    kept = [header for header in headers if not header[0].startswith(_PREFIXES)]
    for what, allowance in told(quota):
        if allowance is not None:
            kept += _anthropic(what, allowance, wall_s) if api is Api.MESSAGES else _openai(what, allowance)
    return kept


def told(quota: QuotaView) -> tuple[tuple[bytes, Allowance | None], ...]:
    """The limits that are told, by what they are of."""
    return (
        (b"requests", quota.requests),
        (b"tokens", quota.tokens),
        (b"input-tokens", quota.input_tokens),
        (b"output-tokens", quota.output_tokens),
        (b"day-tokens", quota.day_tokens),
    )


def _openai(what: bytes, allowance: Allowance) -> Iterator[tuple[bytes, bytes]]:
    yield _OPENAI + b"limit-" + what, b"%d" % allowance.limit
    yield _OPENAI + b"remaining-" + what, b"%d" % allowance.left
    yield _OPENAI + b"reset-" + what, duration(allowance.full_in_s).encode()


def _anthropic(what: bytes, allowance: Allowance, wall_s: float) -> Iterator[tuple[bytes, bytes]]:
    yield _ANTHROPIC + what + b"-limit", b"%d" % allowance.limit
    yield _ANTHROPIC + what + b"-remaining", b"%d" % allowance.left
    yield _ANTHROPIC + what + b"-reset", moment(wall_s + allowance.full_in_s).encode()


def duration(seconds: float) -> str:
    """`60ms`, `1.5s`, `6m0s`: never less than it is."""
    milliseconds = int(-(-seconds * 1000 // 1))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"


def moment(wall_s: float) -> str:
    """`2027-01-01T00:00:00Z`: never before it is."""
    return datetime.fromtimestamp(ceil(wall_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
