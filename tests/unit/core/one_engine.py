"""Short words for one engine before a scheduler that learns from it."""

import random
from typing import Any

from proxy.core.scheduler import Scheduler
from proxy.core.shown.views import BackendView
from proxy.model.backend import BackendSpec
from proxy.model.commands import Finished, FirstToken, Load
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from tests.support.attempts import attempt_of


class OneEngine:
    """A scheduler that foresees before one engine, driven by hand."""

    def __init__(self, **spec: Any) -> None:
        self.scheduler = Scheduler(
            [BackendSpec("a", **{"models": frozenset({"m"}), **spec})],
            retries=RetrySettings(),
            hold=HoldSettings(),
            health=HealthSettings(),
            rng=random.Random(1),
            policy="goodput",
        )
        self.now = 0.0

    def view(self) -> BackendView:
        return self.scheduler.backends(self.now)[0]

    def submit(self, *ids: int, model: str = "m") -> None:
        for job_id in ids:
            self.scheduler.submit(Job(job_id, model, stream=True, prompt_tokens=1000), self.now)

    def first_token(self, job_id: int, at: float) -> None:
        self.now = at
        self.scheduler.observe(FirstToken(attempt_of(self.scheduler, job_id)), at)

    def finish(self, job_id: int, at: float) -> None:
        self.now = at
        self.scheduler.observe(Finished(attempt_of(self.scheduler, job_id), 1000, 0, 10), at)

    def scrape(self, **told: Any) -> None:
        self.scheduler.observe(Load("a", **told), self.now)
