"""One backend of the world: an engine that can die, slow down, and tell the truth about its load or not.

Owns the engine and the jobs on it. The order of events is the world's.
"""

from proxy.model.commands import Load
from proxy.sim.cluster import Metrics, SimBackend
from proxy.sim.engine import Engine
from proxy.sim.sequence import Reporting, Stats
from proxy.sim.static import build_engine


class ModelledBackend:
    """Up or down, and its engine."""

    def __init__(self, backend: SimBackend) -> None:
        self.backend = backend
        self.name = backend.spec.name
        self.slower = 1.0
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

    def die(self) -> list[tuple[int, int]]:
        """The jobs that are lost, and their attempts; what comes after starts empty."""
        lost = sorted(self.jobs.items())
        self.jobs.clear()
        self.down = True
        self.version += 1
        self._before = self.total()
        self.engine = self._new_engine()
        return lost

    def slow_down(self, now: float) -> None:
        """From the next step on."""
        self.slower = self.backend.slower
        self.engine.change_spec(self.backend.engine.slowed(self.slower), now)

    def total(self) -> Stats:
        """What was computed here so far."""
        return self._before + self.engine.stats

    def load(self) -> Load | None:
        """What a scrape finds; None: nothing."""
        told = self.backend.metrics
        if self.down or told is Metrics.SILENT:
            return None
        if told is Metrics.GARBAGE:
            return Load(self.name, -1.0, float("nan"), 17.0, float("inf"), -3.0)
        engine = self.engine
        load = Load(self.name, engine.running, engine.waiting, engine.kv_usage, engine.spec.kv_tokens)
        if told is Metrics.FROZEN:
            self._first_load = self._first_load or load
            return self._first_load
        return load

    def _new_engine(self) -> Engine:
        return build_engine(self.backend.engine.slowed(self.slower), Reporting.MILESTONES)
