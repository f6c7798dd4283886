"""The last thing tried before a refusal: another model or another pool, at once.

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
from proxy.model.fallback import Way
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

    def take(self, ticket: Ticket, now: float) -> Dispatch | None:
        """Send a job that is to be refused the first way that has room for it. None: none has, it stays as it is."""
        job, taken = ticket.job, ticket.way
        while ticket.ways:
            _go(ticket)
            candidates = self._of(ticket.job)
            if candidates is None:
                continue
            ask = self._books.ask(ticket, now)
            backend = self._router.pick(candidates, ask, NOBODY)
            if backend is not None:
                return self._attempts.dispatch(ticket, backend, ask)
        ticket.job, ticket.way = job, taken
        return None

    def _of(self, job: Job) -> Candidates | None:
        return labelled(self._catalogue, job)


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
