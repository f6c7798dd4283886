"""What all requests share of the cache: the kept answers, their versions, who is under way, the second level.

Owns the numbers of the configuration, and the clocks: entries have monotonic times here and wall times elsewhere.
"""

import asyncio
import itertools
import secrets
from typing import Final

from proxy.core.cache.store import Entry, Store
from proxy.core.cache.versions import Versions
from proxy.live.cache.flights import Flights
from proxy.live.cache.remote import RemoteCache
from proxy.live.tokenizers import Tokenizers
from proxy.model.cache import CacheSettings
from proxy.model.timeline import Clock
from proxy.wire.kept import Kept
from proxy.wire.tap import Taps

_TAPS_SHARE: Final = 8
"""Answers under way that may be kept hold at most this part of the cache's size, on top of it…"""
_TAPS_MIN: Final = 4
"""… but so many of the largest at least."""


class Memory:
    """One per proxy. `event_limit_b`: of one event of a stream; `wall`: seconds since 1970."""

    def __init__(
        self,
        settings: CacheSettings,
        versions: Versions,
        tokenizers: Tokenizers,
        event_limit_b: int,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        wall: Clock,
        remote: RemoteCache | None = None,
    ) -> None:
        self.versions = versions
        self.remote = remote
        self.loop = loop
        self.clock = clock
        self.wall = wall
        self.flights = Flights(loop)
        self.store = Store(settings.size, settings.entry, settings.tenant_share)
        self.entry_b: int = settings.entry
        self.coalesce_s: float = settings.coalesce
        self.event_limit_b = event_limit_b
        self.tokenizers = tokenizers
        self.size_b: int = settings.size
        self.taps = Taps(self._taps_b())
        self.ttl_s: float = settings.ttl
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def configure(self, settings: CacheSettings, event_limit_b: int, remote: RemoteCache | None) -> None:
        """Other numbers; what is kept stays, as far as it has room, for the time that was said when it came."""
        before_b = self._taps_b()
        self.size_b, self.entry_b = settings.size, settings.entry
        self.coalesce_s, self.ttl_s = settings.coalesce, settings.ttl
        self.event_limit_b, self.remote = event_limit_b, remote
        self.store.resize(settings.size, settings.entry, settings.tenant_share)
        self.taps.left_b += self._taps_b() - before_b

    def _taps_b(self) -> int:
        return max(self.size_b // _TAPS_SHARE, _TAPS_MIN * self.entry_b)

    def unique(self) -> str:
        """A name for an answer that is given again."""
        return f"{self._prefix}{next(self._numbers):x}"

    def get(self, scope: bytes, key: bytes, max_age_s: float | None) -> Entry | None:
        """A kept answer, not older than that."""
        now = self.clock()
        entry = self.store.get(scope, key, now)
        return None if entry is None or (max_age_s is not None and entry.age_s(now) > max_age_s) else entry

    def age_s(self, entry: Entry) -> float:
        """Since it was made."""
        return entry.age_s(self.clock())

    def put(self, scope: bytes, key: bytes, answer: Kept) -> Entry | None:
        """Keep it for what is left of its time; clocks of other machines may be wrong."""
        age_s = min(max(0.0, self.wall() - answer.made), self.ttl_s)
        return self.store.put(scope, key, answer, answer.size_b, self.clock() - age_s, self.ttl_s)
