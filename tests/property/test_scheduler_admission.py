"""Random lives with promises, bulk, tenants, hedges and engines that lie: whatever is refused, held, pre-empted or sent
twice in whatever order, the books return to zero, nobody is refused beside an idle backend, no job is on more than two
backends or twice on one, and the same calls give the same commands."""

import random
from math import inf, nan
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.config.plain import read
from proxy.core.fleet.health import HealthState
from proxy.core.rng import NoChance
from proxy.core.route.limits import LIMITS
from proxy.core.route.policies import POLICIES
from proxy.core.scheduler import Scheduler
from proxy.core.shown.explanation import Explanation
from proxy.model.backend import BackendSpec
from proxy.model.commands import (
    Abort,
    Command,
    Dispatch,
    Failed,
    Finished,
    FirstToken,
    Load,
    Probed,
    Reason,
    Restarted,
)
from proxy.model.engine_facts import EngineFacts
from proxy.model.fallback import FallbackStep
from proxy.model.faults import Kind, upstream
from proxy.model.hedge import Hedge
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings, SchedulingSettings
from proxy.model.windows import Window

OVERLOADS = frozenset(limit.reason for limit in LIMITS) - {Reason.DEADLINE}
shapes = st.lists(
    st.builds(
        lambda permits, seats, kv, labels, speculative, pool, order: {
            "max_concurrency": permits,
            "seats": seats,
            "kv_tokens": kv,
            "labels": frozenset(labels),
            "facts": EngineFacts(speculative=speculative),
            "pool": pool,
            "order": order,
        },
        st.sampled_from([None, None, 2]),
        st.sampled_from([None, 2]),
        st.sampled_from([None, 20_000]),
        st.sampled_from(["", "g"]),
        st.booleans(),
        st.sampled_from(["p", "q"]),
        st.sampled_from([0, 0, 0, 1]),
    ),
    min_size=1,
    max_size=4,
)
GONE = FallbackStep("gone", frozenset("none has it"), "model:gone")
LABELLED, ANYWHERE = FallbackStep("m", frozenset("g"), "pool:g"), FallbackStep("m", frozenset(), "pool:any")
BUDGET = 0.5
HEDGES = (Hedge(0.0, 0.3, BUDGET), Hedge(0.0, 0.02, BUDGET), Hedge(0.9, 0.0, BUDGET))
"""All in one class, and so of one budget."""
promises = st.sampled_from([(None, None), (0.2, 0.04), (2.0, 0.1), (1e-6, 1e-6), (60.0, None), (0.0, 0.05)])


def scheduled(policy: str, mode: str | None, limits: dict[str, int] | None, **admission: Any) -> SchedulingSettings:
    return read(
        SchedulingSettings,
        {
            "policy": policy,
            "admission": {"mode": mode, "probes": 0.1, "min_samples": 3, **admission},
            "backfill": {"jobs": 4, "max_wait": "40s"},
            "tenants": () if limits is None else ({"tenant": "*", **limits},),
        },
    )


LIMITS_OF_TENANTS = [
    None,
    {"max_concurrent": 3},
    {"requests_per_minute": 20, "tokens_per_minute": 20_000, "max_concurrent": 9},
]


