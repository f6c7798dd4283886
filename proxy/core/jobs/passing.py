"""Who of those that wait is not looked at for a backend, since what was just seen there tells that it does not fit.

A look costs a prediction, and in overload a line begins with those that nobody has room for: large prompts that would
slow down answers, and those that are late already. Behind hundreds of them may stand what would fit. Owns what the
looks at one backend at one moment have shown.
"""

from math import inf
from typing import Final

from proxy.core.fleet.demand import Demand
from proxy.core.fleet.forecast import Forecast
from proxy.core.jobs.open_job import OpenJob
from proxy.model.commands import Reason

_ALIKE: Final = 0.95
"""A prompt that takes so much of the time of one that was kept out is kept out too…"""
_FULL: Final = 0.25
"""…and so much where there are too many answers for the pace, so that prompts make little of a difference."""


class Passing:
    """Of one backend at one moment."""

    __slots__ = ("_ahead_s", "_heavy_s", "_margin", "_now", "_pace_s", "_tilted")

    def __init__(self, now: float) -> None:
        self._now = now
        self._heavy_s = inf
        """Seconds of the least prompt that would slow down answers too much…"""
        self._pace_s = 0.0
        """…by what was promised to one with so many seconds per token…"""
        self._tilted: dict[str, float] = {}
        """…and of tenants that are held to less than others."""
        self._ahead_s = 0.0
        """Seconds of prompts ahead of any of them, once one was late…"""
        self._margin = inf
        """…with this margin, the least of any that was."""

    def over(self, open_job: OpenJob) -> bool:
        """Whether what was seen tells that it does not fit."""
        work_s, job = open_job.work_s, open_job.job
        if self._ahead_s and job.slo_ttft_s is not None:
            left_s = open_job.arrived + job.slo_ttft_s - self._now
            if left_s < self._margin * (self._ahead_s + work_s):
                return True
        if not work_s or job.slo_tpot_s is None or job.slo_tpot_s > self._pace_s:
            return False
        return work_s >= self._heavy_s or (bool(self._tilted) and work_s >= self._tilted.get(job.tenant, inf))

    def kept_out(self, demand: Demand, seen: Forecast) -> None:
        """One was looked at, and did not fit."""
        if seen.reason is Reason.TTFT:
            self._ahead_s, self._margin = seen.ttft - seen.cost, min(self._margin, demand.ttft_margin)
        elif (seen.reason is Reason.TPOT or seen.reason is Reason.DUTY) and demand.tpot_limit is not None:
            full = demand.tpot_margin * seen.tpot > demand.tpot_limit
            self._bind(demand, demand.tpot_limit, (_FULL if full else _ALIKE) * seen.usual_work_s)

    def _bind(self, demand: Demand, pace_s: float, work_s: float) -> None:
        if pace_s < self._pace_s:  # what keeps out one that was promised less keeps out all
            return
        if pace_s > self._pace_s:
            self._pace_s, self._heavy_s = pace_s, inf
            self._tilted.clear()
        tenant = demand.job.tenant
        if demand.over_share:
            self._tilted[tenant] = min(self._tilted.get(tenant, inf), work_s)
        else:
            self._heavy_s = min(self._heavy_s, work_s)
