"""One backend of the world: an engine that can die, slow down, refuse, and tell the truth about its load or not.

Owns the engine and the jobs on it. The order of events is the world's.
"""

from random import Random

from proxy.model.commands import Load
from proxy.report.stats import Stats
from proxy.sim.engine.engine import Engine
from proxy.sim.engine.sequence import Reporting
from proxy.sim.engine.static import build_engine
from proxy.sim.world.cluster import MetricsSource, SimBackend


class ModelledBackend:
    """Up or down, and its engine."""

    def __init__(self, backend: SimBackend, seed: int = 0) -> None:
        self.backend = backend
        self.name = backend.spec.name
        self.slower = 1.0
        self.refusing = False
        """It takes nothing new for a while."""
        noisy = backend.course.noise > 0
        self._chance = Random(f"{seed} {self.name}") if noisy else None  # noqa: S311 — reproducible, not secret
        self.engine: Engine = self._new_engine()
        self.down = False
        self.jobs: dict[int, int] = {}
        """Which of its attempts each one is here for."""
        self.version = 0
        """Grows whenever the engine's next event may have moved; an event of an older one is void."""
        self._before = Stats()
        """Of engines that died."""
        self._first_load: Load | None = None

    def withdraw(self, job_id: int, now: float) -> bool:
        """Nobody wants the answer any more; False when the job is not here."""
        if job_id not in self.jobs:
            return False
        del self.jobs[job_id]
        self.engine.cancel(job_id, now)
        return True

    @property
    def is_full(self) -> bool:
        """Whether it answers one more request that it is full."""
        most = self.engine.spec.max_queued
        return most is not None and self.engine.running + self.engine.waiting >= most

    def die(self) -> list[tuple[int, int]]:
        """The jobs that are lost, and their attempts; what comes after starts empty."""
        lost = sorted(self.jobs.items())
        self.jobs.clear()
        self.down = True
        self.version += 1
        self._before = self.total()
        self.engine = self._new_engine()
        return lost

    def turn(self, now: float) -> None:
        """Be as slow from the next step on, and as willing, as it is to be now."""
        backend = self.backend
        self.refusing = backend.course.refuses(now)
        slower = backend.course.factor(now) * (backend.slower if now >= backend.slower_from_s else 1.0)
        if slower != self.slower:
            self.slower = slower
            self.engine.change_spec(backend.engine.slowed(slower), now)

    @property
    def full(self) -> bool:
        """Whether it would turn a newcomer away."""
        bound = self.engine.spec.max_queued
        return self.refusing or (bound is not None and self.engine.running + self.engine.waiting >= bound)

    def total(self) -> Stats:
        """What was computed here so far."""
        return self._before + self.engine.stats

    def load(self) -> Load | None:
        """What a scrape finds; None: nothing."""
        told = self.backend.metrics
        if self.down or told is MetricsSource.SILENT:
            return None
        if told is MetricsSource.GARBAGE:
            return Load(self.name, -1.0, float("nan"), 17.0, float("inf"), -3.0)
        engine = self.engine
        load = Load(self.name, engine.running, engine.waiting, engine.kv_usage, engine.spec.kv_tokens)
        if told is MetricsSource.FROZEN:
            self._first_load = self._first_load or load
            return self._first_load
        return load

    def _new_engine(self) -> Engine:
        spec = self.backend.engine.slowed(self.slower)
        return build_engine(spec, Reporting.MILESTONES, self.backend.course.noise, self._chance)
