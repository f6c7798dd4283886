"""What the scheduler remembers of one open job: where it is and what was tried.

Owns nothing but the record; permits are counted by the scheduler.
"""

from typing import TYPE_CHECKING, Final

from proxy.core.fleet.backend import Backend
from proxy.core.jobs.attempt import Attempt
from proxy.core.jobs.states import OPEN
from proxy.core.learn.entry import Entry
from proxy.core.learn.sessions import Session
from proxy.core.tenancy.quotas import Reservation
from proxy.model.commands import Reason
from proxy.model.fallback import FallbackStep
from proxy.model.faults import DECLINED, NOT_REACHED, Fault, Kind
from proxy.model.request import Job

if TYPE_CHECKING:
    from proxy.core.jobs.hold import Hold, Line

_MOST_DECLINED: Final = 16
"""Engines that may say no to one job: each answers at once, but a job must not go round for ever."""

NOBODY: frozenset[Backend] = frozenset()


class OpenJob:
    """Open from submit to the one ending; either held (`line`) or out (`attempts`)."""

    __slots__ = (
        "accused",
        "acquits",
        "alone",
        "alone_s",
        "arrived",
        "attempts",
        "behind",
        "by_promise",
        "cost_s",
        "declined",
        "demoted",
        "due",
        "fallbacks",
        "fault",
        "follows",
        "held_at",
        "held_until",
        "job",
        "last",
        "line",
        "looked_for_session",
        "number",
        "price_s",
        "probe",
        "reason",
        "reserved",
        "sent",
        "session",
        "started",
        "state",
        "too_short",
        "tried",
        "tries",
        "waits_in",
        "way",
        "work_s",
    )

    def __init__(self, job: Job, number: int, now: float = 0.0) -> None:
        self.job = job
        self.arrived = now if job.arrived is None else min(now, job.arrived)
        """Its promises count from here."""
        self.due = 0.0
        """Place in line: the soonest goes first."""
        self.work_s = 0.0
        """Predicted seconds of its prompt when it began to wait, where that took least; 0: not known."""
        self.behind = 0.0
        """Place behind the others while not all can be complete in time; 0: in its turn."""
        self.cost_s = self.price_s = self.alone_s = 0.0
        """Of bulk that waits: seconds of an engine that it costs, the same per token, and how long it takes alone."""
        self.state = OPEN
        self.attempts: list[Attempt] = []
        """Those that are out, oldest first: two while the first one is late."""
        self.sent = 0
        """Attempts that count."""
        self.started = False
        """Its last attempt had begun to answer."""
        self.reserved: Reservation | None = None
        """Of its tenant's quota."""
        self.looked_for_session = False
        self.session: Session | None = None
        """That it continues, once it was looked for."""
        self.demoted = False
        """Late as bulk rather than refused."""
        self.probe = False
        """Sent although it would have been refused."""
        self.reason: Reason | None = None
        """Why it is held."""
        self.by_promise = False
        """It waits as long as its own promise allows, and not as long as anybody may."""
        self.way: FallbackStep | None = None
        """Served otherwise than asked for; `job` says how."""
        self.fallbacks = job.fallbacks
        """Not tried yet."""
        self.held_at: float | None = None
        self.held_until: float | None = None
        """When waiting for a next attempt ends; None: it never had to."""
        self.waits_in: Hold | None = None
        self.number = number
        """Order of arrival."""
        self.last: Backend | None = None
        """The backend of the last attempt that ended without an answer."""
        self.line: Line | None = None
        """Where it is held."""
        self.too_short = 0
        """Tokens of the longest context that it did not fit into."""
        self.tried = NOBODY
        """Backends that had it and failed, or cannot serve it: it does not go there again while there are others."""
        self.tries = 0
        """Attempts at which an engine may have worked."""
        self.declined = 0
        """Attempts that an engine refused before it did any work."""
        self.fault: Fault | None = None
        """The end of the last attempt."""
        self.accused: list[tuple[Backend, int, Fault]] = []
        """Backends, with their era, that failed where it may have been the body's fault."""
        self.acquits = False
        """Two backends said the same of its body."""
        self.follows: Entry | None = None
        """It waits until this prompt is computed."""
        self.alone = False
        """It is merged with nobody any more."""

    def remember(self, backend: Backend, fault: Fault) -> None:
        """An attempt on `backend` ended in `fault`."""
        self.last = backend
        self.fault = fault
        if fault.kind in NOT_REACHED:
            return
        if fault.kind is not Kind.BUSY:
            self.tried |= {backend}
        if fault.kind in DECLINED:
            self.declined += 1
        else:
            self.tries += 1

    @property
    def is_declined_too_often(self) -> bool:
        """Whether it has gone round for long enough."""
        return self.declined >= _MOST_DECLINED
