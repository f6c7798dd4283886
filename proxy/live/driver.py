"""The scheduler on real time: one timer, one waiting future per held job.

Owns the clock and the futures. Takes no decision: every one is a command of `core.scheduler`.
"""

import asyncio
from collections.abc import Iterable
from time import monotonic

from proxy.core.scheduler import Scheduler
from proxy.model.commands import Abort, Command, Dispatch, Failed, Finished, FirstByte, Probed, Refuse
from proxy.model.faults import Fault
from proxy.model.request import Job


class Driver:
    """Carries jobs to the scheduler and its commands back."""

    def __init__(self, scheduler: Scheduler, loop: asyncio.AbstractEventLoop) -> None:
        self.scheduler = scheduler
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[Dispatch | Refuse]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None

    async def place(self, job: Job) -> Dispatch | Refuse:
        """Where the job goes; waits while it is held. Cancelled while waiting: call `left`."""
        return await self._answer(job.id, self.scheduler.submit(job, monotonic()))

    async def failed(self, job_id: int, fault: Fault, *, repeatable: bool) -> Dispatch | Refuse:
        """The attempt failed: where the job goes next, or the end of it."""
        return await self._answer(job_id, self.scheduler.observe(Failed(job_id, fault, repeatable), monotonic()))

    def first_byte(self, job_id: int) -> None:
        """The backend began to answer."""
        self._carry_out(self.scheduler.observe(FirstByte(job_id), monotonic()))

    def finished(self, job_id: int) -> None:
        """The backend answered to the last byte."""
        self._carry_out(self.scheduler.observe(Finished(job_id), monotonic()))

    def broke(self, job_id: int, fault: Fault) -> None:
        """The attempt failed after the client had seen bytes: nothing can follow."""
        self._carry_out(self.scheduler.observe(Failed(job_id, fault, repeatable=False), monotonic()))

    def left(self, job_id: int) -> None:
        """The client left; harmless for a job that is over."""
        waiting = self._waiting.pop(job_id, None)
        if waiting is not None:
            waiting.cancel()
        self._carry_out(self.scheduler.cancel(job_id, monotonic()))

    def probed(self, report: Probed) -> None:
        """An active probe ended."""
        self._carry_out(self.scheduler.observe(report, monotonic()))

    def drain(self) -> None:
        """Refuse what is held and what comes; what runs goes on."""
        self._carry_out(self.scheduler.refuse_new())

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
                continue  # no policy asks for it yet
            waiting = self._waiting.pop(command.job_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(command)
        self._arm()

    def _arm(self) -> None:
        wanted = self.scheduler.wakeup_at()
        if wanted == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wanted
        self._timer = None if wanted is None else self._loop.call_at(wanted, self._tick)

    def _tick(self) -> None:
        self._timer = self._timer_at = None
        self._carry_out(self.scheduler.tick(monotonic()))
