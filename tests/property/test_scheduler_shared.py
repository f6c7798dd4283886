"""Random lives of jobs that share attempts: whoever leaves, fails, is left out or has the fault of a failure, in
whatever order, permits and states are right, the others are unharmed, every job ends once, and nothing is repeated that
must not be. The same calls give the same commands."""

import random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.config.plain import read
from proxy.core.jobs.states import HELD, OUT
from proxy.core.rng import NoChance
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Failed, Finished, FirstByte, Part, Refuse
from proxy.model.faults import DECLINED, NOT_REACHED, Kind, downstream, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from proxy.model.windows import Window

TRIES = 3
MOST_INPUTS = 64
RULES = [
    None,
    Window(True, 0.01, 32, 8192),
    Window(True, 0.01, 4, 8192),
    Window(False, 0.005, 3, 8192),
    Window(False, 0.01, 32, 100),
    Window(False, 600.0, 32, 8192),
    Window(False, 0.0, 1, 1),
]
FAULTS = [
    *(upstream(kind, "failed") for kind in (Kind.CONNECT, Kind.RESET, Kind.ERROR_STATUS, Kind.BUSY, Kind.CANNOT)),
    downstream(Kind.INVALID, "one of them is bad"),
]


class SharedLives(RuleBasedStateMachine):
    @initialize(
        permits=st.lists(st.sampled_from([None, 1, 2]), min_size=1, max_size=3),
        seed=st.sampled_from([None, 0, 1]),
        limited=st.booleans(),
    )
    def start(self, permits: list[int | None], seed: int | None, limited: bool) -> None:
        specs = [BackendSpec(f"b{i}", any_model=True, max_concurrency=most) for i, most in enumerate(permits)]
        tenants = ({"tenant": "*", "max_concurrent": 6},) if limited else ()
        self.twins = [
            Scheduler(
                specs,
                retries=RetrySettings(attempts=TRIES),
                hold=HoldSettings(min_jobs=8),
                health=HealthSettings(consecutive_failures=3),
                rng=NoChance() if seed is None else random.Random(seed),
                scheduling=read(SchedulingSettings, {"tenants": tenants}),
            )
            for _ in range(2)
        ]
        self.by_chance = seed is not None
        self.now = 1000.0
        self.jobs: dict[int, Job] = {}
        self.held: set[int] = set()
        self.out: dict[int, int] = {}
        """Job → its attempt."""
        self.attempts: dict[int, tuple[str, list[int]]] = {}
        """Attempt → where it is, and for whom."""
        self.started: set[int] = set()
        self.tries: dict[int, int] = {}
        self.over: list[int] = []
        self.ends = {"finished": 0, "refused": 0, "cancelled": 0}
        self.drained = False

    def call(self, method: str, *args: Any) -> list[Command]:
        first, second = (getattr(twin, method)(*args) for twin in self.twins)
        assert first == second, "same seed, same calls, other commands"
        for command in first:
            self.take(command)
        return first

    def take(self, command: Command) -> None:
        if isinstance(command, Refuse):
            self.held.remove(command.job_id)
            self.ends["refused"] += 1
            return
        assert isinstance(command, Dispatch), "nobody is hedged and nothing is bulk"
        joins = command.attempt in self.attempts
        backend, jobs = self.attempts.setdefault(command.attempt, (command.backend, []))
        assert backend == command.backend
        assert jobs == [] or len(command.jobs) == 1
        for job_id in command.jobs:
            self.held.remove(job_id)
            self.out[job_id] = command.attempt
            jobs.append(job_id)
        if len(command.jobs) > 1:
            assert len({self.jobs[job_id].window for job_id in command.jobs}) == 1
            assert len({self.jobs[job_id].bulk for job_id in command.jobs}) == 1
            assert sum(self.jobs[job_id].items for job_id in command.jobs) <= MOST_INPUTS
        if command.gathered is not None:
            assert len(command.gathered.waits_s) == len(command.jobs)
            assert min(command.gathered.waits_s) >= 0
        if joins:
            one, other = self.jobs[command.jobs[0]], self.jobs[jobs[0]]
            assert (one.same, one.tenant) == (other.same, other.tenant), "another question"
            assert one.same is not None

    @rule(
        same=st.sampled_from([None, b"a", b"a", b"b"]),
        tenant=st.sampled_from(["", "", "x"]),
        stream=st.booleans(),
        lasts=st.sampled_from([None, None, None, 5.0]),
    )
    def submit(self, same: bytes | None, tenant: str, stream: bool, lasts: float | None) -> None:
        deadline = None if lasts is None else self.now + lasts
        self.submitted(Job(len(self.jobs), "m", same=same, tenant=tenant, stream=stream, deadline=deadline))

    @rule(
        count=st.integers(1, 4),
        window=st.sampled_from([b"v", b"v", b"w"]),
        rule_=st.sampled_from(RULES),
        items=st.sampled_from([1, 1, 3]),
        tenant=st.sampled_from(["", "", "x"]),
        bulk=st.sampled_from([False, False, False, True]),
        lasts=st.sampled_from([None, None, None, 0.1, 5.0]),
    )
    def submit_to_window(
        self,
        count: int,
        window: bytes,
        rule_: Window | None,
        items: int,
        tenant: str,
        bulk: bool,
        lasts: float | None,
    ) -> None:
        for _ in range(count):
            deadline = None if lasts is None else self.now + lasts
            more = {"tenant": tenant, "bulk": bulk, "deadline": deadline, "prompt_tokens": 20}
            self.submitted(Job(len(self.jobs), "m", window=window, gather=rule_, items=items, **more))

    def submitted(self, job: Job) -> None:
        self.call("tick", self.now)
        said = self.twins[0].explain(job, self.now)
        assert said == self.twins[1].explain(job, self.now)
        self.jobs[job.id] = job
        self.held.add(job.id)
        alike = self.alike(job)
        out = len(self.attempts)
        self.call("submit", job, self.now)
        if job.id in self.out and not self.by_chance:
            backend = self.attempts[self.out[job.id]][0]
            assert (said.outcome, said.backend) == ("dispatch" if len(self.attempts) > out else "join", backend)
            assert said.outcome == "join" or said.batch == len(self.attempts[self.out[job.id]][1])
        elif not self.by_chance and job.id in self.held:
            assert said.outcome == self.place(job.id)
        if alike and job.id in self.out:
            assert self.out[job.id] in alike, "asked an engine though the answer was on its way"

    def gathers(self, job_id: int) -> bool:
        return self.place(job_id) == "gather"

    def place(self, job_id: int) -> str:
        held, hold = self.twins[0]._held, self.twins[0]._attempts.open[job_id].waits_in
        return "gather" if hold is held.gathering else "backfill" if hold is held.backfill else "hold"

    def alike(self, job: Job) -> set[int]:
        """Attempts for the same question, which was asked from its beginning."""
        open_jobs = self.twins[0]._attempts.alike(job) if job.same is not None else None
        return set() if open_jobs is None else {open_jobs.id}

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), ok=st.booleans(), tells=st.booleans())
    def finish(self, data: Any, ok: bool, tells: bool) -> None:
        attempt, (_, jobs) = self.drawn(data)
        missing = data.draw(st.sets(st.sampled_from(jobs))) if ok and self.is_merged(jobs) else set()
        stays = [job_id for job_id in jobs if job_id not in missing] or jobs[-1:]
        for job_id in jobs:
            del self.out[job_id]
            if job_id not in stays:
                self.held.add(job_id)
            else:
                self.ends["finished"] += 1
        parts = tuple(Part(job_id, 5, 7) for job_id in stays) if tells else ()
        self.call("observe", Finished(attempt, 100, None, 100, ok, parts, tuple(missing)), self.now)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), fault=st.sampled_from(FAULTS), repeatable=st.sampled_from([True, True, True, False]))
    def fail(self, data: Any, fault: Any, repeatable: bool) -> None:
        attempt, (_, jobs) = self.drawn(data)
        mine = fault.kind is Kind.INVALID and len(jobs) > 1
        too_many = mine and self.is_merged(jobs) and data.draw(st.booleans())
        cap = data.draw(st.sampled_from([None, 1, 2])) if too_many else None
        if fault.kind is Kind.INVALID and not mine:
            fault = FAULTS[0]  # an engine's answer to one alone is its answer
        culprits = (
            data.draw(st.sets(st.sampled_from(jobs))) if mine and not too_many and self.is_merged(jobs) else set()
        )
        for job_id in jobs:
            del self.out[job_id]
            self.held.add(job_id)
            if not mine and fault.kind not in NOT_REACHED and fault.kind not in DECLINED:
                self.tries[job_id] = self.tries.get(job_id, 0) + 1
        commands = self.call("observe", Failed(attempt, fault, repeatable, tuple(culprits), too_many, cap), self.now)
        ends = {c.job_id: c.fault for c in commands if isinstance(c, Refuse)}
        for job_id in jobs:
            if not repeatable or job_id in culprits:
                assert job_id in ends, "repeated what must not be"
            elif mine and job_id in ends:
                assert ends[job_id] is not fault, "got the fault of another job"
        self.over.append(attempt)

    def is_merged(self, jobs: list[int]) -> bool:
        return len(jobs) > 1 and self.jobs[jobs[0]].window is not None

    def drawn(self, data: Any) -> tuple[int, tuple[str, list[int]]]:
        attempt = data.draw(st.sampled_from(sorted(self.attempts)))
        self.over.append(attempt)
        return attempt, self.attempts.pop(attempt)

    @precondition(lambda self: self.out or self.held)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        job_id = data.draw(st.sampled_from(sorted({*self.out, *self.held})))
        attempt = self.out.pop(job_id, None)
        self.held.discard(job_id)
        self.ends["cancelled"] += 1
        if attempt is not None:
            self.attempts[attempt][1].remove(job_id)
            if not self.attempts[attempt][1]:
                del self.attempts[attempt]
                self.over.append(attempt)
        self.call("cancel", job_id, self.now)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def begin(self, data: Any) -> None:
        self.call("observe", FirstByte(data.draw(st.sampled_from(sorted(self.attempts)))), self.now)

    @precondition(lambda self: self.over)
    @rule(data=st.data())
    def late_report(self, data: Any) -> None:
        attempt = data.draw(st.sampled_from(self.over))
        self.call("tick", self.now)
        assert self.call("observe", Finished(attempt, missing=tuple(self.jobs)), self.now) == []

    @rule(seconds=st.sampled_from([0.001, 0.004, 0.02, 0.3, 3, 40]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.call("tick", self.now)

    @precondition(lambda self: len(self.jobs) > 12)
    @rule()
    def drain(self) -> None:
        self.drained = True
        self.call("refuse_new")
        assert all(self.gathers(job_id) for job_id in self.held)
        self.call("tick", self.now)
        assert not self.held, "a window outlived a drain"

    @invariant()
    def the_books_balance(self) -> None:
        if not hasattr(self, "twins"):
            return
        core = self.twins[0]
        counts = core.counts(self.now)
        assert counts.offered == len(self.jobs) == sum(self.ends.values()) + len(self.out) + len(self.held)
        assert (counts.in_flight, counts.held) == (len(self.out), len(self.held))
        assert {name: getattr(counts, name) for name in self.ends} == self.ends
        for view in core.backends(self.now):
            assert view.in_flight == sum(backend == view.name for backend, _ in self.attempts.values())
            assert view.permits is None or view.in_flight <= view.permits
        assert {one.id: [j.job.id for j in one.open_jobs] for one in core._attempts.out.values()} == {
            attempt: jobs for attempt, (_, jobs) in self.attempts.items()
        }, "for whom an attempt is, in the order in which they came"
        for job_id, open_job in core._attempts.open.items():
            assert open_job.state == (OUT if job_id in self.out else HELD)
            assert [one.id for one in open_job.attempts] == ([self.out[job_id]] if job_id in self.out else [])
        for job_id, open_job in core._attempts.open.items():
            rule_ = self.jobs[job_id].gather
            if open_job.waits_in is core._held.gathering:
                assert rule_ is not None
                assert open_job.held_at is not None
                assert self.now <= open_job.held_at + rule_.max_wait_s + 1e-6, "waited longer than its window"
        waiting = sorted(j.job.id for window in (b"v", b"w") for j in core._held.peers.of(window))
        assert waiting == sorted(job_id for job_id in self.held if self.jobs[job_id].window is not None)
        assert max(self.tries.values(), default=0) <= TRIES
        assert not self.held or core.wakeup_at() is not None
        for tenant in ("", "x"):
            quota = core.quota(tenant, self.now)
            if quota is not None:
                open_jobs = [self.jobs[job_id].tenant for job_id in (*self.out, *self.held)]
                assert quota.concurrent == open_jobs.count(tenant)

    def teardown(self) -> None:
        if not hasattr(self, "twins"):
            return
        for _ in range(400):
            for attempt in sorted(self.attempts):
                for job_id in self.attempts.pop(attempt)[1]:
                    del self.out[job_id]
                    self.ends["finished"] += 1
                self.call("observe", Finished(attempt), self.now)
            if not self.held and not self.out:
                break
            self.now = max(self.now, self.twins[0].wakeup_at() or self.now)
            self.call("tick", self.now)
        assert not self.held
        core = self.twins[0]
        assert not core._attempts._alike
        for backend in core._fleet.backends:
            ledger = backend.ledger
            assert (ledger.kv, ledger.decoding, ledger.pending, ledger.pending_s, ledger.promised) == (0, 0, {}, 0, 0)


TestSharedLives = SharedLives.TestCase
TestSharedLives.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
