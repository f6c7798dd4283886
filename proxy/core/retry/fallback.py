"""What is tried before a refusal, and when the first choice fails: another model or another pool, at once.

Owns the order in which the ways of an open job are looked at. Each is taken once at most, so that this ends; what is
sent that way is an attempt like any other.
"""

from dataclasses import replace

from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.catalogue import Catalogue
from proxy.core.jobs.decision import Detour, Send
from proxy.core.jobs.learning import Books
from proxy.core.jobs.open_job import NOBODY, Ticket
from proxy.core.route.router import Router
from proxy.model.fallback import Cause, Way
from proxy.model.faults import CONTEXT_TOO_LONG, NOT_REACHED, Fault, Kind
from proxy.model.request import Job


class Fallback:
    """One per scheduler."""

    def __init__(self, catalogue: Catalogue, books: Books, router: Router) -> None:
        self._catalogue = catalogue
        self._books = books
        self._router = router

    def served(self, ticket: Ticket) -> None:
        """A new job as it was asked for, or the first way that anybody serves: there it waits like any other."""
        if self._of(ticket.job) is not None:
            return
        for index, way in enumerate(ticket.ways):
            job = by_way(ticket.job, way)
            if self._of(job) is not None:
                ticket.job, ticket.way, ticket.ways = job, way, ticket.ways[index + 1 :]
                return
        ticket.ways = ()

    def find(self, ticket: Ticket, now: float, cause: Cause | None = None) -> Send | None:
        """The first way that has room for a job that is to be refused, or whose first choice failed (`cause`). None:
        none has."""
        for index, way in enumerate(ticket.ways):
            if cause is not None and cause not in way.on:
                continue
            job = by_way(ticket.job, way)
            candidates = self._of(job)
            if candidates is None:
                continue
            demand = self._books.demand(ticket, now, job)
            backend = self._router.pick(candidates, demand, NOBODY)
            if backend is not None:
                left = ways_left(ticket.ways[:index], cause) + ticket.ways[index + 1 :]
                return Send(backend, demand, detour=Detour(way, job, left))
        return None

    def _of(self, job: Job) -> Candidates | None:
        return labelled(self._catalogue, job)


def ways_left(ways: tuple[Way, ...], cause: Cause | None) -> tuple[Way, ...]:
    """Those that may be taken later, after none of `ways` had room: the ones that are not for this cause."""
    return () if cause is None else tuple(way for way in ways if cause not in way.on)


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
