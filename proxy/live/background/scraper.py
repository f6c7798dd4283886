"""Reads an engine's metrics now and then and tells the scheduler. One task per backend.

Nothing waits for it: metrics that are late, hang, lie or are missing leave the scheduler with what it knows from
traffic. Owns the rhythm and the bounds; what is read and where is told by the engine's dialect.
"""

import asyncio
import logging
from typing import Final

from proxy.engines import load
from proxy.engines.load import NOTHING, SELDOM_S, LoadSource, Reading, merged
from proxy.live.background.cards import Cards
from proxy.live.background.questions import Questions
from proxy.live.driver import Driver
from proxy.live.upstream.backends import Upstream
from proxy.model.commands import Load, Restarted
from proxy.model.engine_facts import UNKNOWN, EngineFacts, denied
from proxy.model.faults import FaultError
from proxy.model.limits import UpstreamLimits

_log = logging.getLogger("tidegate.scraper")
_TIMEOUT_S = 5.0
"""llama.cpp answers between two steps, which take seconds when prompts are long."""
_NOT_THERE = frozenset({400, 401, 403, 404, 405, 501})
"""It will not tell tomorrow either."""
_TRY_AGAIN_S = 60.0
"""… but an engine may be replaced by another one behind its URL."""
_WAKING_S: Final = 1.0
"""An engine that sleeps is looked at so often: it is to have traffic as soon as it is awake."""
_MAX_REST_S: Final = 3600.0


