"""Open jobs and their permits: what is out, where, and how it ended.

Owns the counts and the one place where a permit is taken and given back. Decides nothing.
"""

from proxy.core.backend import Backend
from proxy.core.books import Books
from proxy.core.fleet import Fleet
from proxy.core.foresight import Ask
from proxy.core.health import State
from proxy.core.ledger import Entry
from proxy.core.ticket import Ticket
from proxy.model.commands import Abort, Dispatch, Finished, Reason, Refuse
from proxy.model.faults import Fault


class Attempts:
    """Every open job is either held or has a permit."""

    def __init__(self, fleet: Fleet, books: Books) -> None:
        self._fleet = fleet
        self._books = books
        self.open: dict[int, Ticket] = {}
        self.in_flight = 0
        self.offered = self.finished = self.refused = self.cancelled = self.preempted = 0
        self.reasons: dict[Reason, int] = {}
        """Refusals of admission."""

    def begin(self, ticket: Ticket) -> None:
        """A new job."""
        self.open[ticket.job.id] = ticket

    def out(self, job_id: int) -> Ticket | None:
        """The job, if it has a permit."""
        ticket = self.open.get(job_id)
        return None if ticket is None or ticket.backend is None else ticket

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
        held_s = 0.0 if ticket.held_at is None else now - ticket.held_at
        ticket.held_at = None
        return Dispatch(ticket.job.id, backend.name, ticket.attempt, held_s=held_s, way=ticket.way)

    def served(self, ticket: Ticket, report: Finished, now: float) -> Backend:
        """Answered to the last byte: the job is over."""
        backend, entry = self._given_back(ticket)
        del self.open[ticket.job.id]
        self.finished += 1
        self._books.finished(entry, backend, report, now)
        backend.took(now - ticket.since)
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
        """The job is over."""
        del self.open[ticket.job.id]
        self.refused += 1
        if reason is not None:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        return Refuse(ticket.job.id, fault, reason)

    def leave(self, job_id: int) -> Ticket | None:
        """The client left."""
        ticket = self.open.pop(job_id, None)
        self.cancelled += ticket is not None
        return ticket

    def _given_back(self, ticket: Ticket) -> tuple[Backend, Entry]:
        backend, entry = ticket.backend, ticket.entry
        assert backend is not None
        assert entry is not None
        ticket.backend = ticket.entry = None
        backend.in_flight -= 1
        self.in_flight -= 1
        assert backend.in_flight >= 0
        assert self.in_flight >= 0
        return backend, entry
