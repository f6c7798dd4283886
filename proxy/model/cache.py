"""Which answers are kept to be given again: how much memory, for how long, of which requests."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from proxy.model.bounds import Bounds, Duration, Form, Share, Size
from proxy.model.units import MIB

INSTANT = "instant"
_PACED = re.compile(r"paced ([0-9]{1,6}(?:\.[0-9]{1,3})?)/s", re.ASCII)
CacheMode = Literal["off", "exact", "all"]
CacheScope = Literal["tenant", "shared"]


class CacheRule(NamedTuple):
    """The rule of one class, all filled in."""

    mode: CacheMode = "exact"
    is_shared: bool = False
    tokens_per_s: float = 0.0
    """Pace of a stream that is given again; 0: all at once."""


USUAL = CacheRule()


def pace_of(text: str) -> float:
    """Tokens a second of a replay, as it is written; 0: all at once, or it is no pace."""
    match = _PACED.fullmatch(text)
    return 0.0 if match is None else float(match.group(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCacheSettings:
    """What of a class is kept, and how it is given again. Only where `cache.size` says that anything is."""

    mode: CacheMode = "exact"
    """`exact`: requests whose answer is meant to be the same each time (temperature 0 or a fixed seed; embeddings,
    rankings). `all`: whatever the body says. `off`: none. `cache: all` is short for this option alone."""
    scope: CacheScope = "tenant"
    """`tenant`: what was answered to one API key is given to that key alone. `shared`: to all of this class, without
    their keys being shown to an engine; nothing tells them then where an answer came from, but for its speed."""
    replay: Annotated[str, Form.PACE] = INSTANT
    """How streams are given again: `instant`, or at a pace, such as `paced 50/s`, in events of the engine."""

    def rule(self) -> CacheRule:
        """What the data path needs of it."""
        return CacheRule(self.mode, self.scope == "shared", pace_of(self.replay))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """Answers that are kept in memory and given again to the same request; `size` switches it on."""

    size: Size = 0
    """Memory for answers, all that they take counted; the least recently used go first. 0: none are kept."""
    ttl: Duration = 3600.0
    """Longest life of an answer."""
    entry: Size = 1 * MIB
    """Largest answer that is kept."""
    tenant_share: Share = 1.0
    """Share of `size` that one tenant may fill. Where all is full, whoever has most gives way first."""
    epoch: Annotated[str, Bounds(max_length=64)] = ""
    """Any word; another one makes all that was kept unreachable, in the second level too. While it runs:
    `tidegate cache bump`."""
    coalesce: Duration = 30.0
    """For so long a request waits for the answer to an identical one that is being made; then it goes on its own way.
    0: it never waits, but may share that call as it flows, and then fails with it (`window.share_identical`)."""
    remote: Annotated[str, Form.STORE] | None = None
    """Redis or Valkey behind the memory of this proxy, shared with others: `redis://HOST:PORT/DB`, `rediss://` for TLS.
    When it is slow (5 ms) or away, requests go on without it. Proxies also tell each other there which backend has
    which response and conversation, `size: 0` or not; their backends must have the same names. null: none."""


class CacheView(NamedTuple):
    """What is kept, and what was done, at one moment."""

    size_b: int
    used_b: int
    entries: int
    scopes: int
    """Tenants, and classes that share."""
    stored: int
    evicted: int
    expired: int
    too_large: int
    bumps: int
    waiting: int
    """Requests whose answer others wait for, or may."""
    remote: dict[str, int]
    """Of the second level, by what happened; empty: there is none."""
