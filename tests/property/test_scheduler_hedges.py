"""The same lives where nearly every job may be sent twice, has room elsewhere, and time passes in small steps: races
won by either attempt, attempts that die in them, clients that leave them, reports of attempts that were dropped."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.hedge import Hedge
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from tests.property.test_scheduler_admission import HEDGES, Lives


class HedgedLives(Lives):
    scrape = probe = time_passes = None
    """Rules of the other lives that would only dilute these."""

    @initialize(
        count=st.integers(2, 4),
        permits=st.sampled_from([None, None, 2]),
        policy=st.sampled_from(["goodput", "round_robin"]),
        tries=st.integers(1, 4),
        seed=st.integers(0, 3),
    )
    def start(self, count: int, permits: int | None, policy: str, tries: int, seed: int) -> None:
        super().start([], "goodput", None, seed, None)
        backends = [BackendSpec(f"b{i}", any_model=True, max_concurrency=permits) for i in range(count)]
        self.names = [b.name for b in backends]
        self.twins = [
            Scheduler(
                backends,
                retries=RetrySettings(attempts=tries),
                hold=HoldSettings(min_jobs=3),
                health=HealthSettings(consecutive_failures=2),
                rng=random.Random(seed),
                scheduling=SchedulingSettings(policy=policy),
            )
            for _ in range(2)
        ]

    @rule(
        count=st.integers(1, 4),
        tokens=st.sampled_from([0, 50, 3000]),
        stream=st.booleans(),
        hedge=st.sampled_from([*HEDGES, *HEDGES, None]),
        bulk=st.sampled_from([False] * 5 + [True]),
    )
    def submit(self, count: int, tokens: int, stream: bool, hedge: Hedge | None, bulk: bool) -> None:
        for _ in range(count):
            job = Job(
                self.count,
                "m",
                stream=stream,
                prompt_tokens=tokens,
                hedge=hedge,
                bulk=bulk,
                traffic_class="bulk" if bulk else "interactive",
            )
            self.count += 1
            self.held[job.id] = self.jobs[job.id] = job
            self.tenants[job.id] = job.tenant
            self.hedgeable += hedge is not None
            self.call("submit", job)

    @rule(seconds=st.sampled_from([0.02, 0.3, 0.6]))
    def a_little_time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.call("tick")

    @rule(seconds=st.sampled_from([0.3, 2]))
    def the_timer_is_late(self, seconds: float) -> None:
        self.now += seconds


TestHedgedLives = HedgedLives.TestCase
TestHedgedLives.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
