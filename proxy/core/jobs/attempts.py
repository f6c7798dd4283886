"""Open jobs and their permits: what is out, where, and how it ended.

Owns the counts and the one place where a permit is taken and given back. Decides nothing.
"""

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.fleet.health import State
from proxy.core.jobs.attempt import Attempt
from proxy.core.jobs.hedge_timers import Lateness
from proxy.core.jobs.learning import Books
from proxy.core.jobs.open_job import Ticket
from proxy.core.jobs.states import BEGAN, CLOSED, END, RETURNED, SENT, attempt_after, job_after
from proxy.core.learn.entry import Entry
from proxy.core.refusals import unreachable
from proxy.core.tenancy.quotas import Reservation
from proxy.model.commands import Abort, Dispatch, Finished, Reason, Refuse
from proxy.model.faults import NOT_REACHED, Fault, Kind


class Attempts:
    """Every open job is either held or has a permit, or two."""

    def __init__(self, fleet: Fleet, books: Books, lateness: Lateness) -> None:
        self._fleet = fleet
        self._books = books
        self._lateness = lateness
        self.open: dict[int, Ticket] = {}
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

    def begin(self, ticket: Ticket) -> None:
        """A new job."""
        self.open[ticket.job.id] = ticket

    def dispatch(self, ticket: Ticket, backend: Backend, demand: Demand) -> Dispatch:
        """Take the permit; `backend` was looked at for this very `demand`."""
        attempt = self._send(ticket, backend, self._books.open(ticket, backend, demand))
        self.in_flight += 1
        if backend.health.state is not State.HEALTHY:
            self._fleet.trial_began(backend)
        if ticket.job.hedge is not None and not ticket.started:  # who goes on with an answer is the only one who can
            self._lateness.watch(ticket, demand.now)
        ticket.started = False
        held_s = 0.0 if ticket.held_at is None else demand.now - ticket.held_at
        ticket.held_at = None
        return Dispatch((ticket.job.id,), backend.name, attempt.id, ticket.sent, held_s=held_s, way=ticket.way)

    def hedge(self, ticket: Ticket, backend: Backend, demand: Demand) -> Dispatch:
        """Take a second permit beside the first; `backend` was looked at for this very `demand`."""
        assert len(ticket.attempts) == 1
        attempt = self._send(ticket, backend, self._books.open_beside(ticket, backend, demand))
        self.hedging += 1
        self.hedges += 1
        return Dispatch((ticket.job.id,), backend.name, attempt.id, ticket.sent, hedge=True, way=ticket.way)

    def began(self, attempt: Attempt, now: float) -> Attempt | None:
        """It has its first byte. The attempt beside it, if there was one, has lost, and its permit comes back."""
        attempt.state = attempt_after(attempt.state, BEGAN)
        attempt.entry.began = True
        attempts = attempt.ticket.attempts
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
        ticket, backend, entry = attempt.ticket, attempt.backend, attempt.entry
        self._give_back(attempt)
        self._close(ticket)
        self.finished += 1
        if ticket.reserved is not None:
            _settle(ticket.reserved, report, now)
        self._books.finished(entry, backend, report, now)
        backend.took(now - entry.dispatched, None if entry.first_at is None else now - entry.first_at)

    def lost(self, attempt: Attempt, now: float) -> None:
        """It ended otherwise; the job is still open, perhaps with another attempt, or its client left."""
        self._give_back(attempt)
        self._books.lost(attempt.entry, attempt.backend, now)

    def preempt(self, ticket: Ticket, now: float) -> Abort:
        """Take the permit away; the attempt does not count."""
        (attempt,) = ticket.attempts
        backend = attempt.backend
        self._give_back(attempt)
        self._books.withdrawn(attempt.entry, backend, now)
        backend.concurrency.left(attempt.entry, now)
        self._fleet.withdrawn(backend, attempt.era)
        ticket.sent -= 1
        self.preempted += 1
        return Abort((ticket.job.id,), attempt.id, backend.name)

    def refuse(self, ticket: Ticket, fault: Fault, reason: Reason | None = None) -> Refuse:
        """The job is over. Who was not reached did not fail: the client may come back."""
        self._close(ticket)
        self.refused += 1
        _free_quota(ticket)
        if reason is not None:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if fault.kind in NOT_REACHED and fault.kind is not Kind.TLS:
            fault = unreachable(fault.message)
        return Refuse(ticket.job.id, fault, reason)

    def leave(self, ticket: Ticket) -> None:
        """The client left; what is out has to be given back by the caller."""
        self._close(ticket)
        self.cancelled += 1
        _free_quota(ticket, out=bool(ticket.attempts))

    def _send(self, ticket: Ticket, backend: Backend, entry: Entry) -> Attempt:
        assert backend.in_flight < backend.limit
        self._last_id += 1
        attempt = self.out[self._last_id] = Attempt(self._last_id, ticket, backend, entry)
        backend.in_flight += 1
        ticket.attempts.append(attempt)
        ticket.sent += 1
        ticket.state = job_after(ticket.state, SENT)
        return attempt

    def _give_back(self, attempt: Attempt) -> None:
        """The permit."""
        ticket, backend = attempt.ticket, attempt.backend
        attempt.state = attempt_after(attempt.state, END)
        del self.out[attempt.id]
        ticket.attempts.remove(attempt)
        backend.in_flight -= 1
        assert backend.in_flight >= 0
        if ticket.attempts:
            self.hedging -= 1
            return
        ticket.state = job_after(ticket.state, RETURNED)
        self._lateness.forget(ticket)
        self.in_flight -= 1
        assert self.in_flight >= 0

    def _close(self, ticket: Ticket) -> None:
        ticket.state = job_after(ticket.state, CLOSED)
        del self.open[ticket.job.id]


def _free_quota(ticket: Ticket, *, out: bool = False) -> None:
    """All of it, unless an answer had begun, or a client left while an engine was at it (`out`)."""
    if ticket.reserved is not None:
        if ticket.started or out:
            ticket.reserved.kept()
        else:
            ticket.reserved.unused()


def _settle(reserved: Reservation, report: Finished, now: float) -> None:
    """By the usage that the engine told, if it did. An answer that was an error used none."""
    if not report.ok:
        reserved.used(0.0, now)
    elif report.prompt_tokens is None and report.output_tokens is None:
        reserved.kept()
    else:
        reserved.used(float((report.prompt_tokens or 0) + (report.output_tokens or 0)), now)
