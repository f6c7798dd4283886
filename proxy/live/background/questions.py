"""One question of our own to an engine: its answer whole or not at all.

Owns the bound on the answer. What is asked, how often and what it means is for its askers: prober, scraper, warmer.
"""

import asyncio
from typing import Final

from proxy.live.relay import Relay
from proxy.live.upstream.backends import Upstream
from proxy.model.classes import StreamSettings
from proxy.model.faults import FaultError
from proxy.model.limits import UpstreamLimits
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan

_JSON: Final = [(b"content-type", b"application/json")]


class Questions:
    """To one backend."""

    def __init__(
        self, backend: Upstream, limits: UpstreamLimits, loop: asyncio.AbstractEventLoop, request_id: str
    ) -> None:
        self._backend = backend
        self.limits = limits
        self._loop = loop
        self._id = request_id
        self.reached = True
        """The last connection that was tried was made; one that takes too long says nothing."""

    async def get(self, path: str, most_b: int, within_s: float) -> Relay:
        """Its answer; not `complete` where it is longer than `most_b` bytes. TimeoutError or FaultError for none."""
        async with self._backend.pool.watch.timeout(within_s):
            return await self._ask("GET", path, b"", most_b)

    async def post(self, path: str, body: bytes, most_b: int, within_s: float) -> Relay:
        """The same for a question with a body of JSON."""
        async with self._backend.pool.watch.timeout(within_s):
            return await self._ask("POST", path, body, most_b)

    async def _ask(self, method: str, path: str, body: bytes, most_b: int) -> Relay:
        try:
            connection = await self._backend.pool.connect()
        except FaultError:
            self.reached = False
            raise
        self.reached = True
        clock = self._backend.clock
        plan = StreamPlan(StreamSettings(), self.limits.event)
        relay = Relay(self._backend.name, plan, most_b, Timeline(clock()), Meter(), self._loop, clock)
        relay.connection = connection
        try:
            connection.send(self._backend.message(method, path, self._id, _JSON if body else [], body), relay)
            await relay.ready
        finally:
            relay.release()
        return relay
