"""What is tried before a refusal, and when the first choice fails: another model or another pool, at once.

Owns the order in which the ways of an open job are looked at. Each is taken once at most, so that this ends; what is
sent that way is an attempt like any other.
"""

from dataclasses import replace

from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.catalogue import Catalogue
from proxy.core.jobs.decision import Detour, Send
from proxy.core.jobs.learning import Learning
from proxy.core.jobs.open_job import NOBODY, OpenJob
from proxy.core.route.router import Router
from proxy.model.fallback import Cause, FallbackStep
from proxy.model.faults import CONTEXT_TOO_LONG, NOT_REACHED, Fault, Kind
from proxy.model.request import Job


class Fallback:
    """One per scheduler."""

    def __init__(self, catalogue: Catalogue, learning: Learning, router: Router) -> None:
        self._catalogue = catalogue
        self._books = learning
        self._router = router

    def served(self, open_job: OpenJob) -> None:
        """A new job as it was asked for, or the first way that anybody serves: there it waits like any other."""
        if self._of(open_job.job) is not None:
            return
        for index, way in enumerate(open_job.fallbacks):
            job = by_way(open_job.job, way)
            if self._of(job) is not None:
                open_job.job, open_job.way, open_job.fallbacks = job, way, open_job.fallbacks[index + 1 :]
                return
        open_job.fallbacks = ()

    def find(self, open_job: OpenJob, now: float, cause: Cause | None = None) -> Send | None:
        """The first way that has room for a job that is to be refused, or whose first choice failed (`cause`). None:
        none has."""
        for index, way in enumerate(open_job.fallbacks):
            if cause is not None and cause not in way.on:
                continue
            job = by_way(open_job.job, way)
            candidates = self._of(job)
            if candidates is None:
                continue
            demand = self._books.demand(open_job, now, job)
            backend = self._router.pick(candidates, demand, NOBODY)
            if backend is not None:
                left = ways_left(open_job.fallbacks[:index], cause) + open_job.fallbacks[index + 1 :]
                return Send(backend, demand, detour=Detour(way, job, left))
        return None

    def _of(self, job: Job) -> Candidates | None:
        return labelled(self._catalogue, job)


def ways_left(fallbacks: tuple[FallbackStep, ...], cause: Cause | None) -> tuple[FallbackStep, ...]:
    """Those that may be taken later, after none of `fallbacks` had room: the ones that are not for this cause."""
    return () if cause is None else tuple(way for way in fallbacks if cause not in way.on)


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
    return "busy" if any(backend.is_paused for backend in candidates.backends) else "error"


def labelled(catalogue: Catalogue, job: Job) -> Candidates | None:
    """The backends of a job's model, if one of them has the labels that it requires."""
    candidates = catalogue.find(job.model)
    if candidates is None or not job.require:
        return candidates
    return candidates if any(job.require <= backend.labels_for(job.model) for backend in candidates.backends) else None


def by_way(job: Job, way: FallbackStep) -> Job:
    """The job as it is served otherwise."""
    return replace(job, model=way.model, require=way.require)
