"""The scheduler on real time: one timer, one waiting future per held job.

Owns the clock and the futures. Takes no decision: every one is a command of `core.scheduler`.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

from proxy.model.commands import (
    Abort,
    Command,
    Dispatch,
    Failed,
    Finished,
    FirstByte,
    FirstToken,
    Flowed,
    Load,
    Probed,
    Refuse,
    Refused,
    Report,
    Restarted,
)
from proxy.model.faults import Fault
from proxy.model.request import Job


class Racer(Protocol):
    """Whoever can have two attempts out for one job."""

    @property
    def is_racing(self) -> bool:
        """Whether two attempts are out."""

    def hedge(self, command: Dispatch) -> None:
        """Send the job to this backend too."""

    def drop(self, backend: str) -> None:
        """The attempt there has lost; its permit is already given back."""


class Decider(Protocol):
    """What the driver needs of `core.scheduler`. Times in seconds, monotonic."""

    def submit(self, job: Job, now: float) -> list[Command]:
        """A new job."""

    def observe(self, report: Report, now: float) -> list[Command]:
        """What became of an attempt, or of a backend."""

    def cancel(self, job_id: int, now: float) -> list[Command]:
        """The client left."""

    def tick(self, now: float) -> list[Command]:
        """The time of `wakeup_at` has come."""

    def wakeup_at(self) -> float | None:
        """When it wants to be called, if nothing else happens."""

    def refuse_new(self) -> list[Command]:
        """From now on nothing is taken."""

    def shed_bulk(self) -> list[Command]:
        """Bulk that waits is refused."""


class Driver:
    """Carries jobs to the scheduler and its commands back."""

    def __init__(self, scheduler: Decider, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduler = scheduler
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[Dispatch | Refuse]] = {}
        self._aborts: dict[int, Callable[[], None]] = {}
        """How to stop the attempt of a job that may be pre-empted."""
        self._preempted: dict[int, asyncio.Future[Dispatch | Refuse]] = {}
        self._racers: dict[int, Racer] = {}
        """Whom a hedge of a job concerns, as long as it has none, or one that is out."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None

    async def place(
        self, job: Job, abort: Callable[[], None] | None = None, racer: Racer | None = None
    ) -> Dispatch | Refuse:
        """Where the job goes; waits while it is held. Cancelled while waiting: call `left`. `abort` ends its attempt,
        when the place is needed for another job; then `is_preempted`, and `again` says how it goes on. `racer` hears
        of a second attempt beside a late one, and of the one that lost."""
        if racer is not None:
            self._racers[job.id] = racer
        if abort is not None and (job.bulk or job.demotable):
            self._aborts[job.id] = abort
        return await self._answer(job.id, self._scheduler.submit(job, monotonic()))

    async def failed(self, job_id: int, fault: Fault, backend: str, *, repeatable: bool) -> Dispatch | Refuse:
        """The attempt failed: where the job goes next, or the end of it."""
        report = Failed(job_id, fault, repeatable, backend)
        return await self._answer(job_id, self._scheduler.observe(report, monotonic()))

    def lost_one(self, job_id: int, fault: Fault, backend: str) -> None:
        """One of two attempts failed; the other one goes on."""
        self._carry_out(self._scheduler.observe(Failed(job_id, fault, True, backend), monotonic()))

    def is_preempted(self, job_id: int) -> bool:
        """Whether the job lost its place."""
        return job_id in self._preempted

    async def again(self, job_id: int) -> Dispatch | Refuse:
        """Where a pre-empted job goes next."""
        return await self._preempted.pop(job_id)

    def first_byte(self, job_id: int, backend: str) -> None:
        """The backend began to answer."""
        self._carry_out(self._scheduler.observe(FirstByte(job_id, backend), monotonic()))

    def first_token(self, job_id: int, backend: str) -> None:
        """The stream began to hold content."""
        self._carry_out(self._scheduler.observe(FirstToken(job_id, backend), monotonic()))

    def finished(self, report: Finished) -> None:
        """The backend answered to the last byte."""
        self._over(report.job_id)
        self._carry_out(self._scheduler.observe(report, monotonic()))

    def broke(self, job_id: int, fault: Fault, backend: str) -> None:
        """The attempt failed after the client had seen bytes: nothing can follow."""
        self._over(job_id)
        self._carry_out(self._scheduler.observe(Failed(job_id, fault, False, backend), monotonic()))

    def left(self, job_id: int) -> None:
        """The client left; harmless for a job that is over."""
        self._over(job_id)
        waiting = self._waiting.pop(job_id, None)
        if waiting is not None:
            waiting.cancel()
        self._carry_out(self._scheduler.cancel(job_id, monotonic()))

    def learn(self, report: Probed | Load | Flowed | Restarted | Refused) -> None:
        """An active probe ended, a scrape, a look at what flows, or what an engine cannot do."""
        self._carry_out(self._scheduler.observe(report, monotonic()))

    def _over(self, job_id: int) -> None:
        self._aborts.pop(job_id, None)
        self._preempted.pop(job_id, None)
        self._racers.pop(job_id, None)

    def drain(self) -> None:
        """Refuse what is held and what comes; what runs goes on."""
        self._carry_out(self._scheduler.refuse_new())

    def shed_bulk(self) -> None:
        """Refuse the bulk that waits."""
        self._carry_out(self._scheduler.shed_bulk())

    async def _answer(self, job_id: int, commands: list[Command]) -> Dispatch | Refuse:
        mine: Dispatch | Refuse | None = None
        others: list[Command] = []
        for command in commands:
            if command.job_id == job_id and not isinstance(command, Abort):
                mine = command
            else:
                others.append(command)
        self._carry_out(others)
        if mine is not None:
            if isinstance(mine, Refuse):
                self._over(job_id)
            return mine
        waiting = self._waiting[job_id] = self._loop.create_future()
        try:
            answer: Dispatch | Refuse = await waiting
            return answer
        finally:
            self._waiting.pop(job_id, None)

    def _carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, Abort):
                self._abort(command.job_id, command.backend)
                continue
            if isinstance(command, Dispatch) and command.hedge:
                self._racers[command.job_id].hedge(command)
                continue
            waiting = self._waiting.pop(command.job_id, None)
            if isinstance(command, Refuse):
                self._aborts.pop(command.job_id, None)
                self._racers.pop(command.job_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(command)
        self._arm()

    def _abort(self, job_id: int, backend: str) -> None:
        """An attempt that lost against another one of its job, or one whose place is needed for another job. What
        then follows for the job may come in this very turn, before its exchange runs again: wait for it now."""
        racer = self._racers.get(job_id)
        if racer is not None and racer.is_racing:
            racer.drop(backend)
            return
        abort = self._aborts.get(job_id)
        if abort is not None:
            self._preempted[job_id] = self._waiting[job_id] = self._loop.create_future()
            abort()

    def _arm(self) -> None:
        wanted = self._scheduler.wakeup_at()
        if wanted == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wanted
        self._timer = None if wanted is None else self._loop.call_at(wanted, self._tick)

    def _tick(self) -> None:
        self._timer = self._timer_at = None
        self._carry_out(self._scheduler.tick(monotonic()))
