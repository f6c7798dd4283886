"""Which backend has which response or conversation, told to other proxies through the second level.

    after an answer     told ─▶ pending ─▶ SET with a time to live, many in one go
    an unknown id       GETRANGE, waited for 50 ms at most; no answer is as none

Owns their names and form there. A name is a digest of a tenant and an id together (`Owners`), so that nobody finds what
is another tenant's; what is read is believed only where its check sum fits its name. While nobody answers, what there
is to tell waits within a bound, the newest: others hear of it when it is back.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine
from hashlib import sha256
from typing import Any, Final, Protocol

from proxy.live.rest import Rest
from proxy.model.timeline import Clock

LOOK_S: Final = 0.05
"""More than for an answer that is kept: without it a conversation has ended."""
_SECOND_LOOK_S: Final = 0.02
"""What another proxy told a client just now may be on its way there still."""
_WRITE_S: Final = 0.5
_AGAIN_S: Final = 0.05
"""After a write that failed; twice as long each time, up to…"""
_AGAIN_MAX_S: Final = 1.0
_PENDING: Final = 4096
"""Owners that are not told yet, at most."""
_AT_ONCE: Final = 256
_OWNER: Final = b"tidegate:owner:"
_SUM_B: Final = 8
_MOST_B: Final = 2048

Owner = tuple[str, str]
"""Names of a backend and of the model that served it there."""


class Store(Protocol):
    """Where they are kept: the second level of the cache."""

    async def ask(self, work: Awaitable[Any], seconds: float, rest: Rest) -> Any:
        """What it says; None: nothing in time."""

    def soon(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that ends with it."""


class SharedOwners:
    """One per second level. `client`: of redis."""

    def __init__(self, store: Store, client: Any, clock: Clock) -> None:
        self._store = store
        self._client = client
        self._rest = Rest("the second level, asked for owners of responses,", clock)
        self._pending: OrderedDict[bytes, tuple[bytes, int]] = OrderedDict()
        """Name → value (empty: it is gone) and milliseconds to live."""
        self._writer: asyncio.Task[None] | None = None
        self.told = self.dropped = 0
        """Owners that are there, or were; and that never came there."""

    async def find(self, name: bytes) -> Owner | bool | None:
        """The owner; None: nobody said so; False: nobody answered."""
        waiting = self._pending.get(name)
        if waiting is not None:
            return unpacked(waiting[0], name)
        found = await self._look(name)
        if found is not None:
            return found
        await asyncio.sleep(_SECOND_LOOK_S)
        return await self._look(name)

    def tell(self, name: bytes, owner: Owner, keep_s: float) -> None:
        """Soon; nobody waits for it."""
        self._put(name, packed(owner, name), max(1, int(keep_s * 1e3)))

    def forget(self, name: bytes) -> None:
        """It is gone, for the other proxies too."""
        self._put(name, b"", 1)

    @property
    def is_idle(self) -> bool:
        """Whether all that there is to tell is told."""
        return self._writer is None

    async def close(self) -> None:
        """What is not told yet is, unless that takes long."""
        if self._writer is not None and self._rest.is_over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WRITE_S):
                    await asyncio.shield(self._writer)

    async def _look(self, name: bytes) -> Owner | bool | None:
        data = await self._store.ask(self._client.getrange(_OWNER + name, 0, _MOST_B), LOOK_S, self._rest)
        return False if data is None else unpacked(data, name)

    def _put(self, name: bytes, value: bytes, ttl_ms: int) -> None:
        self._pending[name] = (value, ttl_ms)
        self._pending.move_to_end(name)
        if len(self._pending) > _PENDING:
            self._pending.popitem(last=False)
            self.dropped += 1
        if self._writer is None:
            self._writer = self._store.soon(self._write())

    async def _write(self) -> None:
        again_s = _AGAIN_S
        try:
            while self._pending:
                batch = [self._pending.popitem(last=False) for _ in range(min(_AT_ONCE, len(self._pending)))]
                if await self._store.ask(self._sent(batch), _WRITE_S, self._rest) is not None:
                    self.told += len(batch)
                    again_s = _AGAIN_S
                    continue
                for name, value in reversed(batch):
                    if name not in self._pending:
                        self._pending[name] = value
                        self._pending.move_to_end(name, last=False)
                while len(self._pending) > _PENDING:
                    self._pending.popitem(last=False)
                    self.dropped += 1
                await asyncio.sleep(again_s)
                again_s = min(_AGAIN_MAX_S, 2 * again_s)
        finally:
            self._writer = None

    async def _sent(self, batch: list[tuple[bytes, tuple[bytes, int]]]) -> Any:
        pipeline = self._client.pipeline(transaction=False)
        for name, (value, ttl_ms) in batch:
            if value:
                pipeline.set(_OWNER + name, value, px=ttl_ms)
            else:
                pipeline.delete(_OWNER + name)
        return await pipeline.execute()


def packed(owner: Owner, name: bytes) -> bytes:
    """As it stands there, bound to its name."""
    text = "\0".join(owner).encode("utf-8", "replace")
    return sha256(name + text).digest()[:_SUM_B] + text


def unpacked(data: bytes, name: bytes) -> Owner | None:
    """None for what is not there, or is none of ours."""
    text = data[_SUM_B:]
    if not text or sha256(name + text).digest()[:_SUM_B] != data[:_SUM_B]:
        return None
    backend, _, model = text.decode("utf-8", "replace").partition("\0")
    return backend, model
