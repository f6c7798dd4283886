"""The life of a scheduler as a careful driver sees it, with everything that must hold after every step.

Two schedulers with the same seed are driven in step, so that every life also tests determinism.
"""

import random
from collections import Counter
from typing import Any

from proxy.core.decide import BRIEF
from proxy.core.fleet.health import HealthState
from proxy.core.scheduler import Scheduler
from proxy.core.shown.views import BackendView
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Failed, Finished, FirstByte, Probed, Refuse
from proxy.model.faults import DECLINED, NOT_REACHED, Fault, Kind
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings

UNTOLD = 64
"""Answers in one piece that a backend is sent whose operator names no bound."""


def has_place(view: BackendView) -> bool:
    """There, not full, with a permit left."""
    places = [most for most in (view.permits, view.places) if most is not None]
    if view.permits is None:  # how many it takes is learned, and it is sent so many before anything is
        places.append(UNTOLD)
    there = view.state is not HealthState.AWAY and view.paused_until is None
    return there and all(view.in_flight < most for most in places)


def has_room(view: BackendView) -> bool:
    """Healthy too."""
    return view.state is HealthState.HEALTHY and has_place(view)


class Life:
    """Where each open job is and how each ended, told by the commands alone."""

    def __init__(
        self,
        specs: list[BackendSpec],
        *,
        policy: str,
        hold: HoldSettings,
        health: HealthSettings,
        retries: RetrySettings,
        seed: int,
    ) -> None:
        self.names = [spec.name for spec in specs]
        self._known = set(self.names)
        self.policy = policy
        self.hold = hold
        self.most_tries = retries.attempts
        """By the most generous configuration so far."""
        self.over: dict[str, int] = {}
        """Permits that were out when fewer were configured, as far as they have not come back."""
        self.twins = [
            Scheduler(specs, policy=policy, hold=hold, health=health, retries=retries, rng=random.Random(seed))
            for _ in range(2)
        ]
        self.scheduler = self.twins[0]
        self._before: list[BackendView] = []
        self.now = 1000.0
        self.drained = False
        self.jobs: list[Job] = []
        self.out: dict[int, str] = {}
        self.ids: dict[int, int] = {}
        """Of the last attempt of each job."""
        self.held: set[int] = set()
        self.attempts: dict[int, int] = {}
        self.tries: dict[int, int] = {}
        """Attempts at which an engine may have worked."""
        self.failed_once: set[int] = set()
        self.ended: dict[int, str] = {}
        self.endings: Counter[str] = Counter()

    # ---- steps

    def submit(self, model: str, size: int, slack: float | None) -> None:
        deadline = None if slack is None else self.now + slack
        job = Job(len(self.jobs), model, body_bytes=size, deadline=deadline)
        self.jobs.append(job)
        self.held.add(job.id)
        commands = self._both("submit", job, self.now)
        if job.id in self.held:
            self._check_hold_bound()
        for command in commands:
            if isinstance(command, Refuse) and command.job_id == job.id:
                self._check_refusal(command.fault, job)
        assert slack is None or slack > 0 or self.ended[job.id] == "refused"

    def finish(self, job_id: int) -> None:
        self._end(job_id, "finished")
        self._both("observe", Finished(self.ids[job_id]), self.now)

    def fail(self, job_id: int, fault: Fault, repeatable: bool) -> None:
        del self.out[job_id]
        self.held.add(job_id)
        self.failed_once.add(job_id)
        if fault.kind not in NOT_REACHED and fault.kind not in DECLINED:
            self.tries[job_id] = self.tries.get(job_id, 0) + 1
        commands = self._both("observe", Failed(self.ids[job_id], fault, repeatable), self.now)
        ends = [c for c in commands if isinstance(c, Refuse) and c.job_id == job_id]
        assert repeatable or ends
        for command in ends:
            if fault.kind in NOT_REACHED and fault.kind is not Kind.TLS:
                assert command.fault.kind is Kind.NO_BACKEND, "who was not reached did not fail"
            else:
                assert command.fault is fault, "the last fault is the answer, unchanged"
        if job_id in self.held:
            self._check_hold_bound()

    def first_byte(self, job_id: int) -> None:
        self._both("observe", FirstByte(self.ids[job_id]), self.now)

    def leave(self, job_id: int) -> None:
        self._end(job_id, "cancelled")
        self._both("cancel", job_id, self.now)

    def late_report(self, job_id: int, report: Finished | Failed | None) -> None:
        """On a job that is over (None: its client leaves once more): at most the work of a timer is answered."""
        if report is None:
            self._both("cancel", job_id, self.now)
        else:
            self._both("observe", report, self.now)

    def probe(self, name: str, ok: bool, models: frozenset[str] | None, times: int = 1, reached: bool = True) -> None:
        for _ in range(times):
            self._both("observe", Probed(name, ok, models, reached), self.now)

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self._both("tick", self.now)

    def sleep(self, seconds: float) -> None:
        """Time passes and the timer comes late: its work is done by whatever call is next."""
        self.now += seconds

    def timer(self) -> None:
        at = self.scheduler.wakeup_at()
        if at is not None:
            self.tick(max(0.0, at - self.now))

    def drain(self) -> None:
        self.drained = True
        before = set(self.held)
        assert {command.job_id for command in self._both("refuse_new") if isinstance(command, Refuse)} == before

    def reconfigure(self, specs: list[BackendSpec], settings: CoreSettings) -> None:
        for view in self._all_views():
            self.over[view.name] = max(self.over.get(view.name, 0), view.in_flight)
        before, self.names = self.names, [spec.name for spec in specs]
        self.hold = settings.hold
        self.most_tries = max(self.most_tries, settings.retries.attempts)
        self._known = {*before, *self.names}
        self._both("reconfigure", specs, settings, self.now)
        self._known = set(self.names)
        assert [view.name for view in self.views()] == self.names

    def end(self) -> None:
        """Time runs until nobody is held, and who is out is answered."""
        while self.held:
            self.timer()
        for job_id in sorted(self.out):
            self.finish(job_id)
        counts = self.scheduler.counts(self.now)
        assert counts.in_flight == counts.held == counts.held_bytes == 0
        assert all(view.in_flight == 0 and not view.leaving for view in self._all_views())
        self.check()

    # ---- what must hold after every step

    def check(self) -> None:
        self._check_books()
        self._check_permits()
        self._check_waits()
        self._check_health()
        self._check_who_left()
        assert max(self.tries.values(), default=0) <= self.most_tries

    def views(self) -> list[BackendView]:
        """Of those that are configured."""
        return [view for view in self._all_views() if not view.leaving]

    def _all_views(self) -> list[BackendView]:
        return self.scheduler.backends(self.now)

    def serving(self, model: str) -> list[BackendView]:
        """The backends that serve `model`."""
        return self._of(model, self.views())

    @staticmethod
    def _of(model: str, views: list[BackendView]) -> list[BackendView]:
        return [v for v in views if v.models is not None and (v.any_model or model in v.models)]

    def _check_books(self) -> None:
        for twin in self.twins:
            counts = twin.counts(self.now)
            assert counts.offered == len(self.jobs)
            assert counts.in_flight == len(self.out)
            assert counts.held == len(self.held)
            assert counts.held_bytes == sum(self.jobs[job_id].body_bytes for job_id in self.held)
            assert counts.finished == self.endings["finished"]
            assert counts.refused == self.endings["refused"]
            assert counts.cancelled == self.endings["cancelled"]
        assert len(self.ended) + len(self.out) + len(self.held) == len(self.jobs)

    def _check_permits(self) -> None:
        out = list(self.out.values())
        for view in self._all_views():
            assert view.in_flight == out.count(view.name)
            self.over[view.name] = min(self.over.get(view.name, 0), view.in_flight)
            assert view.permits is None or view.in_flight <= max(view.permits, self.over[view.name])
        assert sum(view.in_flight for view in self._all_views()) == len(out)

    def _check_who_left(self) -> None:
        """Who is configured no more is known for as long as an attempt is out there, and leaves nothing behind."""
        for twin in self.twins:
            fleet = twin._fleet
            assert {*fleet.by_name} == {*self.names, *[backend.name for backend in fleet.leaving]}
            assert all(backend.in_flight and not backend.memberships for backend in fleet.leaving)
            numbers = [backend.number for backend in fleet.by_name.values()]
            assert len(numbers) == len(set(numbers))
            assert {*fleet.timers._at, *fleet.pauses._at} <= set(numbers)
            held_by = sum(1 << number for number in numbers)
            assert not any(holders & ~held_by for holders in fleet.prefixes.holders.values())
            assert {*fleet.ramping} <= {*fleet.by_name.values()}
            assert {*fleet.pools} == {backend.pool.name for backend in fleet.backends}
            for pool in fleet.pools.values():
                assert pool.backends == sum(backend.pool is pool for backend in fleet.backends)

    def _check_waits(self) -> None:
        wakeup_at = self.scheduler.wakeup_at()
        if not self.held:
            return
        assert wakeup_at is not None, "a wait without an end"
        assert wakeup_at <= self.now + self.hold.max_wait, "a wait longer than allowed"
        views = self.views()
        for job_id in self.held - self.failed_once:  # a retry may wait for another backend than the one that failed it
            model = self.jobs[job_id].model
            serving = [v for v in views if v.models is not None and (v.any_model or model in v.models)]
            assert serving, "held for a model that nobody serves"
            assert not any(has_room(v) for v in serving), "held while a backend is idle"
            assert wakeup_at <= self.now or not self._in_panic_with_room(serving), "held though panic ignores ejection"

    def _in_panic_with_room(self, serving: list[BackendView]) -> bool:
        """Nobody healthy is panic whatever the threshold."""
        there = [v for v in serving if v.state is not HealthState.AWAY and v.paused_until is None]
        return any(map(has_place, there)) and not any(v.state is HealthState.HEALTHY for v in there)

    def _check_health(self) -> None:
        ends = [v.ejected_until for v in self.views() if v.ejected_until is not None]
        wakeup_at = self.scheduler.wakeup_at()
        assert not ends or (wakeup_at is not None and wakeup_at <= min(ends))
        for view in self.views():
            assert (view.ejected_until is not None) == (
                view.state is HealthState.EJECTED
            ) or view.state is HealthState.AWAY
            assert 0.1 <= view.share <= 1.0

    def _check_hold_bound(self) -> None:
        counts = self.scheduler.counts(self.now)
        if all(v.permits is not None for v in self.views()):  # else a burst is held as a whole
            most = BRIEF * counts.in_flight if self.policy == "goodput" else counts.in_flight
            assert counts.held <= max(self.hold.min_jobs, int(self.hold.per_in_flight * most))
        assert counts.held_bytes <= self.hold.bytes

    def _check_refusal(self, fault: Fault, job: Job) -> None:
        serving = self.serving(job.model)
        if self.drained:
            assert fault.kind is Kind.DRAINING
        elif fault.kind is Kind.QUEUE_FULL:
            assert not any(has_room(v) for v in serving), "refused while a backend was idle"
            assert not self._in_panic_with_room(serving), "ejection left a model without a backend"
        elif fault.kind in {Kind.MODEL_NOT_FOUND, Kind.NO_BACKEND}:
            assert not serving
            assert (fault.kind is Kind.NO_BACKEND) == any(v.models is None for v in self.views())
        else:
            assert fault.kind is Kind.HOLD_TIMEOUT
            assert job.deadline is not None
            assert job.deadline <= self.now
        if fault.kind is not Kind.MODEL_NOT_FOUND:
            assert fault.retry_after_s is not None
            assert 1 <= fault.retry_after_s <= 60

    # ---- commands

    def _both(self, method: str, *args: Any) -> list[Command]:
        version, models, self._before = self.scheduler.version, self.scheduler.models(), self.views()
        first, second = (getattr(twin, method)(*args) for twin in self.twins)
        assert first == second, "same seed, same calls, other commands"
        assert self.scheduler.version > version or self.scheduler.models() == models
        commands: list[Command] = first
        self._take(commands)
        return commands

    def _take(self, commands: list[Command]) -> None:
        ids = [command.job_id if isinstance(command, Refuse) else command.jobs[0] for command in commands]
        assert len(ids) == len(set(ids)), "two commands for one job in one answer"
        for job_id, command in zip(ids, commands, strict=True):
            assert job_id in self.held, "a command for a job that waits for none"
            if isinstance(command, Dispatch):
                self._dispatched(job_id, command)
            else:
                self._end(job_id, "refused")

    def _dispatched(self, job_id: int, command: Dispatch) -> None:
        job = self.jobs[job_id]
        assert command.attempt not in self.ids.values(), "an id given twice"
        self.ids[job_id] = command.attempt
        assert command.number == self.attempts.get(job.id, 0) + 1
        then, now = self._of(job.model, self._before), self.serving(job.model)
        assert command.backend in {v.name for v in (*then, *now)}, "a timer that is overdue knows the lists of before"
        assert command.backend in self._known, "sent to a backend that has left"
        self.held.remove(job.id)
        self.out[job.id] = command.backend
        self.attempts[job.id] = command.number
        if command.number == 1:
            older = {i for i in self.held - self.failed_once if i < job.id and self.jobs[i].model == job.model}
            assert not older, "overtaken by a younger job of the same model"

    def _end(self, job_id: int, how: str) -> None:
        assert job_id not in self.ended, "a job ended twice"
        self.held.discard(job_id)
        self.out.pop(job_id, None)
        self.ended[job_id] = how
        self.endings[how] += 1
