"""The scheduler on real time: one timer, and one mailbox per open job.

Owns the clock and the boxes. Takes no decision: every one is a command of `core.scheduler`.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from proxy.model.backend import BackendSpec
from proxy.model.commands import Abort, Command, Dispatch, Failed, Finished, Probed, Refuse, Report
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings
from proxy.model.timeline import Clock


class SchedulerPort(Protocol):
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

    def reconfigure(
        self, backends: Sequence[BackendSpec], settings: CoreSettings, now: float, heard: Sequence[Probed] = ()
    ) -> list[Command]:
        """Another configuration."""


class Box(Protocol):
    """Where all commands of one job go."""

    def put(self, command: Command) -> None:
        """One more."""


class Mailbox:
    """What the scheduler says to one open job; whoever carries the job out is one. The next command waits here until it
    is read; what concerns attempts that are out is done at once."""

    __slots__ = ("_loop", "_next", "_reader")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._next: Dispatch | Refuse | None = None
        self._reader: asyncio.Future[None] | None = None

    def hedge(self, command: Dispatch) -> None:
        """Send the job to this backend too."""
        raise NotImplementedError

    def stop(self, attempt_id: int) -> None:
        """End this attempt now: its permit is already given back."""
        raise NotImplementedError

    def put(self, command: Command) -> None:
        """One more command."""
        if isinstance(command, Abort):
            if isinstance(self._next, Dispatch) and self._next.attempt == command.attempt:
                self._next = None  # it lost that place before it had begun
            else:
                self.stop(command.attempt)
        elif isinstance(command, Dispatch) and command.hedge:
            self.hedge(command)
        else:
            self._next = command
            self.wake()

    async def next(self) -> Dispatch | Refuse:
        """Where the job goes next, or why nowhere; waits while it is held. One reader at a time."""
        while self._next is None:
            await self.news()
        command, self._next = self._next, None
        return command

    async def news(self) -> None:
        """Until something happens to the job."""
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def wake(self) -> None:
        """Something happened."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Driver:
    """Carries jobs to the scheduler and its commands back."""

    def __init__(self, scheduler: SchedulerPort, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._scheduler = scheduler
        self._loop = loop
        self._clock = clock
        self._boxes: dict[int, Box] = {}
        """Of all open jobs."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None

    def submit(self, job: Job, box: Box) -> None:
        """A new job; all that becomes of it is put into its box, until it is over."""
        self._boxes[job.id] = box
        self._carry_out(self._scheduler.submit(job, self._clock()))

    def report(self, report: Report) -> None:
        """Something happened to an attempt or to a backend."""
        self._carry_out(self._scheduler.observe(report, self._clock()))

    def ended(self, job_id: int, report: Finished | Failed) -> None:
        """The last report of a job: nothing can follow."""
        self._boxes.pop(job_id, None)
        self.report(report)

    def ended_all(self, job_ids: list[int], report: Finished) -> None:
        """The last report of several jobs."""
        for job_id in job_ids:
            self._boxes.pop(job_id, None)
        self.report(report)

    def left(self, job_id: int) -> None:
        """The client left; harmless for a job that is over."""
        self._boxes.pop(job_id, None)
        self._carry_out(self._scheduler.cancel(job_id, self._clock()))

    def reconfigure(
        self, backends: Sequence[BackendSpec], settings: CoreSettings, heard: Sequence[Probed] = ()
    ) -> None:
        """Another configuration; raises as the scheduler does, before anything has changed."""
        self._carry_out(self._scheduler.reconfigure(backends, settings, self._clock(), heard))

    def drain(self) -> None:
        """Refuse what is held and what comes; what runs goes on."""
        self._carry_out(self._scheduler.refuse_new())

    def shed_bulk(self) -> None:
        """Refuse the bulk that waits."""
        self._carry_out(self._scheduler.shed_bulk())

    def _carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Refuse):
                box = self._boxes.pop(command.job_id, None)
                if box is not None:
                    box.put(command)
                continue
            for job_id in command.jobs:
                box = self._boxes.get(job_id)
                if box is not None:
                    box.put(command)
        self._arm()

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
        self._carry_out(self._scheduler.tick(self._clock()))
