"""Random lives of a scheduler: whatever happens in whatever order, the books balance and nobody waits for nothing."""

import random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.core.health import State
from proxy.core.policies import POLICIES
from proxy.core.scheduler import Scheduler
from proxy.core.views import BackendView
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Failed, Finished, FirstByte, Probed, Refuse
from proxy.model.faults import Fault, Kind, downstream, internal, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job

MODELS = ("x", "y", "z")
FAULTS = [
    *(upstream(kind, "failed") for kind in (Kind.CONNECT, Kind.RESET, Kind.ERROR_STATUS, Kind.CUT, Kind.BUSY)),
    upstream(Kind.BUSY, "come back", retry_after_s=3.0),
    downstream(Kind.LEFT, "left"),
    internal(Kind.BUG, "ours"),
]
name_sets = st.frozensets(st.sampled_from(MODELS))
backend_shapes = st.tuples(
    st.one_of(st.none(), name_sets),
    st.sampled_from([True, False, False, False]),
    st.sampled_from([1, 1, 2, 3, None]),
    st.sampled_from([{}, {}, {"z": "x"}]),
)
hold_settings = st.builds(
    lambda jobs, ratio, size, wait: HoldSettings(
        min_jobs=jobs, per_in_flight=ratio, bytes=f"{size}B", max_wait=f"{wait}s"
    ),
    st.integers(0, 6),
    st.sampled_from([0, 0.5, 2]),
    st.sampled_from([0, 20, 1000]),
    st.sampled_from([0, 1, 30]),
)
health_settings = st.builds(
    lambda row, samples, panic, ramp, eject: HealthSettings(
        consecutive_failures=row, min_samples=samples, panic_threshold=panic, slow_start=f"{ramp}s", eject=f"{eject}s"
    ),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([2, 20]),
    st.sampled_from([0, 0.5, 1]),
    st.sampled_from([0, 10]),
    st.sampled_from([0, 1, 5]),
)
retry_settings = st.builds(
    lambda attempts, ratio, per_s: RetrySettings(attempts=attempts, budget_ratio=ratio, budget_min_per_s=per_s),
    st.integers(1, 4),
    st.sampled_from([0, 0.1, 1]),
    st.sampled_from([0, 0.1, 1]),
)


class Mirror:
    """What a careful driver knows: where each open job is, and how each ended."""

    def __init__(self) -> None:
        self.out: dict[int, str] = {}
        self.held: dict[int, Job] = {}
        self.attempts: dict[int, int] = {}
        self.retried: set[int] = set()
        self.ended: dict[int, str] = {}

    def take(self, commands: list[Command]) -> None:
        ids = [command.job_id for command in commands]
        assert len(ids) == len(set(ids)), "two commands for one job in one answer"
        for command in commands:
            assert command.job_id in self.held, "a command for a job that does not wait for one"
            if isinstance(command, Dispatch):
                del self.held[command.job_id]
                self.out[command.job_id] = command.backend
                assert command.attempt == self.attempts.get(command.job_id, 0) + 1
                self.attempts[command.job_id] = command.attempt
            else:
                self.end(command.job_id, "refused")

    def end(self, job_id: int, how: str) -> None:
        assert job_id not in self.ended, "a job ended twice"
        self.held.pop(job_id, None)
        self.out.pop(job_id, None)
        self.ended[job_id] = how


