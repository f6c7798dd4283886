"""The driver of a worker: the decider decides, and while it is away the scheduler of this process does.

    submit ─linked──▶ decider ─Dispatch─▶ out ─Finished─▶ over
              │                  │          │
              └─alone─▶ here     └── the link breaks ──┘
                                      │ held: submitted here, in the order in which they came
                                      └ out: orphans, which go on; whoever of them has to go again is a new job

Owns whose decision each open job is, and the names of attempts: those of the decider begin at `REMOTE`, with another
beginning for each link, so that no name is ever that of two. Every orphan has its place in the books of who decides now
(`Scheduler.adopt`), and so has what was decided here once the decider is back.
"""

import asyncio
import pickle
from collections.abc import Callable
from typing import Final

from proxy.core.refusals import draining, short_of_memory
from proxy.core.scheduler import Scheduler
from proxy.live.driver import Box, Driver
from proxy.live.workers import words
from proxy.live.workers.codec import AttemptReport, command_of, job_told, report_told
from proxy.live.workers.link import Link, Message
from proxy.model.commands import (
    Abort,
    Dispatch,
    Failed,
    Finished,
    FirstByte,
    FirstToken,
    Flowed,
    Refuse,
    Refused,
    Remaining,
    Report,
)
from proxy.model.faults import Fault
from proxy.model.request import Job
from proxy.model.tenants import QuotaView
from proxy.model.timeline import Clock

REMOTE: Final = 1 << 40
"""Attempts of the decider are called this and more; each link begins at another multiple."""


class _Open:
    """A job that another process decides."""

    __slots__ = ("job", "out")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.out: list[int] = []
        """Its attempts; none: it is held."""


class _Sent:
    """An attempt of another process that is out."""

    __slots__ = ("backend", "opened")

    def __init__(self, backend: str, opened: list[_Open]) -> None:
        self.backend = backend
        self.opened = opened
        """The jobs that it is for and that are open still; the first one leads."""


