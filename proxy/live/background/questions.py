"""One question of our own to an engine: a GET on a route, its answer whole or not at all.

Owns the bound on the answer. What is asked, how often and what it means is the prober's and the scraper's.
"""

import asyncio

from proxy.live.relay import Relay
from proxy.live.upstream.backends import Upstream
from proxy.model.classes import StreamSettings
from proxy.model.faults import FaultError
from proxy.model.limits import UpstreamLimits
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan


class Questions:
    """To one backend."""

    def __init__(
        self, backend: Upstream, limits: UpstreamLimits, loop: asyncio.AbstractEventLoop, request_id: str
    ) -> None:
        self._backend = backend
        self._limits = limits
        self._loop = loop
        self._id = request_id
        self.reached = True
        """The last connection that was tried was made; one that takes too long says nothing."""

    async def get(self, path: str, most_b: int, within_s: float) -> Relay:
        """Its answer; not `complete` where it is longer than `most_b` bytes. TimeoutError or FaultError for none."""
        async with self._backend.pool.watch.timeout(within_s):
            return await self._get(path, most_b)

    async def _get(self, path: str, most_b: int) -> Relay:
        try:
            connection = await self._backend.pool.connect()
        except FaultError:
            self.reached = False
            raise
        self.reached = True
        clock = self._backend.clock
        plan = StreamPlan(StreamSettings(), self._limits.event)
        relay = Relay(self._backend.name, plan, most_b, Timeline(clock()), Meter(), self._loop, clock)
        relay.connection = connection
        try:
            connection.send(self._backend.message("GET", path, self._id, [], b""), relay)
            await relay.ready
        finally:
            relay.release()
        return relay
