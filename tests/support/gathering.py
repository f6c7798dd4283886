"""A scheduler that says what a test wants it to say: so many jobs go as one call, and whoever is left goes alone."""

import itertools

from proxy.model.commands import Abort, Command, Dispatch, Failed, Finished, FirstByte, FirstToken, Refuse, Report
from proxy.model.request import Job
from proxy.model.windows import Closed, Gathered


class Gathering:
    """`size`: jobs of the first call. What asks the same joins what is out."""

    def __init__(self, size: int, backend: str = "a") -> None:
        self._size = size
        self._backend = backend
        self._waiting: list[Job] = []
        self._ids = itertools.count(1)
        self.out: dict[int, list[Job]] = {}
        self.reports: list[Report] = []
        self.left: list[int] = []
        self.sent: dict[int, int] = {}

    def submit(self, job: Job, now: float) -> list[Command]:
        for attempt, jobs in self.out.items():
            if job.same is not None and jobs[0].same == job.same:
                jobs.append(job)
                return [Dispatch((job.id,), self._backend, attempt)]
        self._waiting.append(job)
        if len(self._waiting) < self._size:
            return []
        jobs, self._waiting = self._waiting, []
        return [self._dispatch(jobs, Gathered(Closed.FULL, tuple(0.001 * i for i in range(len(jobs)))))]

    def _dispatch(self, jobs: list[Job], gathered: Gathered | None = None) -> Dispatch:
        attempt = next(self._ids)
        self.out[attempt] = jobs
        number = max(self.sent.get(job.id, 0) for job in jobs) + 1
        for job in jobs:
            self.sent[job.id] = number
        return Dispatch(tuple(job.id for job in jobs), self._backend, attempt, number, gathered=gathered)

    def observe(self, report: Report, now: float) -> list[Command]:
        self.reports.append(report)
        if isinstance(report, Finished):
            jobs = self.out.pop(report.attempt, [])
            return [self._dispatch([job]) for job in jobs if job.id in report.missing]
        if isinstance(report, Failed):
            jobs = self.out.pop(report.attempt, [])
            if report.too_many:
                middle = len(jobs) // 2
                return [self._dispatch(jobs[:middle]), self._dispatch(jobs[middle:])]
            if report.repeatable:
                return [self._dispatch([job]) for job in jobs]
            return [Refuse(job.id, report.fault) for job in jobs]
        return []

    def cancel(self, job_id: int, now: float) -> list[Command]:
        self.left.append(job_id)
        for attempt, jobs in list(self.out.items()):
            jobs[:] = [job for job in jobs if job.id != job_id]
            if not jobs:
                del self.out[attempt]
        return []

    def preempt(self) -> list[Command]:
        """All that is out loses its place, and goes again at once."""
        commands: list[Command] = []
        for attempt, jobs in list(self.out.items()):
            del self.out[attempt]
            commands.append(Abort(tuple(job.id for job in jobs), attempt, self._backend))
            if jobs[0].same is None:
                commands.append(self._dispatch(jobs))
                continue
            again = self._dispatch(jobs[:1])
            self.out[again.attempt] = jobs
            commands += [again, *(Dispatch((job.id,), self._backend, again.attempt) for job in jobs[1:])]
        return commands

    def told(self, *kinds: type) -> list[Report]:
        """Reports but for those of first bytes, or of these kinds."""
        if kinds:
            return [report for report in self.reports if isinstance(report, kinds)]
        return [report for report in self.reports if not isinstance(report, FirstByte | FirstToken)]

    def tick(self, now: float) -> list[Command]:
        return []

    def wakeup_at(self) -> float | None:
        return None

    def refuse_new(self) -> list[Command]:
        return []

    def shed_bulk(self) -> list[Command]:
        return []