class Lives(RuleBasedStateMachine):
    @initialize(
        specs=shapes,
        policy=st.sampled_from(["goodput", "goodput", *sorted(POLICIES)]),
        mode=st.sampled_from(["enforce", "enforce", "auto", "shadow", "off", None]),
        seed=st.sampled_from([None, None, 0, 1, 2]),
        limits=st.sampled_from(LIMITS_OF_TENANTS),
    )
    def start(
        self,
        specs: list[dict[str, Any]],
        policy: str,
        mode: str | None,
        seed: int | None,
        limits: dict[str, int] | None,
    ) -> None:
        backends = [BackendSpec(f"b{i}", any_model=True, **shape) for i, shape in enumerate(specs)]
        scheduling = scheduled(policy, mode, limits)
        self.twins = [
            Scheduler(
                backends,
                retries=RetrySettings(),
                hold=HoldSettings(min_jobs=3),
                health=HealthSettings(),
                rng=NoChance() if seed is None else random.Random(seed),
                scheduling=scheduling,
            )
            for _ in range(2)
        ]
        self.names = [b.name for b in backends]
        self.is_reconfigured = False
        self.by_chance = seed is not None
        self.now, self.count = 1000.0, 0
        self.out: dict[int, dict[str, int]] = {}
        """Job → the backends it is on, and its attempt there."""
        self.over: dict[int, int] = {}
        """Job → one of its attempts that is over."""
        self.last_id = 0
        self.jobs: dict[int, Job] = {}
        self.hedged = 0
        self.hedgeable = 0
        self.reported: int | None = None
        """The job whose attempt says right now that it has begun."""
        self.begun: set[int] = set()
        self.held: dict[int, Job] = {}
        self.refused: dict[int, Reason | None] = {}
        self.tenants: dict[int, str] = {}
        self.fallbacks: dict[int, tuple[FallbackStep, ...]] = {}
        self.ends = {"finished": 0, "refused": 0, "cancelled": 0}

    def call(self, method: str, *args: Any) -> None:
        views = self.twins[0].backends(self.now)
        able = (v for v in views if v.state is HealthState.HEALTHY and v.share >= 1.0)
        idle = [v.name for v in able if not v.in_flight and not v.foreign]
        first, second = (getattr(twin, method)(*args, self.now) for twin in self.twins)
        assert first == second, "same seed, same calls, other commands"
        for command in first:
            self.take(command, idle, alone=len(first) == 1 and method == "submit")

    def take(self, command: Command, idle: list[str], alone: bool) -> None:
        if isinstance(command, Abort):
            (job_id,) = command.jobs
            self.over[job_id] = self.out[job_id].pop(command.backend)
            assert self.over[job_id] == command.attempt
            if self.out[job_id] or job_id == self.reported:
                assert job_id == self.reported, "an attempt lost though the other one said nothing"
                return
            del self.out[job_id]
            assert job_id not in self.begun, "pre-empted after its first token"
            self.held[job_id] = Job(job_id, "m", bulk=True)
            return
        if isinstance(command, Dispatch):
            assert command.attempt > self.last_id, "ids only grow"
            self.last_id = command.attempt
            (job_id,) = command.jobs
            if command.hedge:
                self.take_hedge(job_id, command)
                return
            del self.held[job_id]
            self.out[job_id] = {command.backend: command.attempt}
            self.begun.discard(job_id)
            assert command.held_s >= 0
            assert command.way is None or command.way in self.fallbacks[job_id]
            assert command.way is not GONE
            return
        job = self.held.pop(command.job_id)
        self.refused[command.job_id] = command.reason
        self.ends["refused"] += 1
        if alone and command.reason in OVERLOADS and not job.require:
            assert not idle, f"{job} refused beside idle {idle}"
        assert command.fault.retry_after_s is None or 1 <= command.fault.retry_after_s <= 120

    def take_hedge(self, job_id: int, command: Dispatch) -> None:
        backends, job = self.out[job_id], self.jobs[job_id]
        assert job.hedge is not None, "hedged though its class is not"
        assert not job.bulk
        assert job_id not in self.begun, "hedged after its first byte"
        assert len(backends) == 1, "more than two attempts at once"
        assert command.backend not in backends
        backends[command.backend] = command.attempt
        self.hedged += 1
        assert self.hedged <= 1 + BUDGET * self.hedgeable, "more than the budget"

    @rule(
        promise=promises,
        bulk=st.booleans(),
        tokens=st.sampled_from([0, 50, 3000, 100_000]),
        tenant=st.sampled_from(["", "a", "b"]),
        chain=st.integers(0, 6),
        extra=st.sampled_from(
            [
                {},
                {},
                {"constrained": True},
                {"demotable": True},
                {"require": frozenset("g")},
                {"require": frozenset("g"), "fallbacks": (GONE, ANYWHERE)},
                {"fallbacks": (GONE, LABELLED, ANYWHERE)},
            ]
        ),
        stream=st.sampled_from([True, True, False]),
        hedge=st.sampled_from([None, *HEDGES]),
        lasts=st.sampled_from([None, None, 2.0, 60.0]),
        gather=st.sampled_from([None, Window(True, 0.01, 32, 8192), Window(False, 0.01, 2, 8192)]),
    )
    def submit(
        self,
        promise: Any,
        bulk: bool,
        tokens: int,
        tenant: str,
        chain: int,
        extra: Any,
        stream: bool,
        hedge: Hedge | None,
        lasts: float | None,
        gather: Window | None,
    ) -> None:
        done_by = None if lasts is None else self.now + lasts
        job = Job(
            self.count,
            "m",
            stream=stream,
            prompt_tokens=tokens,
            tenant=tenant,
            bulk=bulk,
            slo_ttft_s=promise[0],
            slo_tpot_s=promise[1],
            prefix=tuple(range(chain * 3)),
            prefix_block_tokens=100,
            hedge=hedge,
            deadline=done_by,
            done_by=done_by,
            gather=gather,
            **extra,
        )
        self.jobs[job.id] = job
        self.hedgeable += hedge is not None
        self.call("tick")
        before = self.twins[0].counts(self.now)
        said = [twin.explain(job, self.now) for twin in self.twins]
        assert said[0] == said[1]
        assert self.twins[0].counts(self.now) == before, "explaining changes nothing"
        self.count += 1
        self.held[job.id] = job
        self.fallbacks[job.id] = job.fallbacks
        self.tenants[job.id] = tenant
        self.call("submit", job)
        if not self.by_chance:
            self.came_true(said[0], job, in_backfill=self.twins[0].counts(self.now).backfill > before.backfill)

    def came_true(self, said: Explanation, job: Job, *, in_backfill: bool) -> None:
        """What `explain` said of a job is what `submit` did, wherever nothing is left to chance."""
        if job.id in self.out:
            assert said.outcome in ("dispatch", "fallback")
            assert [said.backend] == list(self.out[job.id])
        elif job.id in self.held:
            assert said.outcome in (("backfill", "demote") if in_backfill else ("hold", "gather"))
        else:
            assert said.outcome in ("refuse", "unserved")
            assert said.reason == self.refused[job.id]

    @precondition(lambda self: self.count > 8)
    @rule()
    def drain(self) -> None:
        first, second = (twin.refuse_new() for twin in self.twins)
        assert first == second
        for command in first:
            self.take(command, [], alone=False)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), times=st.integers(1, 4))
    def first_tokens(self, data: Any, times: int) -> None:
        for job_id in data.draw(st.permutations(sorted(self.out)))[:times]:
            if job_id in self.out:
                backend = data.draw(st.sampled_from(list(self.out[job_id])))
                self.begun.add(job_id)
                self.report(job_id, FirstToken(self.out[job_id][backend]))
                assert list(self.out[job_id]) == [backend], "the loser of a race stayed"

    @precondition(lambda self: self.out)
    @rule(
        data=st.data(),
        tokens=st.sampled_from([None, 0, 5, 400]),
        cached=st.sampled_from([None, 0, 90, 10**9]),
        ok=st.booleans(),
    )
    def finish(self, data: Any, tokens: int | None, cached: int | None, ok: bool) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.out)))
        backend = data.draw(st.sampled_from(list(self.out[job_id])))
        self.finished(job_id, Finished(self.out[job_id].pop(backend), tokens, cached, tokens, ok))

    def finished(self, job_id: int, report: Finished) -> None:
        self.over[job_id] = report.attempt
        self.begun.add(job_id)
        self.ends["finished"] += 1
        self.report(job_id, report)
        assert not self.out.pop(job_id), "the loser of a race stayed"

    def report(self, job_id: int, report: FirstToken | Finished) -> None:
        self.reported = job_id
        self.call("observe", report)
        self.reported = None

    @precondition(lambda self: self.out)
    @rule(data=st.data(), repeatable=st.booleans())
    def fail(self, data: Any, repeatable: bool) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.out)))
        backend = data.draw(st.sampled_from(list(self.out[job_id])))
        attempt = self.over[job_id] = self.out[job_id].pop(backend)
        if not self.out[job_id]:
            del self.out[job_id]
            self.held[job_id] = Job(job_id, "m")
        self.call("observe", Failed(attempt, upstream(Kind.RESET, "reset"), repeatable))
        if job_id not in self.out or job_id in self.held:
            self.begun.discard(job_id)

    @precondition(lambda self: self.over)
    @rule(data=st.data(), kind=st.sampled_from([FirstToken, Finished]))
    def report_of_somebody_else(self, data: Any, kind: Any) -> None:
        """An attempt that is long over, or was dropped, says something all the same."""
        self.call("tick")
        self.call("observe", kind(data.draw(st.sampled_from(sorted(self.over.values())))))

    @precondition(lambda self: self.out or self.held)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        job_id = data.draw(st.sampled_from(sorted({*self.out, *self.held})))
        for attempt in self.out.pop(job_id, {}).values():
            self.over[job_id] = attempt
        self.held.pop(job_id, None)
        self.ends["cancelled"] += 1
        self.call("cancel", job_id)

    @rule(
        data=st.data(),
        counts=st.lists(st.sampled_from([None, 0.0, 3.0, 1e9, -1.0, nan, inf]), min_size=5, max_size=5),
        loaded=st.sampled_from([None, frozenset(), frozenset("m")]),
    )
    def scrape(self, data: Any, counts: list[float | None], loaded: frozenset[str] | None) -> None:
        self.call("observe", Load(data.draw(st.sampled_from(self.names)), *counts, loaded))

    @rule(data=st.data(), ok=st.booleans(), restarted=st.booleans())
    def probe(self, data: Any, ok: bool, restarted: bool) -> None:
        name = data.draw(st.sampled_from(self.names))
        self.call("observe", Restarted(name) if restarted else Probed(name, ok))

    @rule(
        specs=shapes,
        names=st.permutations([f"b{i}" for i in range(6)]),
        policy=st.sampled_from(["goodput", *sorted(POLICIES)]),
        mode=st.sampled_from(["enforce", "auto", "off", None]),
        limits=st.sampled_from(LIMITS_OF_TENANTS),
        concurrency=st.sampled_from(["learned", "off"]),
    )
    def reconfigure(
        self,
        specs: list[dict[str, Any]],
        names: list[str],
        policy: str,
        mode: str | None,
        limits: dict[str, int] | None,
        concurrency: str,
    ) -> None:
        chosen = zip(names, specs, strict=False)
        backends = [BackendSpec(name, any_model=True, **shape) for name, shape in chosen]
        self.names = [backend.name for backend in backends]
        self.is_reconfigured = True
        scheduling = scheduled(policy, mode, limits, concurrency=concurrency)
        self.call("reconfigure", backends, CoreSettings(hold=HoldSettings(min_jobs=3), scheduling=scheduling))
        for view in self.twins[0].backends(self.now):
            assert view.leaving == (view.name not in self.names)
            assert view.in_flight or not view.leaving

    @rule(seconds=st.sampled_from([0, 0.01, 0.3, 2, 20, 4000]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.call("tick")

    @invariant()
    def the_books_balance(self) -> None:
        if not hasattr(self, "twins"):
            return
        counts = self.twins[0].counts(self.now)
        assert counts.offered == self.count == sum(self.ends.values()) + len(self.out) + len(self.held)
        assert (counts.in_flight, counts.held) == (len(self.out), len(self.held))
        assert {name: getattr(counts, name) for name in self.ends} == self.ends
        wakeup = self.twins[0].wakeup_at()
        assert not self.held or wakeup is not None
        assert counts.hedging == sum(len(backends) == 2 for backends in self.out.values())
        assert counts.hedges == self.hedged
        assert counts.hedges_won <= counts.hedges
        for view in self.twins[0].backends(self.now):
            assert view.in_flight == sum(view.name in backends for backends in self.out.values())
            assert view.backlog_s >= 0
            assert view.kv_used >= 0
            assert 0.5 <= view.slow <= 50
        for tenant in ("", "a", "b"):
            quota = self.twins[0].quota(tenant, self.now)
            if quota is not None:
                open_jobs = [self.tenants[job_id] for job_id in (*self.out, *self.held)]
                if self.is_reconfigured:  # those of before a limit are nobody's
                    assert 0 <= quota.concurrent <= open_jobs.count(tenant)
                else:
                    assert quota.concurrent == open_jobs.count(tenant) <= (quota.max_concurrent or 0)

    def teardown(self) -> None:
        if not hasattr(self, "twins"):
            return
        for _ in range(400):
            if not self.held and not self.out:
                break
            for job_id in sorted(self.out):
                if job_id in self.out:
                    self.finished(job_id, Finished(self.out[job_id].popitem()[1]))
            self.now = max(self.now, self.twins[0].wakeup_at() or self.now)
            self.call("tick")
        assert not self.held
        fleet = self.twins[0]._fleet
        assert {*fleet.by_name} == {*self.names}, "who left is forgotten"
        for backend in fleet.backends:
            ledger = backend.ledger
            assert (ledger.kv, ledger.decoding, ledger.pending, ledger.pending_s, ledger.promised) == (0, 0, {}, 0, 0)
            assert ledger.tightest is None


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
