"""The second level: Redis or Valkey, shared by several proxies. Never waited for longer than 5 ms, never needed.

    kept answers   SET with a time to live, GET
    leases         SET NX with a time to live: who gets one makes the answer
    epochs         one hash, HINCRBY; read once a second, so that a bump of one proxy reaches the others
    owners         of responses and conversations: `shared_owners`

Owns the client, the names of its own keys there, the time limits, and what happens without it: nothing is asked for a
second after so many failures in a row, then it is tried again. What it holds is believed only when its check sum fits
(`wire/kept`).
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Coroutine
from typing import Any, Final

from proxy.core.cache.versions import Versions
from proxy.live.rest import Rest
from proxy.live.shared_owners import SharedOwners
from proxy.model.timeline import Clock
from proxy.wire import kept
from proxy.wire.kept import Kept

TIMEOUT_S: Final = 0.005
_CONNECT_S: Final = 1.0
_LOOK_S: Final = 0.02
"""While another proxy makes an answer, it is looked for so often at first, and half as often each time."""
_LOOK_MAX_S: Final = 0.25
_SHARE_S: Final = 1.0
_SHARE_TIMEOUT_S: Final = 0.5
_WRITES: Final = 64
"""Answers on their way there at once; more are not sent."""
CONNECTIONS: Final = 32
"""Questions at once; more are not asked. After a burst their connections are closed."""
_KEPT: Final = b"tidegate:kept:"
_LEASE: Final = b"tidegate:lease:"
_EPOCHS: Final = "tidegate:epochs"
_GIVE_BACK: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class RemoteCache:
    """One per proxy. RuntimeError where the client library is not installed, ValueError for an address that is none."""

    def __init__(self, url: str, password: str | None, versions: Versions, entry_b: int, clock: Clock) -> None:
        try:
            from redis import asyncio as redis
            from redis.exceptions import RedisError
        except ImportError as error:
            raise RuntimeError("cache.remote needs the package redis: pip install 'tidegate[cache]'") from error
        self._client: Any = redis.Redis.from_url(
            url,
            password=password,
            socket_connect_timeout=_CONNECT_S,
            max_connections=CONNECTIONS,
            retry=None,
        )
        self._errors = (RedisError, OSError, TimeoutError)
        self._versions = versions
        self._clock = clock
        self._most_b = entry_b + 1024
        self._name = secrets.token_hex(8)
        self._asked = 0
        """Questions on their way,"""
        self._most_asked = self._most_before = 0
        """at most in this second, and in the one before."""
        self._rest = Rest("the second level of the cache", clock)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._wakes = asyncio.Event()
        self.is_draining = False
        """Nobody waits for other proxies any more."""
        self.counts: Counter[str] = Counter()
        """What happened: hit, miss, error, foreign, stored, left_out."""
        self.owners = SharedOwners(self, self._client, clock)
        """Of what engines keep."""

    @property
    def is_there(self) -> bool:
        """Whether it is asked at all, now."""
        return self._rest.is_over

    async def get(self, key: bytes) -> Kept | None:
        """A kept answer; None also where nobody answers in time."""
        data = await self._within(self._client.getrange(_KEPT + key, 0, self._most_b))
        if data is None:
            return None
        if not data:
            self.counts["miss"] += 1
            return None
        found = kept.unpacked(data, key)
        self.counts["foreign" if found is None else "hit"] += 1
        return found

    async def lease(self, key: bytes, for_s: float) -> bool:
        """Whether we are the ones to make this answer; so it is, too, where nobody can tell."""
        if for_s <= 0:
            return True
        taken = self._client.set(_LEASE + key, self._name, nx=True, px=max(1, int(for_s * 1e3)))
        before = self.counts["error"]
        return bool(await self._within(taken)) or self.counts["error"] > before or not self.is_there

    async def awaited(self, key: bytes, within_s: float) -> Kept | None:
        """The answer that another proxy makes, when it is there; None: nobody makes it any more, or that takes too
        long."""
        until, pause_s = self._clock() + within_s, _LOOK_S
        while self._clock() < until and self.is_there and not self.is_draining:
            await asyncio.sleep(min(pause_s, max(0.0, until - self._clock())))
            pause_s = min(_LOOK_MAX_S, pause_s * 1.5)
            is_made = await self._within(self._client.exists(_LEASE + key))
            found = await self.get(key)
            if found is not None or not is_made:
                return found
        return None

    def put_soon(self, key: bytes, answer: Kept, ttl_s: float, lease: bytes) -> None:
        """Keep it there, then give back the lease, if there is one; nobody waits for that."""
        if len(self._tasks) >= _WRITES:
            self.counts["left_out"] += 1
            return
        self.soon(self._put(key, kept.packed(answer, key), max(1, int(ttl_s * 1e3)), lease))

    def give_back_soon(self, key: bytes) -> None:
        """The lease of an answer that was made, or will not be."""
        self.soon(self._give_back(key))

    def share_soon(self) -> None:
        """There are bumps that the others do not know of."""
        self._wakes.set()

    async def run(self) -> None:
        """Share epochs, until cancelled."""
        while True:
            await self._share()
            await self._shrink()
            self._wakes.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SHARE_S):
                    await self._wakes.wait()

    async def close(self) -> None:
        """End what is on its way; owners that others do not know of yet are told, where that is done at once."""
        await self.owners.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(*self._errors):
            await self._client.aclose()

    # --- for whoever else keeps something there

    async def ask(self, work: Awaitable[Any], seconds: float, rest: Rest) -> Any:
        """What it says; None where it says nothing in time, or is not asked."""
        if not rest.is_over or self._asked >= CONNECTIONS:
            self.counts["left_out"] += 1
            _forget(work)
            return None
        self._asked += 1
        self._most_asked = max(self._most_asked, self._asked)
        try:
            async with asyncio.timeout(seconds):
                said = await work
        except self._errors as error:
            self.counts["error"] += 1
            rest.failed(error)
            return None
        finally:
            self._asked -= 1
        rest.answered()
        return said

    def soon(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that ends with it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- inside

    async def _put(self, key: bytes, data: bytes, ttl_ms: int, lease: bytes) -> None:
        if await self._within(self._client.set(_KEPT + key, data, px=ttl_ms), _SHARE_TIMEOUT_S):
            self.counts["stored"] += 1
        if lease:
            await self._give_back(lease)

    async def _give_back(self, key: bytes) -> None:
        await self._within(self._client.eval(_GIVE_BACK, 1, _LEASE + key, self._name), _SHARE_TIMEOUT_S)

    async def _share(self) -> None:
        for name, bumps in self._versions.unshared().items():
            count = await self._within(self._client.hincrby(_EPOCHS, name, bumps), _SHARE_TIMEOUT_S)
            if count is None:
                return
            self._versions.told_others(name, bumps, int(count))
        counts = await self._within(self._client.hgetall(_EPOCHS), _SHARE_TIMEOUT_S)
        if counts is not None:
            told = {name.decode("utf-8", "replace"): int(count) for name, count in counts.items() if count.isdigit()}
            self._versions.shared(told)

    async def _shrink(self) -> None:
        before, self._most_before, self._most_asked = self._most_before, self._most_asked, 0
        if self._most_before <= 1 < before:
            await self._client.connection_pool.disconnect(inuse_connections=False)

    async def _within(self, work: Awaitable[Any], seconds: float = TIMEOUT_S) -> Any:
        return await self.ask(work, seconds, self._rest)


def _forget(work: Any) -> None:
    """A coroutine that is not waited for must be told so."""
    close = getattr(work, "close", None)
    if close is not None:
        close()
