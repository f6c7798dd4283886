"""Open jobs and their permits: what is out, where, and how it ended.

Owns the counts and the one place where a permit is taken and given back. Decides nothing.
"""

from proxy.core.backend import Backend
from proxy.core.books import Books
from proxy.core.entry import Entry
from proxy.core.fleet import Fleet
from proxy.core.foresight import Ask
from proxy.core.health import State
from proxy.core.lateness import Lateness
from proxy.core.quotas import Reservation
from proxy.core.refusals import unreachable
from proxy.core.ticket import Second, Ticket
from proxy.model.commands import Abort, Dispatch, Finished, Reason, Refuse
from proxy.model.faults import NOT_REACHED, Fault, Kind


class Attempts:
    """Every open job is either held or has a permit."""

    def __init__(self, fleet: Fleet, books: Books, lateness: Lateness) -> None:
        self._fleet = fleet
        self._books = books
        self._lateness = lateness
        self.open: dict[int, Ticket] = {}
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

    def out(self, job_id: int, backend: str = "") -> Ticket | None:
        """The job, if it has a permit (on `backend`, where that is named)."""
        ticket = self.open.get(job_id)
        if ticket is None or ticket.backend is None:
            return None
        if backend and backend != ticket.backend.name:
            return ticket if ticket.second is not None and ticket.second.backend.name == backend else None
        return ticket

    def dispatch(self, ticket: Ticket, backend: Backend, ask: Ask) -> Dispatch:
        """Take the permit; `backend` was looked at for this very `ask`."""
        assert backend.in_flight < backend.limit
        now = ask.now
        ticket.entry = self._books.open(ticket, backend, ask)
        backend.in_flight += 1
        self.in_flight += 1
        ticket.backend = backend
        ticket.era = backend.health.era
        ticket.since = now
        ticket.started = False
        ticket.attempt += 1
        if backend.health.state is not State.HEALTHY:
            self._fleet.trial_began(backend)
        if ticket.job.hedge is not None:
            self._lateness.watch(ticket, now)
        held_s = 0.0 if ticket.held_at is None else now - ticket.held_at
        ticket.held_at = None
        return Dispatch(ticket.job.id, backend.name, ticket.attempt, held_s=held_s, way=ticket.way)

    def hedge(self, ticket: Ticket, backend: Backend, ask: Ask) -> Dispatch:
        """Take a second permit beside the first; `backend` was looked at for this very `ask`."""
        assert ticket.backend is not None
        assert ticket.second is None
        assert backend.in_flight < backend.limit
        ticket.second = Second(backend, self._books.open_beside(ticket, backend, ask), ask.now)
        backend.in_flight += 1
        ticket.attempt += 1
        self.hedging += 1
        self.hedges += 1
        return Dispatch(ticket.job.id, backend.name, ticket.attempt, hedge=True, way=ticket.way)

    def drop(self, ticket: Ticket, backend: Backend, now: float) -> int:
        """One of two attempts ended, that on `backend`; the other one goes on alone. Returns the era it was sent in."""
        second, entry, era = ticket.second, ticket.entry, ticket.era
        assert second is not None
        assert entry is not None
        if backend is second.backend:
            entry, era = second.entry, second.era
        else:
            assert backend is ticket.backend
            ticket.backend, ticket.entry, ticket.era, ticket.since = (
                second.backend,
                second.entry,
                second.era,
                second.since,
            )
        ticket.second = None
        self.hedging -= 1
        self._free(backend)
        self._books.lost(entry, backend, now)
        return era

    def outrun(self, ticket: Ticket, winner: str, now: float) -> tuple[Backend, int]:
        """One of two attempts began to answer: the permit of the other one comes back. Its backend, and its era."""
        second, loser, entry = ticket.second, ticket.backend, ticket.entry
        assert second is not None
        assert loser is not None
        assert entry is not None
        if winner == second.backend.name:
            self.hedges_won += 1
        else:
            loser, entry = second.backend, second.entry
        self.hedge_tokens += entry.fresh
        return loser, self.drop(ticket, loser, now)

    def served(self, ticket: Ticket, report: Finished, now: float) -> Backend:
        """Answered to the last byte: the job is over."""
        backend, entry = self._given_back(ticket)
        del self.open[ticket.job.id]
        self.finished += 1
        if ticket.reserved is not None:
            _settle(ticket.reserved, report, now)
        self._books.finished(entry, backend, report, now)
        backend.took(now - ticket.since, None if entry.first_at is None else now - entry.first_at)
        return backend

    def lost(self, ticket: Ticket, now: float) -> Backend:
        """The attempt ended otherwise; the job is still open."""
        backend, entry = self._given_back(ticket)
        self._books.lost(entry, backend, now)
        return backend

    def preempt(self, ticket: Ticket, now: float) -> Abort:
        """Take the permit away; the attempt does not count."""
        backend, entry = self._given_back(ticket)
        backend.ledger.end(entry, now)
        self._fleet.withdrawn(backend, ticket.era)
        ticket.attempt -= 1
        self.preempted += 1
        return Abort(ticket.job.id, backend.name)

    def refuse(self, ticket: Ticket, fault: Fault, reason: Reason | None = None) -> Refuse:
        """The job is over. Who was not reached did not fail: the client may come back."""
        del self.open[ticket.job.id]
        self.refused += 1
        _give_back(ticket)
        if reason is not None:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if fault.kind in NOT_REACHED and fault.kind is not Kind.TLS:
            fault = unreachable(fault.message)
        return Refuse(ticket.job.id, fault, reason)

    def leave(self, job_id: int) -> Ticket | None:
        """The client left."""
        ticket = self.open.pop(job_id, None)
        if ticket is not None:
            self.cancelled += 1
            _give_back(ticket, out=ticket.backend is not None)
        return ticket

    def _given_back(self, ticket: Ticket) -> tuple[Backend, Entry]:
        backend, entry = ticket.backend, ticket.entry
        assert backend is not None
        assert entry is not None
        assert ticket.second is None
        ticket.backend = ticket.entry = None
        self._lateness.forget(ticket)
        self._free(backend)
        self.in_flight -= 1
        assert self.in_flight >= 0
        return backend, entry

    @staticmethod
    def _free(backend: Backend) -> None:
        backend.in_flight -= 1
        assert backend.in_flight >= 0


def _give_back(ticket: Ticket, *, out: bool = False) -> None:
    """Of a quota: all of it, unless an answer had begun, or a client left while an engine was at it (`out`)."""
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
