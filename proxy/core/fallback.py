"""What is tried before a refusal, and when the first choice fails: another model or another pool, at once.

Owns the ways of an open job that are left. Each is tried once at most, so that this ends; what is sent that way is an
attempt like any other.
"""

from dataclasses import replace

from proxy.core.attempts import Attempts
from proxy.core.books import Books
from proxy.core.candidates import Candidates
from proxy.core.catalogue import Catalogue
from proxy.core.router import Router
from proxy.core.ticket import NOBODY, Ticket
from proxy.model.commands import Dispatch
from proxy.model.fallback import Cause, Way
from proxy.model.faults import CONTEXT_TOO_LONG, NOT_REACHED, Fault, Kind
from proxy.model.request import Job


class Fallback:
    """One per scheduler."""

    def __init__(self, catalogue: Catalogue, books: Books, attempts: Attempts, router: Router) -> None:
        self._catalogue = catalogue
        self._books = books
        self._attempts = attempts
        self._router = router

    def served(self, ticket: Ticket) -> Job:
        """A new job as it was asked for, or the first way that anybody serves: there it waits like any other."""
        job = ticket.job
        while self._of(ticket.job) is None and ticket.ways:
            _go(ticket)
        if self._of(ticket.job) is None:
            ticket.job, ticket.way = job, None
        return ticket.job

    def take(self, ticket: Ticket, now: float, cause: Cause | None = None) -> Dispatch | None:
        """Send a job that is to be refused, or whose first choice failed (`cause`), the first way that has room for
        it. None: none has, it stays as it is, and may take the ways that are not for this cause later."""
        job, taken = ticket.job, ticket.way
        other: tuple[Way, ...] = ()
        while ticket.ways:
            if cause is not None and cause not in ticket.ways[0].on:
                other = (*other, ticket.ways[0])
                ticket.ways = ticket.ways[1:]
                continue
            _go(ticket)
            candidates = self._of(ticket.job)
            if candidates is None:
                continue
            ask = self._books.ask(ticket, now)
            backend = self._router.pick(candidates, ask, NOBODY)
            if backend is not None:
                ticket.ways = other + ticket.ways
                return self._attempts.dispatch(ticket, backend, ask)
        ticket.job, ticket.way, ticket.ways = job, taken, other
        return None

    def _of(self, job: Job) -> Candidates | None:
        return labelled(self._catalogue, job)


def cause_of(fault: Fault) -> Cause:
    """Why a first choice failed, as the operator names it."""
    if fault.kind in NOT_REACHED:
        return "unreachable"
    if fault.kind is Kind.BUSY:
        return "busy"
    return "context" if fault.code == CONTEXT_TOO_LONG else "error"


def cause_of_absence(candidates: Candidates) -> Cause:
    """Why none of these is healthy."""
    if any(backend.health.away for backend in candidates.backends):
        return "unreachable"
    return "busy" if any(backend.pressure.paused for backend in candidates.backends) else "error"


def labelled(catalogue: Catalogue, job: Job) -> Candidates | None:
    """The backends of a job's model, if one of them has the labels that it requires."""
    candidates = catalogue.find(job.model)
    if candidates is None or not job.require:
        return candidates
    return candidates if any(job.require <= backend.spec.labels for backend in candidates.backends) else None


def by_way(job: Job, way: Way) -> Job:
    """The job as it is served otherwise."""
    return replace(job, model=way.model, require=way.require)


def _go(ticket: Ticket) -> None:
    way, *rest = ticket.ways
    ticket.ways = tuple(rest)
    ticket.way = way
    ticket.job = by_way(ticket.job, way)
