"""Second attempts beside late ones: whether one may be paid for, and where it goes.

Owns the budgets and that choice. When an attempt is late is known to `hedge_timers`; permits, and the end of whichever
attempt loses, are the attempts' business.
"""

from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.health import HealthState
from proxy.core.jobs.open_job import OpenJob
from proxy.core.route.forecasting import foresee, predicted_tpot
from proxy.core.route.limits import judge
from proxy.core.state import State
from proxy.model.request import Job

_BURST: Final = 10.0
"""Hedges that may be saved up: many at once are an overload, which they would make worse."""
_HAIR: Final = 1e-9
"""20 * 0.05 is a hair below 1 in binary; a hair must not decide."""


class Hedging:
    """One per scheduler. Of n requests of a class at most 1 + n * budget are hedged."""

    def __init__(self, state: State) -> None:
        self._fleet = state.fleet
        self._books = state.learning
        self._router = state.router
        self._tally = state.tally
        self._left: dict[str, float] = {}
        """Hedges that may still be made, by traffic class."""

    def arrived(self, job: Job) -> None:
        """A new job: a fraction of a hedge is earned."""
        if job.hedge is not None:
            left = self._left.get(job.traffic_class, 1.0)
            self._left[job.traffic_class] = min(_BURST, left + job.hedge.budget)

    def second(self, open_job: OpenJob, now: float) -> tuple[Backend, Demand] | None:
        """Where a late job's second attempt goes, paid for, and for what question; None: nowhere for now."""
        job = open_job.job
        self._tally.late += 1
        left = self._left.get(job.traffic_class, 0.0)
        if job.deadline is not None and now >= job.deadline:
            return None
        if left < 1.0 - _HAIR:
            self._tally.hedges_unpaid += 1
            return None
        demand = self._books.demand(open_job, now)
        demand.ttft_left = inf  # it is late already: what counts is whether those who are there would suffer
        backend = self._fastest(open_job, demand)
        if backend is None:
            self._tally.hedges_alone += 1
            return None
        self._left[job.traffic_class] = max(0.0, left - 1.0)
        return backend, demand

    def _fastest(self, open_job: OpenJob, demand: Demand) -> Backend | None:
        """The one of the others, healthy, not starting slowly and with room, that is likely to answer first, and before
        the late one."""
        candidates = self._fleet.catalogue.find(open_job.job.model)
        if candidates is None:
            return None
        (late,) = open_job.attempts
        entry, avoid = late.entry, open_job.tried | {late.backend}
        known = late.backend.pool.first_byte_times.usual(entry.prompt, entry.streams)
        usual, spent_s = known or 1.0, demand.now - entry.dispatched
        # Nobody knows why it is late: as long again as it has taken is the honest guess, and at least as predicted. As
        # long as predictions are unproven the operator's word counts, and whoever looks as good as it did will do.
        soonest_s = max(spent_s, usual * entry.first_byte_s - (0.0 if known is None else spent_s))
        fastest: Backend | None = None
        free = self._router.free(candidates, demand, avoid)
        for backend in sorted(free, key=_order) if candidates.ordered else free:
            if fastest is not None and backend.spec.order > fastest.spec.order:
                break
            if backend in avoid or backend.health.state is not HealthState.HEALTHY or backend.share < 1.0:
                continue
            foresee(backend, demand)
            if self._router.judges and judge(backend, demand) is not None:
                continue
            first_byte_s = backend.forecast.ttft
            if not entry.streams:
                first_byte_s += demand.answer * predicted_tpot(backend, demand)
            if usual * first_byte_s <= soonest_s:
                fastest, soonest_s = backend, usual * first_byte_s
        return fastest


def _order(backend: Backend) -> int:
    return backend.spec.order
