"""Open jobs and their permits: what is out, where, and how it ended.

Owns the counts and the one place where a permit is taken and given back. Decides nothing.
"""

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.fleet.health import HealthState
from proxy.core.jobs.attempt import Attempt
from proxy.core.jobs.hedge_timers import HedgeTimers
from proxy.core.jobs.learning import Learning
from proxy.core.jobs.open_job import OpenJob
from proxy.core.jobs.states import BEGAN, CLOSED, END, RETURNED, SENT, attempt_after, job_after
from proxy.core.learn.entry import Entry
from proxy.core.refusals import unreachable
from proxy.core.tenancy.quotas import Reservation
from proxy.model.commands import Abort, Dispatch, Finished, Reason, Refuse
from proxy.model.faults import NOT_REACHED, Fault, Kind


class Attempts:
    """Every open job is either held or has a permit, or two."""

    def __init__(self, fleet: Fleet, learning: Learning, hedge_timers: HedgeTimers) -> None:
        self._fleet = fleet
        self._books = learning
        self._lateness = hedge_timers
        self.open: dict[int, OpenJob] = {}
        """By job."""
        self.out: dict[int, Attempt] = {}
        """By its own id: what is not in here is over, and nothing said of it counts."""
        self._last_id = 0
        self.in_flight = 0
        self.offered = self.finished = self.refused = self.cancelled = self.preempted = 0
        self.reasons: dict[Reason, int] = {}
        """Refusals of admission."""
        self.hedges = self.hedges_won = 0
        """Second attempts, and those that answered first."""
        self.hedging = 0
        """Jobs with two attempts out."""
        self.hedge_tokens = 0.0
        """Prompt tokens that losing attempts were to compute."""

    def begin(self, open_job: OpenJob) -> None:
        """A new job."""
        self.open[open_job.job.id] = open_job

    def dispatch(self, open_job: OpenJob, backend: Backend, demand: Demand) -> Dispatch:
        """Take the permit; `backend` was looked at for this very `demand`."""
        attempt = self._send(open_job, backend, self._books.open(open_job, backend, demand))
        self.in_flight += 1
        if backend.health.state is not HealthState.HEALTHY:
            self._fleet.trial_began(backend)
        if (
            open_job.job.hedge is not None and not open_job.started
        ):  # who goes on with an answer is the only one who can
            self._lateness.watch(open_job, demand.now)
        open_job.started = False
        held_s = 0.0 if open_job.held_at is None else demand.now - open_job.held_at
        open_job.held_at = None
        return Dispatch((open_job.job.id,), backend.name, attempt.id, open_job.sent, held_s=held_s, way=open_job.way)

    def hedge(self, open_job: OpenJob, backend: Backend, demand: Demand) -> Dispatch:
        """Take a second permit beside the first; `backend` was looked at for this very `demand`."""
        assert len(open_job.attempts) == 1
        attempt = self._send(open_job, backend, self._books.open_beside(open_job, backend, demand))
        self.hedging += 1
        self.hedges += 1
        return Dispatch((open_job.job.id,), backend.name, attempt.id, open_job.sent, hedge=True, way=open_job.way)

    def began(self, attempt: Attempt, now: float) -> Attempt | None:
        """It has its first byte. The attempt beside it, if there was one, has lost, and its permit comes back."""
        attempt.state = attempt_after(attempt.state, BEGAN)
        attempt.entry.began = True
        attempts = attempt.open_job.attempts
        if len(attempts) < 2:
            return None
        loser = attempts[0]
        if loser is attempt:
            loser = attempts[1]
        else:
            self.hedges_won += 1
        self.hedge_tokens += loser.entry.fresh
        self.lost(loser, now)
        return loser

    def served(self, attempt: Attempt, report: Finished, now: float) -> None:
        """Answered to the last byte: the job is over."""
        open_job, backend, entry = attempt.open_job, attempt.backend, attempt.entry
        self._give_back(attempt)
        self._close(open_job)
        self.finished += 1
        if open_job.reserved is not None:
            _settle(open_job.reserved, report, now)
        self._books.finished(entry, backend, report, now)
        backend.took(now - entry.dispatched, None if entry.first_at is None else now - entry.first_at)

    def lost(self, attempt: Attempt, now: float) -> None:
        """It ended otherwise; the job is still open, perhaps with another attempt, or its client left."""
        self._give_back(attempt)
        self._books.lost(attempt.entry, attempt.backend, now)

    def preempt(self, open_job: OpenJob, now: float) -> Abort:
        """Take the permit away; the attempt does not count."""
        (attempt,) = open_job.attempts
        backend = attempt.backend
        self._give_back(attempt)
        self._books.withdrawn(attempt.entry, backend, now)
        backend.concurrency.left(attempt.entry, now)
        self._fleet.withdrawn(backend, attempt.era)
        open_job.sent -= 1
        self.preempted += 1
        return Abort((open_job.job.id,), attempt.id, backend.name)

    def refuse(self, open_job: OpenJob, fault: Fault, reason: Reason | None = None) -> Refuse:
        """The job is over. Who was not reached did not fail: the client may come back."""
        self._close(open_job)
        self.refused += 1
        _free_quota(open_job)
        if reason is not None:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if fault.kind in NOT_REACHED and fault.kind is not Kind.TLS:
            fault = unreachable(fault.message)
        return Refuse(open_job.job.id, fault, reason)

    def leave(self, open_job: OpenJob) -> None:
        """The client left; what is out has to be given back by the caller."""
        self._close(open_job)
        self.cancelled += 1
        _free_quota(open_job, out=bool(open_job.attempts))

    def _send(self, open_job: OpenJob, backend: Backend, entry: Entry) -> Attempt:
        assert backend.in_flight < backend.limit
        self._last_id += 1
        attempt = self.out[self._last_id] = Attempt(self._last_id, open_job, backend, entry)
        backend.in_flight += 1
        open_job.attempts.append(attempt)
        open_job.sent += 1
        open_job.state = job_after(open_job.state, SENT)
        return attempt

    def _give_back(self, attempt: Attempt) -> None:
        """The permit."""
        open_job, backend = attempt.open_job, attempt.backend
        attempt.state = attempt_after(attempt.state, END)
        del self.out[attempt.id]
        open_job.attempts.remove(attempt)
        backend.in_flight -= 1
        assert backend.in_flight >= 0
        if open_job.attempts:
            self.hedging -= 1
            return
        open_job.state = job_after(open_job.state, RETURNED)
        self._lateness.forget(open_job)
        self.in_flight -= 1
        assert self.in_flight >= 0

    def _close(self, open_job: OpenJob) -> None:
        open_job.state = job_after(open_job.state, CLOSED)
        del self.open[open_job.job.id]


def _free_quota(open_job: OpenJob, *, out: bool = False) -> None:
    """All of it, unless an answer had begun, or a client left while an engine was at it (`out`)."""
    if open_job.reserved is not None:
        if open_job.started or out:
            open_job.reserved.kept()
        else:
            open_job.reserved.unused()


def _settle(reserved: Reservation, report: Finished, now: float) -> None:
    """By the usage that the engine told, if it did. An answer that was an error used none."""
    if not report.ok:
        reserved.used(0.0, now)
    elif report.prompt_tokens is None and report.output_tokens is None:
        reserved.kept()
    else:
        reserved.used(float((report.prompt_tokens or 0) + (report.output_tokens or 0)), now)
