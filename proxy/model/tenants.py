"""What a tenant may use at most, and which models it may ask for."""

import re
from dataclasses import dataclass
from typing import Annotated

from proxy.model.bounds import Bounds, Count, Form

OTHERS = "*"
"""Stands for every tenant without an entry, each by itself; those without an API key are one tenant."""
MAX_TENANT_ENTRIES = 1024
_DIGEST = re.compile("[0-9a-f]{8}", re.ASCII)
_Pattern = Annotated[str, Bounds(min_length=1, max_length=256)]


def is_tenant(text: str) -> bool:
    """Whether a tenant, or all others, can be called so."""
    return text == OTHERS or _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """Hard limits of one tenant, whatever room there is. Above: 429 with Retry-After and `x-ratelimit-*`."""

    tenant: Annotated[str, Form.TENANT]
    """The first 8 hex digits of the SHA-256 of its API key, as metrics show them. `*`: each one without an entry."""
    requests_per_minute: Count | None = None
    """Requests, spread evenly: after a pause so many at once. null: no limit."""
    tokens_per_minute: Count | None = None
    """Tokens of prompts and answers: expected ones when a request comes, the true ones when it ends. null: no limit."""
    max_concurrent: Count | None = None
    """Requests that are answered or wait here at the same time. null: no limit."""
    models: Annotated[tuple[_Pattern, ...], Bounds(min_length=1, max_length=256)] | None = None
    """Names it may ask for; a `*` at the end stands for any rest. For it there are no others. null: all."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit per minute at one moment."""

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
