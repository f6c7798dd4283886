"""Active probes: is a backend alive, which models does it list, what engine is it. One task per backend.

Asks `GET /v1/models`: every OpenAI-compatible engine has it, and it says more than a health route. An engine that
answers anything but "not now" (5xx of a dead or loading one) is alive.
"""

import asyncio
import contextlib
import logging
from time import monotonic
from typing import Any

import orjson

from proxy.engines import dialect
from proxy.live.backends import Backend
from proxy.live.catalogue import ModelList
from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.live.stream import StreamPlan
from proxy.model.classes import StreamSettings
from proxy.model.commands import Probed
from proxy.model.faults import FaultError
from proxy.model.limits import HealthSettings, UpstreamLimits
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter

_log = logging.getLogger("tidegate.prober")
_NOT_NOW = frozenset({502, 503, 504, 521, 522, 523, 525, 526})
_NOT_REACHED = frozenset({521, 522, 523, 525, 526})
"""Something in front of the engine says that it is not there."""
_LOST_S = 1.0
"""A backend that is not there is looked for so often."""
_LOOK_S = 0.1
"""After a request found nobody there, and before it is looked again."""


class Prober:
    """Probes one backend, again and again."""

    def __init__(
        self,
        backend: Backend,
        driver: Driver,
        models: ModelList,
        health: HealthSettings,
        limits: UpstreamLimits,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._backend = backend
        self._driver = driver
        self._models = models
        self._health = health
        self._limits = limits
        self._loop = loop
        self._was_ok: bool | None = None
        self._is_reached = True
        """The last connection that was tried was made; one that takes too long for a probe says nothing."""

    async def run(self) -> None:
        """Until cancelled."""
        interval_s = self._health.probe_interval
        lost = self._backend.is_lost
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s if self._is_reached else min(_LOST_S, interval_s)):
                    await lost.wait()
            if lost.is_set():
                lost.clear()
                await asyncio.sleep(_LOOK_S)  # many are lost at once: one look is enough
            await self.probe()

    async def probe(self) -> None:
        """One probe; its result goes to the scheduler."""
        reason = ""
        listed = None
        try:
            async with self._backend.pool.watch.timeout(self._health.probe_timeout):
                relay = await self._ask()
            ok = relay.fault is None and relay.complete and relay.status not in _NOT_NOW
            reason = relay.fault.message if relay.fault else f"status {relay.status}"
            if ok and relay.status == 200:
                listed = self._learn(relay)
            self._is_reached = relay.status not in _NOT_REACHED
        except TimeoutError:
            ok, reason = False, f"no answer within {self._health.probe_timeout:g} s"
        except FaultError as error:
            ok, reason, self._is_reached = False, error.fault.message, False
        self._tell(ok, reason, listed)
        self._driver.learn(Probed(self._backend.name, ok, listed, self._is_reached))

    async def _ask(self) -> Relay:
        pool = self._backend.pool
        message = self._backend.message("GET", "/v1/models", "tidegate-probe", [], b"")
        connection = await pool.connect()
        self._is_reached = True
        plan = StreamPlan(StreamSettings(), self._limits.event)
        relay = Relay(self._backend.name, plan, self._limits.answer_buffer, Timeline(monotonic()), Meter(), self._loop)
        relay.connection = connection
        try:
            connection.send(message, relay)
            await relay.ready
        finally:
            relay.release()
        return relay

    def _learn(self, relay: Relay) -> frozenset[str] | None:
        try:
            fields: Any = orjson.loads(relay.body)
        except orjson.JSONDecodeError:
            return None
        if not self._backend.kind_known:
            server = next((v for n, v in relay.headers if n.lower() == b"server"), b"")
            kind = dialect.recognise(fields, server.decode("latin-1"))
            if kind is not None and kind != self._backend.dialect.kind:
                self._backend.dialect = dialect.DIALECTS[kind]
                _log.info("backend %s is %s", self._backend.name, kind)
        listed = dialect.listed_models(fields)
        if listed is not None:
            self._models.learn([entry for entry in fields["data"] if isinstance(entry, dict)])
        return listed

    def _tell(self, ok: bool, reason: str, listed: frozenset[str] | None) -> None:
        if ok == self._was_ok:
            return
        self._was_ok = ok
        if ok:
            names = ", ".join(sorted(listed)[:5]) if listed else "no model list"
            _log.info("backend %s is up (%s)", self._backend.name, names)
        else:
            _log.warning("backend %s is down: %s", self._backend.name, reason)