class Scraper:
    """Reads one backend, again and again."""

    def __init__(
        self,
        backend: Upstream,
        driver: Driver,
        limits: UpstreamLimits,
        loop: asyncio.AbstractEventLoop,
        interval_s: float,
    ) -> None:
        self._backend = backend
        self._driver = driver
        self._questions = Questions(backend, limits, loop, "tidegate-scrape")
        self._interval_s = interval_s
        self._silent: dict[LoadSource, float] = {}
        """Sources that are not there, or are not to be asked so soon, and when to look again."""
        self._kept: dict[LoadSource, Reading] = {}
        """Of those that are asked seldom."""
        self._denied: set[str] = set()
        """What the engine says otherwise than its operator."""
        self._cards = Cards(loop)
        self._odometer: float | None = None
        self._asleep = False
        self._rest = Rest(interval_s)
        self.reads = 0
        self.misses = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.scrape()
            await asyncio.sleep(min(self._interval_s, _WAKING_S) if self._asleep else self._interval_s)

    async def scrape(self) -> None:
        """One look; what was seen goes to the scheduler."""
        sources = self._backend.dialect.loads
        now = self._backend.clock()
        there = [source for source in sources if self._silent.get(source, 0.0) <= now]
        if not there and not self._backend.gpu_metrics:
            return
        reading, rests = NOTHING, any(self._is_too_soon(source, now) for source in sources)
        told = {source.read: source for source, kept in self._kept.items() if kept != NOTHING}
        for source in there:
            if source.spare and reading.running is not None:
                continue
            if told.get(source.read, source) is not source:
                continue
            if not self._may_ask(source, reading, now):
                rests = True
            else:
                read = await self._read(source)
                reading = merged(reading, read)
                if read != NOTHING:
                    told[source.read] = source
        if reading == NOTHING:
            self.misses += bool(there)
            if self.reads or not self._backend.gpu_metrics:
                return
        else:
            self.reads += 1
        for source in sources:
            reading = merged(reading, self._kept.get(source, NOTHING))
        if self._backend.gpu_metrics:
            used_b = await self._cards.used_b(self._backend.gpu_metrics, self._backend.gpus)
            reading = reading._replace(facts=(reading.facts or UNKNOWN)._replace(gpu_reserved_b=used_b))
        self._tell(reading, resting=rests and reading.running is None and not reading.unloaded)

    def _is_too_soon(self, source: LoadSource, now: float) -> bool:
        """Whether it was asked just now, and is not to be asked more often."""
        return 0 < self._silent.get(source, 0.0) - now <= source.every_s < SELDOM_S

    def _may_ask(self, source: LoadSource, reading: Reading, now: float) -> bool:
        """By what those before it told: not what keeps the engine awake, unless it is at work or has had its rest."""
        if not source.disturbs("" if reading.facts is None else reading.facts.version):
            return True
        if reading.running is not None or reading.unloaded:
            return False
        return reading.unloaded is None or self._backend.pool.in_use > 0 or self._rest.is_over(now)

    def _tell(self, reading: Reading, *, resting: bool) -> None:
        name, before, was_asleep = self._backend.name, self._odometer, self._asleep
        if reading.odometer is not None:
            self._odometer = reading.odometer
            if before is not None and reading.odometer < before:
                _log.info("backend %s was restarted", name)
                self._forget()
                self._driver.report(Restarted(name))
                self._backend.warm = frozenset()
        if bool(reading.asleep) != self._asleep:
            self._asleep = bool(reading.asleep)
            _log.info("backend %s %s", name, "sleeps and gets no requests" if self._asleep else "is awake")
        if reading.facts is not None:
            self._compare(reading.facts)
        cards = self._backend.cards
        contexts, unable = reading.contexts, None
        if cards:
            told = {model: card.context for model, card in cards.items() if card.context is not None}
            contexts = {**told, **(contexts or {})}
            unable = {model: card.lacks for model, card in cards.items() if card.lacks}
        if contexts is not None:
            self._backend.contexts = contexts
        self._driver.report(
            Load(
                name,
                reading.running,
                reading.waiting,
                reading.kv_usage,
                reading.kv_tokens,
                reading.seats,
                reading.loaded,
                contexts,
                bool(reading.asleep) if was_asleep else reading.asleep,
                reading.unloaded,
                reading.facts,
                reading.precisions,
                unable,
                resting,
            )
        )

    def _compare(self, told: EngineFacts) -> None:
        """Once per difference: what the engine says counts."""
        written = self._backend.written
        differing = {f"{name} {getattr(told, name)}, not {getattr(written, name)}" for name in denied(told, written)}
        for difference in sorted(differing - self._denied):
            _log.warning("backend %s says of itself: %s as the configuration says", self._backend.name, difference)
        self._denied = differing

    def _forget(self) -> None:
        """Another engine may be there: it is asked at once what is asked seldom."""
        self._kept.clear()
        for source in self._backend.dialect.loads:
            if source.every_s:
                self._silent.pop(source, None)

    async def _read(self, source: LoadSource) -> Reading:
        if source.every_s:
            self._silent[source] = self._backend.clock() + source.every_s
        try:
            relay = await self._questions.get(source.path, load.MAX_B, _TIMEOUT_S)
        except (TimeoutError, FaultError):
            return NOTHING
        if relay.status in _NOT_THERE:
            self._silent[source] = self._backend.clock() + _TRY_AGAIN_S
            self._kept.pop(source, None)
        if relay.fault is not None or not relay.complete or relay.status != 200:
            return NOTHING
        reading = source.read(relay.body)
        if source is self._backend.dialect.in_memory and self._backend.dialect.lists_at:
            self._backend.in_memory = relay.body
        if source.every_s >= SELDOM_S:
            self._kept[source] = reading
        if source.stirs:
            self._rest.asked(self._backend.clock(), at_work=bool(reading.running))
        return reading


class Rest:
    """How long an engine that is not at work is left alone: longer each time, so that whatever time without a question
    it takes to fall asleep, it has it."""

    def __init__(self, least_s: float) -> None:
        self._least_s = self._rest_s = least_s
        self._until = 0.0

    def is_over(self, now: float) -> bool:
        """Whether it may be asked again."""
        return now >= self._until

    def asked(self, now: float, *, at_work: bool) -> None:
        """It was asked, and had something to do or not."""
        self._rest_s = 0.0 if at_work else min(_MAX_REST_S, max(2.0 * self._rest_s, self._least_s))
        self._until = now + self._rest_s
