"""The worker that decides, as the hub sees it: what becomes of the others' requests in this process.

Owns the hub of a proxy, and what the parent hears of the configuration.
"""

import asyncio
import pickle
import socket
from time import monotonic
from typing import Final

from proxy.app.candidate import Candidate
from proxy.app.configured import Commit
from proxy.app.proxy import Proxy
from proxy.app.workers.share import of_follower
from proxy.live.workers.hub import Hub
from proxy.obs.record import Record

_LAST_S: Final = 2.0
"""For the last words of others, whose drain began with ours."""
_LOOK_S: Final = 0.02


class DecidingHost:
    """One per process; `serves` before anybody joins."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._proxy: Proxy | None = None
        self._hub: Hub | None = None
        self._config = b""

    def serves(self, proxy: Proxy) -> None:
        """It is put together."""
        self._proxy = proxy
        self._config = pickle.dumps(of_follower(proxy.config))
        lasting = proxy.lasting
        self._hub = Hub(lasting.driver, lasting.scheduler, lasting.loop, monotonic, self, self._version)
        proxy.configured.register(self._take)

    async def join(self, connection: socket.socket) -> None:
        """A worker is at the other end."""
        assert self._hub is not None
        await self._hub.join(connection)

    def close(self) -> None:
        """Others decide alone from now on."""
        if self._hub is not None:
            self._hub.close()

    def others(self) -> int:
        """Requests of other workers that are open."""
        return 0 if self._hub is None else self._hub.open_jobs()

    async def last(self) -> None:
        """The others have said everything, or had time enough for it."""
        end = monotonic() + _LAST_S
        while self._hub is not None and self._hub.peers and monotonic() < end:  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(_LOOK_S)
        self.close()

    # --- as the hub has it

    def record(self, record: Record) -> None:
        """A request is over."""
        assert self._proxy is not None
        self._proxy.record(record)

    def unreached(self, backend: str) -> None:
        """A worker could not connect to it: its prober looks at once."""
        assert self._proxy is not None
        known = self._proxy.lasting.backends.get(backend)
        if known is not None:
            known.is_lost.set()

    def config(self) -> bytes:
        """What workers are to serve by, pickled."""
        return self._config

    def _take(self, new: Candidate) -> Commit:
        config = pickle.dumps(of_follower(new.config))

        def commit() -> None:
            self._config = config
            if self._hub is not None:
                self._hub.tell_config(config)

        return commit