class Life(RuleBasedStateMachine):
    """Twins with the same seed are driven in step, so that every run also tests determinism."""

    @initialize(
        shapes=st.lists(backend_shapes, min_size=1, max_size=5),
        policy=st.sampled_from(sorted(POLICIES)),
        hold=hold_settings,
        health=health_settings,
        retries=retry_settings,
        seed=st.integers(0, 5),
    )
    def start(self, shapes: list[Any], policy: str, seed: int, **limits: Any) -> None:
        specs = [
            BackendSpec(f"b{i}", models=models, any_model=anything, max_concurrency=permits, aliases=aliases)
            for i, (models, anything, permits, aliases) in enumerate(shapes)
        ]
        self.names = [s.name for s in specs]
        self.hold: HoldSettings = limits["hold"]
        self.most_attempts: int = limits["retries"].attempts
        self.twins = [Scheduler(specs, policy=policy, rng=random.Random(seed), **limits) for _ in range(2)]
        self.mirror = Mirror()
        self.now = 1000.0
        self.next_id = 0
        self.drained = False

    # ---- driving

    def both(self, method: str, *args: Any) -> list[Command]:
        first, second = (getattr(twin, method)(*args) for twin in self.twins)
        assert first == second, "same seed, same calls, other commands"
        answer: list[Command] = first
        return answer

    @property
    def scheduler(self) -> Scheduler:
        return self.twins[0]

    def a_job_out(self, data: Any) -> int:
        return data.draw(st.sampled_from(sorted(self.mirror.out)))

    @rule(
        model=st.sampled_from([*MODELS, "unknown"]),
        size=st.sampled_from([0, 1, 15, 500]),
        slack=st.sampled_from([None, None, -1, 0, 0.5, 20]),
    )
    def submit(self, model: str, size: int, slack: float | None) -> None:
        deadline = None if slack is None else self.now + slack
        job = Job(self.next_id, model, body_bytes=size, deadline=deadline)
        self.next_id += 1
        self.mirror.held[job.id] = job
        before = self.scheduler.counts(self.now)
        commands = self.both("submit", job, self.now)
        self.mirror.take(commands)
        if job.id in self.mirror.held:
            self.check_hold_bound(before.held_bytes)
        if slack is not None and slack <= 0:
            assert self.mirror.ended[job.id] == "refused"
        mine = [c for c in commands if c.job_id == job.id and isinstance(c, Refuse)]
        for refusal in mine:
            self.check_refusal(refusal.fault, job)

    @precondition(lambda self: self.mirror.out)
    @rule(data=st.data())
    def finish(self, data: Any) -> None:
        job_id = self.a_job_out(data)
        self.mirror.end(job_id, "finished")
        self.mirror.take(self.both("observe", Finished(job_id), self.now))

    @precondition(lambda self: self.mirror.out)
    @rule(data=st.data(), fault=st.sampled_from(FAULTS), repeatable=st.sampled_from([True, True, False]))
    def fail(self, data: Any, fault: Fault, repeatable: bool) -> None:
        job_id = self.a_job_out(data)
        job = Job(job_id, "?")
        del self.mirror.out[job_id]
        self.mirror.held[job_id] = job
        self.mirror.retried.add(job_id)
        commands = self.both("observe", Failed(job_id, fault, repeatable), self.now)
        self.mirror.take(commands)
        if not repeatable:
            assert Refuse(job_id, fault) in commands
        for command in commands:
            if command.job_id == job_id and isinstance(command, Refuse):
                assert command.fault is fault, "the last fault is the answer, unchanged"

    @precondition(lambda self: self.mirror.out)
    @rule(data=st.data())
    def first_byte(self, data: Any) -> None:
        self.mirror.take(self.both("observe", FirstByte(self.a_job_out(data)), self.now))

    @precondition(lambda self: self.mirror.out or self.mirror.held)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        job_id = data.draw(st.sampled_from(sorted({*self.mirror.out, *self.mirror.held})))
        self.mirror.end(job_id, "cancelled")
        self.mirror.take(self.both("cancel", job_id, self.now))

    @precondition(lambda self: self.mirror.ended)
    @rule(data=st.data(), report=st.sampled_from(["finish", "fail", "cancel"]))
    def late_report(self, data: Any, report: str) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.mirror.ended)))
        if report == "cancel":
            commands = self.both("cancel", job_id, self.now)
        else:
            said = Finished(job_id) if report == "finish" else Failed(job_id, FAULTS[0], repeatable=True)
            commands = self.both("observe", said, self.now)
        self.mirror.take(commands)  # at most the work of a timer that is due, and that never concerns an ended job

    @rule(data=st.data(), ok=st.booleans(), models=st.one_of(st.none(), name_sets))
    def probe(self, data: Any, ok: bool, models: frozenset[str] | None) -> None:
        name = data.draw(st.sampled_from(self.names))
        self.mirror.take(self.both("observe", Probed(name, ok, models), self.now))

    @rule(data=st.data(), times=st.integers(1, 6))
    def probe_fails_again_and_again(self, data: Any, times: int) -> None:
        name = data.draw(st.sampled_from(self.names))
        for _ in range(times):
            self.mirror.take(self.both("observe", Probed(name, False), self.now))

    @rule(seconds=st.sampled_from([0, 0.001, 0.4, 1, 5, 29, 300]), tick=st.booleans())
    def time_passes(self, seconds: float, tick: bool) -> None:
        self.now += seconds
        if tick:
            self.mirror.take(self.both("tick", self.now))
        else:
            # a driver's timer would have fired; its work is done by whatever call comes next
            self.mirror.take(self.both("observe", Probed(self.names[0], True, None), self.now))

    @precondition(lambda self: self.scheduler.wakeup_at() is not None)
    @rule()
    def timer_fires(self) -> None:
        self.now = max(self.now, self.scheduler.wakeup_at() or 0)
        self.mirror.take(self.both("tick", self.now))

    @precondition(lambda self: self.next_id > 20)
    @rule()
    def drain(self) -> None:
        self.drained = True
        before = set(self.mirror.held)
        commands = self.both("refuse_new")
        assert {c.job_id for c in commands} == before
        self.mirror.take(commands)

    # ---- checks

    def views(self) -> list[BackendView]:
        return self.scheduler.backends(self.now)

    def serving(self, model: str) -> list[BackendView]:
        """The backends that serve `model`."""
        return [v for v in self.views() if v.models is not None and (v.any_model or model in v.models)]

    def check_hold_bound(self, bytes_before: int) -> None:
        counts = self.scheduler.counts(self.now)
        assert counts.held <= max(self.hold.min_jobs, int(self.hold.per_in_flight * counts.in_flight))
        assert counts.held_bytes <= self.hold.bytes
        assert counts.held_bytes >= bytes_before or counts.held >= 1

    def check_refusal(self, fault: Fault, job: Job) -> None:
        if self.drained:
            assert fault.kind is Kind.DRAINING
        elif fault.kind is Kind.QUEUE_FULL:
            assert not any(has_room(v) for v in self.serving(job.model)), "refused while a backend was idle"
        elif fault.kind in {Kind.MODEL_NOT_FOUND, Kind.NO_BACKEND}:
            assert not self.serving(job.model)
            assert (fault.kind is Kind.NO_BACKEND) == any(v.models is None for v in self.views())
        else:
            assert fault.kind is Kind.HOLD_TIMEOUT
            assert job.deadline is not None
            assert job.deadline <= self.now
        if fault.kind is not Kind.MODEL_NOT_FOUND:
            assert fault.retry_after_s is not None
            assert 1 <= fault.retry_after_s <= 60

    @invariant()
    def the_books_balance(self) -> None:
        for twin in self.twins:
            counts = twin.counts(self.now)
            assert counts.offered == self.next_id
            assert counts.in_flight == len(self.mirror.out)
            assert counts.held == len(self.mirror.held)
            ended = list(self.mirror.ended.values())
            assert counts.finished == ended.count("finished")
            assert counts.refused == ended.count("refused")
            assert counts.cancelled == ended.count("cancelled")
            assert counts.offered == sum(
                (counts.finished, counts.refused, counts.cancelled, counts.in_flight, counts.held)
            )

    @invariant()
    def permits_are_those_of_the_jobs_that_are_out(self) -> None:
        for view in self.views():
            assert view.in_flight == list(self.mirror.out.values()).count(view.name)
            assert view.permits is None or view.in_flight <= view.permits

    @invariant()
    def attempts_are_bounded(self) -> None:
        assert max(self.mirror.attempts.values(), default=0) <= self.most_attempts

    @invariant()
    def nobody_is_held_while_a_healthy_backend_has_room(self) -> None:
        for job_id, job in self.mirror.held.items():
            if job_id not in self.mirror.retried:  # a retry may wait for another backend than the one that failed
                assert not any(has_room(v) for v in self.serving(job.model)), f"{job} waits for nothing"

    @invariant()
    def every_wait_ends(self) -> None:
        wakeup_at = self.scheduler.wakeup_at()
        assert not self.mirror.held or wakeup_at is not None
        ends = [v.ejected_until for v in self.views() if v.ejected_until is not None]
        if ends:
            assert wakeup_at is not None
            assert wakeup_at <= min(ends)

    @invariant()
    def ejection_leaves_every_model_a_backend(self) -> None:
        """Looked at from outside: with nothing in flight a job always goes."""
        if self.mirror.out or self.mirror.held or self.drained:
            return
        for model in self.scheduler.models():
            if self.scheduler.wakeup_at() is not None and (self.scheduler.wakeup_at() or 0) <= self.now:
                return
            job = Job(-1, model)
            commands = self.both("submit", job, self.now)
            assert [type(c) for c in commands] == [Dispatch], f"{model} has no backend"
            self.next_id += 1
            self.both("cancel", -1, self.now)
            self.mirror.ended[-self.next_id] = "cancelled"

    @invariant()
    def states_and_shares_make_sense(self) -> None:
        for view in self.views():
            assert (view.ejected_until is not None) == (view.state is State.EJECTED)
            assert 0.1 <= view.share <= 1.0

    def teardown(self) -> None:
        """Everybody leaves, or time runs out: nothing is left."""
        if not hasattr(self, "mirror"):
            return
        while (at := self.scheduler.wakeup_at()) is not None and self.mirror.held:
            self.now = max(self.now, at)
            self.mirror.take(self.both("tick", self.now))
        for job_id in sorted(self.mirror.out):
            self.mirror.end(job_id, "finished")
            self.mirror.take(self.both("observe", Finished(job_id), self.now))
        counts = self.scheduler.counts(self.now)
        assert counts.in_flight == counts.held == counts.held_bytes == 0
        assert all(view.in_flight == 0 for view in self.views())
        self.the_books_balance()


def has_room(view: BackendView) -> bool:
    """Healthy, with a permit left."""
    return view.state is State.HEALTHY and (view.permits is None or view.in_flight < view.permits)


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestLife = Life.TestCase
