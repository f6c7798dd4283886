"""Which of the bulk that waits goes behind the rest, because not all of it can be complete in time.

Moore's and Hodgson's rule: in the order of deadlines, wherever the work up to a job does not get away by when it has to
begin, the dearest of those up to it goes behind. As much as can be is complete in time then, whatever is late is
what costs an engine most for each token, and where all can be in time nobody is moved.

Owns the rule and what it needs to know of a job. It refuses nobody: the pace of one burst is not that of the next, and
what is behind goes as soon as there is room.
"""

from heapq import heappop, heappush
from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.hold import Hold, Line
from proxy.core.jobs.learning import foreseen_s
from proxy.core.jobs.open_job import OpenJob
from proxy.core.route.forecasting import foresee, least_s

_CARE: Final = 0.6
"""So much of the measured pace is counted on: engines get on slower while a burst drains."""
_LOOK_S: Final = 0.05
_JOBS_PER_S: Final = 4000.0
"""A line is looked at so often, and a long one so much more seldom that each second so many jobs are."""

_Dear = tuple[int, float, int, OpenJob]
"""Priority, price with its sign turned, order of arrival: the first goes behind first."""


def weigh(open_job: OpenJob, backend: Backend, demand: Demand) -> None:
    """Note what the job costs, by what `backend` would take for it."""
    foresee(backend, demand)
    open_job.cost_s = foreseen_s(backend, demand)
    open_job.price_s = open_job.cost_s / max(1.0, demand.answer)
    open_job.alone_s = least_s(backend, demand)


def sort_out(hold: Hold, line: Line, now: float) -> None:
    """Look at a line of bulk again, if it is time to."""
    if now < line.look_at:
        return
    line.look_at = now + max(_LOOK_S, len(line.places) / _JOBS_PER_S)
    drain = line.candidates.drain
    drain.looks(now)
    open_jobs = [place[3] for place in line.places]
    behind = _too_many(sorted(open_jobs, key=_order), _CARE * drain.rate, now)
    for open_job in open_jobs:
        hold.put_behind(open_job, behind=open_job.number in behind)


def _too_many(open_jobs: list[OpenJob], rate: float, now: float) -> set[int]:
    """Numbers of those of `open_jobs`, soonest due first, that keep others from being in time."""
    behind: set[int] = set()
    kept: list[_Dear] = []
    work_s = 0.0
    for open_job in open_jobs:
        done_by = open_job.job.done_by
        left_s = inf if done_by is None else done_by - now - open_job.alone_s
        if left_s < 0.0:
            continue  # late in any case: its time is nearly over
        work_s += open_job.cost_s
        heappush(kept, (open_job.job.priority, -open_job.price_s, open_job.number, open_job))
        while kept and work_s > rate * left_s:
            dearest = heappop(kept)[3]
            work_s -= dearest.cost_s
            behind.add(dearest.number)
    return behind


def _order(open_job: OpenJob) -> tuple[int, float, int]:
    return -open_job.job.priority, open_job.due, open_job.number
