"""Who a tenant is, what it may use at most, and which models it may ask for."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from proxy.model.bounds import Bounds, Count, Form, Short

OTHERS: Final = "*"
"""Stands for every tenant without an entry, each by itself; those without an API key are one tenant."""
MAX_TENANT_ENTRIES = 1024
MAX_KEYS: Final = 1024
"""Of one tenant."""
MAX_SCOPES: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_DIGITS: Final = re.compile("[0-9a-f]{8}", re.ASCII)
_KEYS: Final = ("sk-", "tg-")
_Pattern = Annotated[str, Bounds(min_length=1, max_length=256)]
_ClassName = Annotated[str, Bounds(pattern=r"^[A-Za-z0-9._-]{1,32}$")]


def is_tenant(text: str) -> bool:
    """Whether a tenant, or all others, can be called so. What begins as API keys do is none: it would be in every
    metric."""
    return text == OTHERS or (_NAME.fullmatch(text) is not None and not text.startswith(_KEYS))


def is_digits(text: str) -> bool:
    """Whether it is how a tenant is called that nobody has named: by digits of the digest of its key."""
    return _DIGITS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """One API key; its digest alone may be written for it."""

    digest: Annotated[str, Form.DIGEST]
    """`sha256:` and the 64 hex digits of its SHA-256, as `tidegate key new` prints it; the key stands nowhere."""
    id: Annotated[str, Bounds(max_length=64, pattern=r"^[A-Za-z0-9._@+-]*$")] = ""
    """What people call it, such as the machine that has it."""
    expires: Annotated[float, Form.MOMENT] | None = None
    """From then on it is refused: `2027-01-01` (midnight UTC), or `2027-01-01T12:00:00Z`. null: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """Hard limits, whatever room there is. Above: 429 with Retry-After and `x-ratelimit-*`."""

    requests_per_minute: Count | None = None
    """Requests, spread evenly: after a pause so many at once. null: no limit."""
    tokens_per_minute: Count | None = None
    """Tokens of prompts and answers: expected ones when a request comes, the true ones when it ends. null: no limit."""
    input_tokens_per_minute: Count | None = None
    """The same of prompts alone."""
    output_tokens_per_minute: Count | None = None
    """The same of answers alone."""
    tokens_per_day: Count | None = None
    """Tokens of prompts and answers in a day, which begins at midnight UTC; kept in `state`, where that is on. null: no
    limit."""
    max_concurrent: Count | None = None
    """Requests that are answered or wait here at the same time. null: no limit."""
    max_streams: Count | None = None
    """The same of streams alone."""

    @property
    def is_limited(self) -> bool:
        """Whether there is any."""
        return any(
            limit is not None
            for limit in (
                self.requests_per_minute,
                self.tokens_per_minute,
                self.input_tokens_per_minute,
                self.output_tokens_per_minute,
                self.tokens_per_day,
                self.max_concurrent,
                self.max_streams,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeSettings(Ceilings):
    """Hard limits of one tenant for some of its requests, beside those for all of them."""

    model: _Pattern | None = None
    """For requests of this model alone; a `*` at the end stands for any rest, which share the limits. null: of any."""
    class_: _ClassName | None = None
    """For requests of this traffic class alone. null: of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings(Ceilings):
    """One tenant: whose keys are its, what it may ask for, and how much."""

    tenant: Annotated[str, Form.TENANT]
    """Its name in metrics, logs and rules. Of a key that nobody has named: the first 8 hex digits of its SHA-256, where
    `auth` asks for none. `*`: each one without an entry."""
    keys: Annotated[tuple[Annotated[KeySettings, Short("digest")], ...], Bounds(max_length=MAX_KEYS)] = ()
    """Its API keys, by their digests."""
    models: Annotated[tuple[_Pattern, ...], Bounds(min_length=1, max_length=256)] | None = None
    """Names it may ask for; a `*` at the end stands for any rest. For it there are no others. null: all."""
    highest_class: _ClassName | None = None
    """Requests that would be of a class above this one are of this one: above are all others before bulk, and then
    those of a higher priority. null: any class."""
    weight: Annotated[float, Bounds(gt=0, le=1000)] = 1.0
    """Its share beside others, where they want the same."""
    limits: Annotated[tuple[ScopeSettings, ...], Bounds(max_length=MAX_SCOPES)] = ()
    """More limits, of single models and classes."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit at one moment."""

    limit: int
    left: int
    """Not below 0."""
    full_in_s: float
    """Until all of it is there again, if nothing is used."""


@dataclass(frozen=True, slots=True)
class QuotaView:
    """The limits of one tenant at one moment; None: it has no such limit."""

    requests: Allowance | None
    tokens: Allowance | None
    concurrent: int
    """Open now."""
    max_concurrent: int | None
    input_tokens: Allowance | None = None
    output_tokens: Allowance | None = None
    day_tokens: Allowance | None = None
    streams: int = 0
    """Open now."""
    max_streams: int | None = None
