"""What becomes of attempts that are out: first bytes and tokens, ends, failures and the next attempt.

Owns the order in which attempts, learning, fleet and those who wait hear of it, the choice between trying again and
answering with the failure, and which of two attempts at once goes on.
"""

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import MIN_RETRY_AFTER_S, Candidates
from proxy.core.jobs.attempt import Attempt
from proxy.core.jobs.open_job import OpenJob
from proxy.core.learn.calls import kind_of
from proxy.core.refusals import hold_timeout
from proxy.core.retry.fallback import cause_of
from proxy.core.retry.hedging import Hedging
from proxy.core.state import State
from proxy.core.waiting import Waiting
from proxy.core.windows import most_of
from proxy.model.commands import Abort, Failed, Finished, FirstByte, FirstToken
from proxy.model.faults import DECLINED, NOT_REACHED, Blame, Fault, Kind, Source


class Progress:
    """One per scheduler. What follows from a report is put into the outbox."""

    def __init__(self, state: State, waiting: Waiting) -> None:
        self._fleet = state.fleet
        self._books = state.learning
        self._attempts = state.attempts
        self._lateness = state.hedge_timers
        self._router = state.router
        self._budget = state.budget
        self._dials = state.dials
        self._outbox = state.outbox
        self._waiting = waiting
        self.hedging = Hedging(state)
        self._tally = state.tally

    # ---- reports

    def began(self, report: FirstByte | FirstToken, now: float) -> Attempt | None:
        """An attempt has its first byte; None: it is over."""
        attempt = self._attempts.out.get(report.attempt)
        if attempt is not None:
            self._begin(attempt, now)
        return attempt

    def first_token(self, report: FirstToken, now: float) -> None:
        attempt = self.began(report, now)
        if attempt is not None:
            self._books.first_token(attempt.entry, attempt.backend, now)
            self.go_on(attempt.backend, False, now)

    def finished(self, report: Finished, now: float) -> None:
        attempt = self._attempts.out.get(report.attempt)
        if attempt is None:
            return
        self._begin(attempt, now)
        left_out = self._left_out(attempt, report.missing) if report.missing else []
        self._attempts.served(attempt, report, now)
        if report.ok:
            opened = self._fleet.served(attempt.backend, attempt.era, now)
            for open_job in attempt.open_jobs:
                self._convict(open_job, now)
        else:  # an answer to a mistake of the client: it neither accuses nor acquits
            opened = self._fleet.withdrawn(attempt.backend, attempt.era)
        self._excuse(left_out, now)
        self.go_on(attempt.backend, opened, now)

    def failed(self, report: Failed, now: float) -> None:
        attempt = self._attempts.out.get(report.attempt)
        if attempt is None:
            return
        open_job, backend = attempt.open_job, attempt.backend
        self._attempts.lost(attempt, now, report.fault)
        opened = self._blame(attempt, report.fault, now)
        if attempt.others:
            self._failed_for_all(attempt, report, now)
            self._went(backend, opened, now)
            return
        open_job.remember(backend, report.fault)
        if not open_job.job.stream:
            open_job.started = False  # of an answer in one piece its client has seen nothing
        if open_job.attempts:  # the other one goes on, and may still be late
            self._lateness.watch(open_job, now)
        elif not (report.repeatable and self._goes_on(open_job, now)):
            self._convict(open_job, now, alone=True)
            self._outbox.add(self._attempts.refuse(open_job, report.fault))
        self._went(backend, opened, now)

    def _went(self, backend: Backend, opened: bool, now: float) -> None:
        if opened and backend.health.away:
            self._outbox.extend(self._waiting.go_elsewhere(now))
        self.go_on(backend, opened, now)

    def left(self, open_job: OpenJob, now: float) -> None:
        """The client left; nothing is to be said of the backends."""
        for attempt in open_job.attempts[::-1]:
            if self._attempts.gets_off(open_job, attempt):
                continue
            self._attempts.lost(attempt, now)
            self._withdrawn(attempt, now)

    def go_on(self, backend: Backend, opened: bool, now: float) -> None:
        """Something of `backend` came free, and perhaps more opened: let held jobs go."""
        if self._waiting.somebody:
            self._outbox.extend(self._waiting.feed_all(now) if opened else self._waiting.feed(backend, now))

    def _begin(self, attempt: Attempt, now: float) -> None:
        loser = self._attempts.began(attempt, now)
        if loser is not None:
            self._outbox.add(Abort((attempt.open_job.job.id,), loser.id, loser.backend.name))
            self._withdrawn(loser, now)
        open_job = attempt.open_job
        if not open_job.started and self._fleet.began(attempt.backend):
            self.go_on(attempt.backend, False, now)
        open_job.started = True
        for other in attempt.others:
            other.started = True
        self._lateness.forget(open_job)

    def _withdrawn(self, attempt: Attempt, now: float) -> None:
        self.go_on(attempt.backend, self._fleet.withdrawn(attempt.backend, attempt.era), now)

    # ---- several jobs on one attempt

    def _failed_for_all(self, attempt: Attempt, report: Failed, now: float) -> None:
        """What it means for each of them: who has the fault is over, and whoever has not goes again."""
        fault, backend, again = report.fault, attempt.backend, []
        for open_job in attempt.open_jobs:
            if open_job.job.id in report.culprits or not report.repeatable:
                self._convict(open_job, now, alone=True)
                self._outbox.add(self._attempts.refuse(open_job, fault))
            else:
                again.append(open_job)
        if report.too_many:
            backend.calls.caps.refused(kind_of(attempt.open_job.job), attempt.inputs, report.cap)
            self._in_smaller(again, backend, now)
        elif report.culprits:
            if not self._together(again, now):
                self._excuse(again, now)
        elif fault.source is Source.DOWNSTREAM:
            self._excuse(again, now)
        else:
            self._each_again(again, backend, fault, now)

    def _each_again(self, open_jobs: list[OpenJob], backend: Backend, fault: Fault, now: float) -> None:
        """The backend failed: where it did no work all go elsewhere as they are, else each alone."""
        merged = fault.kind in NOT_REACHED or fault.kind in DECLINED
        for open_job in open_jobs:
            open_job.remember(backend, fault)
            open_job.alone = open_job.alone or not merged
        if merged and self._together(open_jobs, now):
            return
        for open_job in open_jobs:
            if not self._goes_on(open_job, now):
                self._convict(open_job, now, alone=True)
                self._outbox.add(self._attempts.refuse(open_job, fault))

    def _in_smaller(self, open_jobs: list[OpenJob], backend: Backend, now: float) -> None:
        """As many at once as the engine takes by what is known now."""
        while open_jobs:
            most, size = most_of(open_jobs[0], backend), 0
            while size < len(open_jobs) and (not size or most >= open_jobs[size].job.items):
                most -= open_jobs[size].job.items
                size += 1
            batch, open_jobs = open_jobs[:size], open_jobs[size:]
            if not self._together(batch, now):
                self._excuse(batch, now, alone=len(batch) < 2)

    def _together(self, open_jobs: list[OpenJob], now: float) -> bool:
        """Those that were merged go as one call again, if one backend has room for all of them now."""
        if len(open_jobs) < 2 or open_jobs[0].job.window is None or any(_is_late(one, now) for one in open_jobs):
            return False
        leader = open_jobs[0]
        candidates = self._fleet.catalogue.find(leader.job.model)
        if candidates is None or any(one.is_declined_too_often for one in open_jobs):
            return False
        demand = self._books.demand_of_all(open_jobs, now)
        backend = self._router.pick(candidates, demand, leader.tried)
        if backend is None:
            return False
        self._outbox.add(self._attempts.dispatch_all(open_jobs, backend, demand))
        return True

    def _left_out(self, attempt: Attempt, missing: tuple[int, ...]) -> list[OpenJob]:
        """Those that a merged answer has nothing for; one stays in any case."""
        left_out = [open_job for open_job in attempt.open_jobs if open_job.job.id in missing]
        return [open_job for open_job in left_out if self._attempts.gets_off(open_job, attempt)]

    def _excuse(self, open_jobs: list[OpenJob], now: float, *, alone: bool = True) -> None:
        """What failed was not for their own sake, as far as known: the next attempt, at no cost, of each."""
        for open_job in open_jobs:
            open_job.alone, open_job.started = alone, False
            self._excused(open_job, now)

    def _excused(self, open_job: OpenJob, now: float) -> None:
        candidates = None if _is_late(open_job, now) else self._fleet.catalogue.find(open_job.job.model)
        if candidates is not None:
            demand = self._books.demand(open_job, now)
            backend = self._router.pick(candidates, demand, open_job.tried)
            if backend is not None:
                self._outbox.add(self._attempts.dispatch(open_job, backend, demand))
                return
            if self._waiting.again(open_job, candidates, now):
                return
        self._outbox.add(self._attempts.refuse(open_job, hold_timeout(MIN_RETRY_AFTER_S)))

    # ---- two attempts at once

    def in_time(self, attempt_id: int) -> None:
        """What is reported in the moment in which it would be late is not late."""
        attempt = self._attempts.out.get(attempt_id)
        if attempt is not None:
            self._lateness.forget(attempt.open_job)

    def late(self, job_id: int, now: float) -> None:
        """The only attempt of a job is late: another one beside it, now or perhaps later."""
        open_job = self._attempts.open[job_id]
        found = self.hedging.second(open_job, now)
        if found is None:
            self._lateness.again(open_job, now)
        else:
            self._outbox.add(self._attempts.hedge(open_job, *found))

    # ---- whose fault it was

    def _blame(self, attempt: Attempt, fault: Fault, now: float) -> bool:
        """Hold a fault against the backend, or wait for what another one says of the same body; returns whether a
        backend was opened."""
        open_job, backend, era = attempt.open_job, attempt.backend, attempt.era
        if fault.blame is Blame.CERTAIN:
            return self._fleet.failed(backend, era, fault, now)
        if open_job.accused:
            open_job.accused.clear()
            open_job.acquits = True
        elif not open_job.acquits:
            open_job.accused.append((backend, era, fault))
        return self._fleet.withdrawn(backend, era)

    def _convict(self, open_job: OpenJob, now: float, *, alone: bool = False) -> None:
        """The body was served, so that whoever failed on it is to blame; `alone`: nobody else has looked at it."""
        for backend, era, fault in open_job.accused:
            if fault.blame is Blame.UNPROVEN and alone:
                continue
            if fault.kind is Kind.MISCONFIGURED:
                opened = self._fleet.misconfigured(backend, era, now)
            else:
                opened = self._fleet.failed(backend, era, fault, now)
            if opened:
                self.go_on(backend, True, now)
        open_job.accused.clear()

    # ---- next attempts

    def _goes_on(self, open_job: OpenJob, now: float) -> bool:
        """The next attempt: now on another backend, now another way, or held; False when the failure is the end."""
        job, fault = open_job.job, open_job.fault
        assert fault is not None
        if _is_late(open_job, now) or open_job.is_declined_too_often:
            return False
        if job.same is not None and not open_job.started:
            out = self._attempts.alike(job)
            if out is not None:
                self._outbox.add(self._attempts.join(open_job, out, now))
                return True
        candidates = self._fleet.catalogue.find(job.model)
        if candidates is None or not self._may_again(open_job, fault, now):
            return self._other(open_job, now)
        demand = self._books.demand(open_job, now)
        somebody = self._router.may_come_free(candidates, demand, open_job.tried, able=fault.kind is Kind.CANNOT)
        backend = self._router.pick(candidates, demand, open_job.tried) if somebody else None
        if backend is not None:
            self._pay(open_job, fault, now)
            self._outbox.add(self._attempts.dispatch(open_job, backend, demand))
            return True
        if self._other(open_job, now):
            return True
        if not (somebody or self._comes_back(open_job, candidates, fault, now)):
            return False
        if not self._waiting.again(open_job, candidates, now):
            return False
        self._pay(open_job, fault, now)
        return True

    def _comes_back(self, open_job: OpenJob, candidates: Candidates, fault: Fault, now: float) -> bool:
        """Whether a backend that takes nothing now will again, in time: one that is not there, or that is full of our
        own requests and has said when to come back."""
        if fault.kind in NOT_REACHED:
            return candidates.hopeless() is None
        last = open_job.last
        if fault.kind is not Kind.BUSY or last is None or not last.in_flight:
            return False
        return last.is_paused and last.paused_until - now < self._waiting.max_wait_s

    def _may_again(self, open_job: OpenJob, fault: Fault, now: float) -> bool:
        """Whether it may be tried again: what no engine worked at costs nothing."""
        if fault.kind in NOT_REACHED or fault.kind in DECLINED:
            return True
        return open_job.tries < self._dials.tries and self._budget.left(now) >= 1

    def _pay(self, open_job: OpenJob, fault: Fault, now: float) -> None:
        if fault.kind not in NOT_REACHED and fault.kind not in DECLINED:
            self._budget.take(now)
            self._tally.retries += 1
            self._tally.retry_tokens += open_job.job.prompt_tokens

    def _other(self, open_job: OpenJob, now: float) -> bool:
        """Try another model or pool, unless the client has seen something of this one; False: there is none."""
        if not open_job.fallbacks or open_job.started:
            return False
        assert open_job.fault is not None
        sent = self._waiting.elsewhere(open_job, now, cause_of(open_job.fault))
        if sent is None:
            return False
        self._outbox.add(sent)
        return True


def _is_late(open_job: OpenJob, now: float) -> bool:
    deadline = open_job.job.deadline
    return deadline is not None and now >= deadline
