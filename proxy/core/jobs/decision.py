"""What may become of a job that nobody is at: it goes, it waits, or it is refused. Values, made by `decide` alone.

Nothing happened when one is made: `Waiting.carry_out` does what it says, `explain` only shows it.
"""

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.attempt import Attempt
from proxy.core.jobs.open_job import OpenJob
from proxy.core.learn.entry import Entry
from proxy.model.commands import Reason
from proxy.model.fallback import FallbackStep
from proxy.model.faults import Fault
from proxy.model.request import Job
from proxy.model.windows import Closed


class Detour:
    """The job as it is served otherwise, and the ways that are left after this one."""

    __slots__ = ("job", "left", "way")

    def __init__(self, way: FallbackStep, job: Job, left: tuple[FallbackStep, ...]) -> None:
        self.way = way
        self.job = job
        self.left = left


class Send:
    """It goes to `backend` now, for which `demand` was asked."""

    __slots__ = ("backend", "closed", "demand", "detour", "others", "probe", "victims")

    def __init__(
        self,
        backend: Backend,
        demand: Demand,
        *,
        detour: Detour | None = None,
        victims: list[OpenJob] | None = None,
        probe: bool = False,
        others: list[OpenJob] | None = None,
        closed: Closed = Closed.IDLE,
    ) -> None:
        self.backend = backend
        self.demand = demand
        self.detour = detour
        """Another model or pool than asked for."""
        self.victims = victims
        """Bulk on that backend that has not begun, and is sent back for it."""
        self.probe = probe
        """Although it would have been refused, to learn whether that is right."""
        self.others = others
        """Those that wait and go in the same call."""
        self.closed = closed
        """Why they wait no more."""


class Gather:
    """It could go, and waits for others to go with it, for at most `most_s` seconds."""

    __slots__ = ("backend", "leader", "most_s", "others")

    def __init__(
        self, most_s: float, others: list[OpenJob], leader: Entry | None = None, backend: Backend | None = None
    ) -> None:
        self.leader = leader
        """Whose prompt begins as its own, and is computed right now on `backend`; None: nobody's."""
        self.backend = backend
        self.most_s = most_s
        self.others = others
        """Those that wait already."""


class Join:
    """It gets the answer of an attempt that is out for the same question."""

    __slots__ = ("attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt


class Wait:
    """It waits for at most `most_s` seconds more: as bulk, or for as long as it may still be in time."""

    __slots__ = ("as_bulk", "demoted", "most_s", "reason", "work_s")

    def __init__(
        self,
        most_s: float,
        reason: Reason | None,
        *,
        work_s: float = 0.0,
        as_bulk: bool = False,
        demoted: bool = False,
    ) -> None:
        self.most_s = most_s
        self.work_s = work_s
        """Its prompt where that takes least, seconds; 0: not known."""
        self.reason = reason
        """The limit that keeps it waiting; None: a permit."""
        self.as_bulk = as_bulk
        self.demoted = demoted
        """Late rather than not at all."""


class Shed:
    """It is refused."""

    __slots__ = ("fault", "reason", "unserved")

    def __init__(self, fault: Fault, reason: Reason | None = None, *, unserved: bool = False) -> None:
        self.fault = fault
        self.reason = reason
        self.unserved = unserved
        """Nobody serves it, whatever the load."""


Decision = Send | Gather | Join | Wait | Shed


class Judged:
    """The decision on a new job, and what was asked on the way to it."""

    __slots__ = ("chosen", "decision", "demand")

    def __init__(self, decision: Decision, demand: Demand | None = None, chosen: Backend | None = None) -> None:
        self.decision = decision
        self.demand = demand
        """Of the backends of its own model; None: they were not asked."""
        self.chosen = chosen
        """The one of them that has room; None: none has."""
