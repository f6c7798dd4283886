"""One attempt: a job, or several, sent to one backend, from its dispatch to its end. A job may have two at once.

Owns nothing but the record; permits are counted by the `attempts`.
"""

from typing import TYPE_CHECKING, Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.quota import Spending
from proxy.core.jobs.states import WAITING
from proxy.core.learn.entry import Entry

if TYPE_CHECKING:
    from proxy.core.jobs.open_job import OpenJob

NO_OTHERS: "Final[tuple[OpenJob, ...]]" = ()


class Attempt:
    """It has a permit of its backend. Commands and reports name it by its id, which no other attempt ever has."""

    __slots__ = ("backend", "entry", "era", "id", "inputs", "open_job", "others", "spending", "state")

    def __init__(self, attempt_id: int, open_job: "OpenJob", backend: Backend, entry: Entry) -> None:
        self.id = attempt_id
        self.open_job = open_job
        """Leads: of several the one that came first and is still there."""
        self.others = NO_OTHERS
        """That it is for, too: merged with the leader's, or the same."""
        self.backend = backend
        self.entry = entry
        """What was foreseen of it."""
        self.era = backend.health.era
        """The backend's, at dispatch."""
        self.inputs = 0
        """Of a call that may hold several jobs'; 0: it is none."""
        self.spending: Spending | None = None
        """Of its backend's quota; None: it has none."""
        self.state = WAITING

    @property
    def open_jobs(self) -> "tuple[OpenJob, ...]":
        """All that it is for, the leader first."""
        return self.open_job, *self.others
