"""The forecast of the last job that was looked at on a backend: what `foresee` writes, without allocating.

Valid until the next job is looked at there.
"""

from proxy.model.commands import Reason


class Forecast:
    """The last job looked at, on this backend."""

    __slots__ = ("backlog", "cost", "fresh", "hit", "loading", "raw", "reason", "score", "tpot", "ttft", "work")

    def __init__(self) -> None:
        self.hit = self.fresh = self.raw = self.cost = self.work = self.backlog = self.ttft = self.tpot = 0.0
        self.score = self.loading = 0.0
        self.reason: Reason | None = None

    @property
    def usual_work_s(self) -> float:
        """Seconds of computing the prompt, as if the engine were as fast as usual."""
        return self.work * self.raw / self.cost if self.cost else self.work
