"""Reads an engine's metrics now and then and tells the scheduler. One task per backend.

Nothing waits for it: metrics that are late, hang, lie or are missing leave the scheduler with what it knows from
traffic. Owns the rhythm and the bounds; what is read and where is `engines.load`'s.
"""

import asyncio
import logging
from time import monotonic

from proxy.engines import load
from proxy.engines.load import NOTHING, Reading, Source
from proxy.live.backends import Backend
from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.live.stream import StreamPlan
from proxy.model.classes import StreamSettings
from proxy.model.commands import Load, Restarted
from proxy.model.faults import FaultError
from proxy.model.limits import UpstreamLimits
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter

_log = logging.getLogger("tidegate.scraper")
_TIMEOUT_S = 5.0
"""llama.cpp answers between two steps, which take seconds when prompts are long."""
_NOT_THERE = frozenset({401, 403, 404, 405, 501})
"""It will not tell tomorrow either."""
_TRY_AGAIN_S = 60.0
"""… but an engine may be replaced by another one behind its URL."""


class Scraper:
    """Reads one backend, again and again."""

    def __init__(
        self,
        backend: Backend,
        driver: Driver,
        limits: UpstreamLimits,
        loop: asyncio.AbstractEventLoop,
        interval_s: float,
    ) -> None:
        self._backend = backend
        self._driver = driver
        self._limits = limits
        self._loop = loop
        self._interval_s = interval_s
        self._silent: dict[Source, float] = {}
        """Sources that are not there, and when to look again."""
        self._odometer: float | None = None
        self.reads = 0
        self.misses = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.scrape()
            await asyncio.sleep(self._interval_s)

    async def scrape(self) -> None:
        """One look; what was seen goes to the scheduler."""
        now = monotonic()
        sources = load.SOURCES.get(self._backend.dialect.kind, ())
        source = next((s for s in sources if self._silent.get(s, 0.0) <= now), None)
        if source is None:
            return
        reading = await self._read(source)
        if reading == NOTHING:
            self.misses += 1
            return
        self.reads += 1
        self._tell(reading)

    def _tell(self, reading: Reading) -> None:
        name, before = self._backend.name, self._odometer
        if reading.odometer is not None:
            self._odometer = reading.odometer
            if before is not None and reading.odometer < before:
                _log.info("backend %s was restarted", name)
                self._driver.learn(Restarted(name))
        self._driver.learn(
            Load(
                name,
                reading.running,
                reading.waiting,
                reading.kv_usage,
                reading.kv_tokens,
                reading.seats,
                reading.loaded,
            )
        )

    async def _read(self, source: Source) -> Reading:
        try:
            async with self._backend.pool.watch.timeout(_TIMEOUT_S):
                relay = await self._ask(source.path)
        except (TimeoutError, FaultError):
            return NOTHING
        if relay.status in _NOT_THERE:
            self._silent[source] = monotonic() + _TRY_AGAIN_S
        if relay.fault is not None or not relay.complete or relay.status != 200:
            return NOTHING
        return source.read(relay.body)

    async def _ask(self, path: str) -> Relay:
        connection = await self._backend.pool.connect()
        plan = StreamPlan(StreamSettings(), self._limits.event)
        relay = Relay(self._backend.name, plan, load.MAX_B, Timeline(monotonic()), Meter(), self._loop)
        relay.connection = connection
        try:
            connection.send(self._backend.message("GET", path, "tidegate-scrape", [], b""), relay)
            await relay.ready
        finally:
            relay.release()
        return relay