class RemoteDriver(Driver):
    """One per worker. Alone until it is `linked`."""

    def __init__(self, scheduler: Scheduler, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        super().__init__(scheduler, loop, clock)
        self._own = scheduler
        self._link: Link | None = None
        self._first = 0
        """Of the attempts of this link."""
        self._links = 0
        self._jobs: dict[int, _Open] = {}
        """The decider's, in the order in which they came; and those of orphans."""
        self._out: dict[int, _Sent] = {}
        """Attempts by their names here: the decider's, and orphans."""
        self._adopted: set[int] = set()
        """Jobs that the decider was told of and does not decide."""
        self._asked: dict[tuple[int, int], bool] = {}
        """Questions of attempts, by attempt and word: True once the decider has said yes."""
        self._quotas: dict[int, QuotaView] = {}
        """What the tenant of a job may still use."""
        self.alone = 0
        """Jobs that were decided here."""

    # --- the link

    @property
    def is_linked(self) -> bool:
        """Whether the decider decides."""
        return self._link is not None

    def linked(self, link: Link) -> None:
        """The decider is there, and is told what is out."""
        self._link = link
        self._links += 1
        self._first = self._links * REMOTE
        for job, backend in self._own.out():
            self._adopted.add(job.id)
            link.send((words.ADOPT, job_told(job), backend))

    def unlinked(self) -> None:
        """The decider is gone."""
        if self._link is None:
            return
        self._link = None
        self._adopted.clear()
        self._asked.clear()
        self._quotas.clear()
        now = self._clock()
        for sent in self._out.values():
            self._own.adopt(sent.opened[0].job, sent.backend, now)
        held = [opened.job for opened in self._jobs.values() if not opened.out]
        for job in held:
            del self._jobs[job.id]
            box = self._boxes.get(job.id)
            if box is not None:
                self._here(job, box)

    def heard(self, message: Message) -> None:
        """What the decider says."""
        word = message[0]
        if word == words.COMMAND:
            command = command_of(message[1], self._first)
            job_id = command.job_id if isinstance(command, Refuse) else command.jobs[0]
            if message[2] is not None and job_id in self._jobs:
                quota: QuotaView = pickle.loads(message[2])  # noqa: S301 - of our own process
                self._quotas[job_id] = quota
            if isinstance(command, Dispatch):
                self._goes(command)
            elif isinstance(command, Abort):
                self._is_over(command.attempt)
            else:
                self._jobs.pop(job_id, None)
            self._carry_out([command])
        elif word == words.YES and (self._first + message[1], message[2]) in self._asked:
            self._asked[self._first + message[1], message[2]] = True

    # --- what the live side says

    def submit(self, job: Job, box: Box) -> None:
        """A new job; all that becomes of it is put into its box, until it is over."""
        link = self._link
        if link is None:
            self._here(job, box)
            return
        self._boxes[job.id] = box
        self._jobs[job.id] = _Open(job)
        link.send((words.SUBMIT, job_told(job)))

    def report(self, report: Report) -> None:
        """Something happened to an attempt or to a backend."""
        if isinstance(report, Finished | Failed | FirstByte | FirstToken | Refused | Remaining):
            if report.attempt >= REMOTE:
                self._tell(report, ())
                return
        elif isinstance(report, Flowed) and self._link is not None:
            self._link.send((words.FLOWED, report.backend, report.stream_s, report.tokens))
            return
        super().report(report)

    def ended(self, job_id: int, report: Finished | Failed) -> None:
        """The last report of a job: nothing can follow."""
        self._ended((job_id,), report)

    def ended_all(self, job_ids: list[int], report: Finished) -> None:
        """The last report of several jobs."""
        self._ended(tuple(job_ids), report)

    def left(self, job_id: int) -> None:
        """The client left; harmless for a job that is over."""
        opened = self._jobs.pop(job_id, None)
        if opened is not None:
            self._boxes.pop(job_id, None)
            self._quotas.pop(job_id, None)
            is_orphan = bool(opened.out) and opened.out[0] < self._first
            for attempt in opened.out:
                self._gets_off(opened, attempt)
            if self._link is not None and not is_orphan:
                self._link.send((words.LEFT, job_id, opened.job.metered))
                return
        self._release(job_id)
        super().left(job_id)

    def drain(self) -> None:
        """Refuse what is held and what comes; what runs goes on."""
        super().drain()
        self._refuse_held(draining(), bulk=False)

    def shed_bulk(self) -> None:
        """Refuse the bulk of this worker that waits."""
        super().shed_bulk()
        self._refuse_held(short_of_memory(), bulk=True)

    # --- what it asks

    def quota_for(self, job: Job, now: float) -> QuotaView | None:
        """As the decider told with its last command; None: the tenant has no limits, or nothing is known of them."""
        return self._quotas.pop(job.id, None) if self._quotas else self._own.quota_for(job, now)

    def gives_up(
        self, attempt_id: int, silent_s: float, now: float, fits: Callable[[str], bool] | None, token_s: float = 0.0
    ) -> bool:
        """As `Scheduler.gives_up`. The decider's answer is there when it is asked again, a second later."""
        if attempt_id < REMOTE:
            return self._own.gives_up(attempt_id, silent_s, now, fits, token_s)
        names = None if fits is None else tuple([one.name for one in self._own.backends(now) if fits(one.name)])
        return self._is_yes((words.SILENT, attempt_id - self._first, silent_s, names, token_s), attempt_id)

    def sleeps_on(self, attempt_id: int) -> bool:
        """As `Scheduler.sleeps_on`, in the same way."""
        if attempt_id < REMOTE:
            return self._own.sleeps_on(attempt_id)
        return self._is_yes((words.ASLEEP, attempt_id - self._first), attempt_id)

    # --- within

    def _here(self, job: Job, box: Box) -> None:
        self.alone += 1
        super().submit(job, box)

    def _goes(self, command: Dispatch) -> None:
        opened = [self._jobs[job_id] for job_id in command.jobs if job_id in self._jobs]
        if not opened:  # all have left meanwhile, as the decider is about to hear
            return
        for one in opened:
            one.out.append(command.attempt)
        known = self._out.get(command.attempt)
        if known is None:
            self._out[command.attempt] = _Sent(command.backend, opened)
        else:
            known.opened += opened

    def _is_over(self, attempt: int) -> None:
        """An attempt."""
        sent = self._out.pop(attempt, None)
        self._forget_questions(attempt)
        if sent is not None:
            for opened in sent.opened:
                opened.out.remove(attempt)

    def _gets_off(self, opened: _Open, attempt: int) -> None:
        sent = self._out.get(attempt)
        if sent is not None:
            sent.opened.remove(opened)
            if not sent.opened:
                del self._out[attempt]
                self._forget_questions(attempt)

    def _ended(self, job_ids: tuple[int, ...], report: Finished | Failed) -> None:
        for job_id in job_ids:
            self._boxes.pop(job_id, None)
            if self._quotas:
                self._quotas.pop(job_id, None)
        if report.attempt >= REMOTE:
            self._tell(report, job_ids)
            return
        for job_id in job_ids:
            self._release(job_id)
        super().report(report)

    def _tell(self, report: AttemptReport, ends: tuple[int, ...]) -> None:
        """Of an attempt that was not decided here; `ends`: jobs whose end it is."""
        link, attempt = self._link, report.attempt
        if attempt < self._first or link is None:
            self._of_orphan(report)
            return
        metered = None
        if isinstance(report, Finished | Failed):
            sent = self._out.get(attempt)
            if sent is not None:
                metered = sent.opened[0].job.metered
            self._is_over(attempt)
            for job_id in ends:
                self._jobs.pop(job_id, None)
        told = report_told(report, attempt - self._first)
        link.send((words.ENDED, told, metered, ends) if ends else (words.REPORT, told, metered))

    def _is_yes(self, question: Message, attempt: int) -> bool:
        """Of a question that is asked again and again while it matters."""
        name = attempt, question[0]
        if self._asked.pop(name, False):
            return True
        if self._link is not None and attempt >= self._first and attempt in self._out:
            self._asked[name] = False
            self._link.send(question)
        return False

    def _forget_questions(self, attempt: int) -> None:
        if self._asked:
            self._asked.pop((attempt, words.SILENT), None)
            self._asked.pop((attempt, words.ASLEEP), None)

    def _refuse_held(self, fault: Fault, *, bulk: bool) -> None:
        """Those that wait at the decider."""
        for opened in [one for one in self._jobs.values() if not one.out and (one.job.bulk or not bulk)]:
            box = self._boxes.get(opened.job.id)
            self.left(opened.job.id)
            if box is not None:
                box.put(Refuse(opened.job.id, fault))

    # --- orphans

    def _of_orphan(self, report: AttemptReport) -> None:
        """What became of an attempt whose decider is gone."""
        sent = self._out.get(report.attempt)
        if sent is None:
            return
        if isinstance(report, FirstByte | FirstToken):
            self._won(report.attempt, sent.opened[0])
        elif isinstance(report, Finished | Failed):
            self._is_over(report.attempt)
            for opened in sent.opened:
                if not opened.out:  # else another attempt goes on with it
                    self._goes_on(opened.job, report)

    def _goes_on(self, job: Job, report: Finished | Failed) -> None:
        """With a job that has no attempt any more."""
        del self._jobs[job.id]
        box = self._boxes.get(job.id)
        self._release(job.id)
        super().left(job.id)  # its place in the books
        if box is None:
            return
        if isinstance(report, Finished):
            again = job.id in report.missing
        else:
            again = report.repeatable or report.too_many or (bool(report.culprits) and job.id not in report.culprits)
        if again:
            self.submit(job, box)
        elif isinstance(report, Failed):
            box.put(Refuse(job.id, report.fault))

    def _won(self, attempt: int, opened: _Open) -> None:
        """Whoever is beside it has lost."""
        box = self._boxes.get(opened.job.id)
        for other in [one for one in opened.out if one != attempt]:
            backend = self._out[other].backend
            self._is_over(other)
            if box is not None:
                box.put(Abort((opened.job.id,), other, backend))

    def _release(self, job_id: int) -> None:
        """What was adopted is over."""
        if job_id in self._adopted:
            self._adopted.discard(job_id)
            if self._link is not None:
                self._link.send((words.LEFT, job_id, None))
