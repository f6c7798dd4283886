"""Who looks after the backends: a prober and a scraper for each, and the end of those that leave.

    met        ──▶ probed once before it is configured, so that its first request finds it known
    configured ──▶ probed again and again, its metrics read
    leaving    ──▶ neither probed nor scraped; its connections close as their answers end; known until the scheduler has
                   forgotten it

Owns these tasks, and which backend is known under which name. What a backend is worth is the scheduler's to say.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from proxy.app.acquaintances import Acquaintance, Notes, meet
from proxy.app.candidate import Candidate
from proxy.app.lasting import Lasting
from proxy.app.tasks import watched
from proxy.config.backend import BackendOptions
from proxy.config.schema import Config
from proxy.core.cache.versions import Versions
from proxy.live.background.prober import Hearer, Learner, Prober
from proxy.live.background.scraper import Scraper
from proxy.live.background.warmer import Warmer
from proxy.live.upstream.address import SocketAddress
from proxy.live.upstream.backends import Upstream
from proxy.model.backend import BackendSpec
from proxy.model.commands import Probed

_log = logging.getLogger("tidegate.backends")
FIRST_PROBES_S = 0.8
"""A start and a reload wait for the first answer of every backend for so long: a dead one must not delay them."""
_LOOK_S = 0.2
"""Between two looks at whether those that leave are forgotten."""


class _Attendant:
    """Of one backend."""

    def __init__(self, upstream: Upstream, prober: Prober) -> None:
        self.upstream = upstream
        self.prober = prober
        self.scraper: Scraper | None = None
        self._probes: asyncio.Task[None] | None = None
        self._scrapes: asyncio.Task[None] | None = None

    def probe(self) -> "asyncio.Task[None]":
        """Once; afterwards again and again."""
        first = asyncio.ensure_future(self.prober.probe())
        self.go_on_after(first)
        return first

    def go_on_after(self, first: "asyncio.Task[None]") -> None:
        """A first probe is out already."""
        self._probes = watched(self._after(first))

    def probe_anew(self) -> None:
        """In another rhythm."""
        if self._probes is not None:
            self._probes.cancel()
        self._probes = watched(self.prober.run())

    def scrape(self, scraper: Scraper | None) -> None:
        """By this one from now on, or by none."""
        if self._scrapes is not None:
            self._scrapes.cancel()
        self.scraper = scraper
        self._scrapes = None if scraper is None else watched(scraper.run())

    def tasks(self) -> "list[asyncio.Task[None]]":
        """That run."""
        return [task for task in (self._probes, self._scrapes) if task is not None]

    async def _after(self, first: "asyncio.Task[None]") -> None:
        await first
        await self.prober.run()


class Attendants:
    """Of all backends of one proxy. `identifies`: engines are asked who they are; `on_opened`: a connection to one was
    made; `on_gone`: a backend was forgotten."""

    def __init__(
        self,
        lasting: Lasting,
        candidate: Candidate,
        *,
        identifies: bool,
        on_opened: Callable[[], None],
        on_gone: Callable[[str], None],
    ) -> None:
        self._lasting = lasting
        self._identifies = identifies
        self._on_opened = on_opened
        self._on_gone = on_gone
        self._candidate = candidate
        self._specs: dict[str, BackendSpec] = {}
        """Of all that are in `lasting.backends`."""
        self._by_name: dict[str, _Attendant] = {}
        self._met: dict[str, Acquaintance] = {}
        self._leaving: set[str] = set()
        self._seeing_off: asyncio.Task[None] | None = None
        self._versions: Versions | None = None
        self._warmer: Warmer | None = None
        self.welcome(candidate)

    def welcome(self, candidate: Candidate) -> None:
        """Whoever is configured now can be connected to; before the scheduler sends anything there."""
        config, backends = candidate.config, self._lasting.backends
        for options, spec in zip(config.backends, config.specs(), strict=True):
            known, address = backends.get(spec.name), candidate.addresses[spec.name]
            if known is not None and self._specs[spec.name].is_same_engine(spec):
                known.configure(options, address)
            else:
                if known is not None:
                    self._dismiss(known)
                backends[spec.name] = self._upstream_of(options, spec, address, config)
            self._specs[spec.name] = spec
            self._leaving.discard(spec.name)

    async def meet(self, candidate: Candidate, warmer: Warmer | None) -> None:
        """Ask those that are new a first time, before anything is sent there."""
        self._part()
        config = candidate.config
        for options, spec in zip(config.backends, config.specs(), strict=True):
            stays = spec.name in self._lasting.backends and spec.name not in self._leaving
            if stays and self._specs[spec.name].is_same_engine(spec):
                continue  # of one that leaves and comes back the scheduler may know nothing any more
            address, notes = candidate.addresses[spec.name], Notes()
            upstream = self._upstream(options, address, config)
            prober = self._prober(upstream, notes, notes, config, warmer)
            self._met[spec.name] = Acquaintance(spec, address, upstream, prober, notes)
        await meet(self._met.values(), FIRST_PROBES_S + (config.warm.timeout if warmer is not None else 0.0))

    def heard(self) -> list[Probed]:
        """What those have answered that were met and are not in place yet."""
        return [probed for met in self._met.values() for probed in met.notes.probed()]

    async def begin(self, versions: Versions | None, warmer: Warmer | None, within_s: float) -> None:
        """The first probes, for so long at most; then everything else goes on by itself."""
        self._versions, self._warmer = versions, warmer
        made = [self._attend(self._lasting.backends[backend.name]) for backend in self._candidate.config.backends]
        await asyncio.wait([attendant.probe() for attendant in made], timeout=within_s)
        for attendant in made:
            attendant.scrape(self._scraper(attendant.upstream))

    def configure(self, candidate: Candidate, versions: Versions | None, warmer: Warmer | None) -> None:
        """After the scheduler has heard of it: who is new is probed at once, who leaves is left alone."""
        before, self._candidate = self._candidate, candidate
        if warmer is not None and (self._warmer is None or not warmer.asks_the_same(self._warmer)):
            for upstream in self._lasting.backends.values():
                upstream.warm = frozenset()
        self._versions, self._warmer = versions, warmer
        configured = {backend.name for backend in candidate.config.backends}
        for name in [name for name in self._by_name if name not in configured]:
            self._dismiss(self._lasting.backends[name])
            self._leaving.add(name)
        for name in configured:
            self._look_after(self._lasting.backends[name], before)
        self._part()
        self._see_off()

    def tasks(self) -> "Iterable[asyncio.Task[None]]":
        """That run, for whoever ends them."""
        if self._seeing_off is not None:
            yield self._seeing_off
        yield from (met.first for met in self._met.values())
        for attendant in self._by_name.values():
            yield from attendant.tasks()

    # --- one backend

    def _look_after(self, upstream: Upstream, before: Candidate) -> None:
        config, was = self._candidate.config, before.config
        attendant, met = self._by_name.get(upstream.name), self._met.get(upstream.name)
        if met is not None and met.upstream is upstream:
            del self._met[upstream.name]
            met.prober.configure(config.health, config.limits.upstream, self._versions, self._warmer)
            attendant = self._by_name[upstream.name] = _Attendant(upstream, met.prober)
            attendant.go_on_after(met.first)
            attendant.scrape(self._scraper(upstream))
            met.notes.hand_over(self._lasting.driver, self._lasting.models)
            return
        if attendant is None:
            attendant = self._attend(upstream)
            attendant.probe()
            attendant.scrape(self._scraper(upstream))
            return
        attendant.prober.configure(config.health, config.limits.upstream, self._versions, self._warmer)
        if config.health.probe_interval != was.health.probe_interval:
            attendant.probe_anew()
        if config.routing.scrape != was.routing.scrape or config.limits.upstream != was.limits.upstream:
            attendant.scrape(self._scraper(upstream))

    def _attend(self, upstream: Upstream) -> _Attendant:
        lasting = self._lasting
        prober = self._prober(upstream, lasting.driver, lasting.models, self._candidate.config, self._warmer)
        made = self._by_name[upstream.name] = _Attendant(upstream, prober)
        return made

    def _prober(
        self, upstream: Upstream, hearer: Hearer, learner: Learner, config: Config, warmer: Warmer | None
    ) -> Prober:
        return Prober(
            upstream,
            hearer,
            learner,
            config.health,
            config.limits.upstream,
            self._lasting.loop,
            identifies=self._identifies,
            versions=self._versions,
            warmer=warmer,
        )

    def _upstream_of(
        self, options: BackendOptions, spec: BackendSpec, address: SocketAddress, config: Config
    ) -> Upstream:
        """One that was met, else a new one."""
        met = self._met.get(spec.name)
        if met is not None and met.spec.is_same_engine(spec):
            met.upstream.configure(options, address)
            return met.upstream
        return self._upstream(options, address, config)

    def _upstream(self, options: BackendOptions, address: SocketAddress, config: Config) -> Upstream:
        lasting = self._lasting
        made = Upstream(options, config.limits.upstream, lasting.loop, lasting.watch, lasting.hops.line, address)
        made.pool.on_opened = self._on_opened
        return made

    def _part(self) -> None:
        """Whoever was met and is not wanted."""
        for met in self._met.values():
            met.part()
        self._met.clear()

    def _scraper(self, upstream: Upstream) -> Scraper | None:
        config = self._candidate.config
        if not config.routing.scrape:
            return None
        lasting = self._lasting
        return Scraper(upstream, lasting.driver, config.limits.upstream, lasting.loop, config.routing.scrape)

    def _dismiss(self, upstream: Upstream) -> None:
        """Its streams go on to their ends, on the connections that they have."""
        attendant = self._by_name.pop(upstream.name, None)
        if attendant is not None:
            for task in attendant.tasks():
                task.cancel()
        upstream.pool.retire()

    # --- those that leave

    def _see_off(self) -> None:
        if self._leaving and (self._seeing_off is None or self._seeing_off.done()):
            self._seeing_off = watched(self._until_forgotten())

    async def _until_forgotten(self) -> None:
        while True:
            for name in [name for name in self._leaving if not self._lasting.scheduler.knows(name)]:
                self._forget(name)
            if not self._leaving:
                return
            await asyncio.sleep(_LOOK_S)

    def _forget(self, name: str) -> None:
        self._leaving.discard(name)
        del self._lasting.backends[name], self._specs[name]
        self._on_gone(name)
        _log.info("backend %s has left: nothing is out there any more", name)
