"""What lasts in the core from one call to the next, in one place: the steps are given it, and keep little themselves.

Owns how the parts are put together, and how all of them hear of another configuration; each keeps its own books.
"""

from collections.abc import Sequence

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.fleet import Fleet
from proxy.core.fleet.roster import check_names
from proxy.core.jobs.attempts import Attempts
from proxy.core.jobs.hedge_timers import HedgeTimers
from proxy.core.jobs.hold import Holds
from proxy.core.jobs.learning import Learning
from proxy.core.jobs.retry_budget import RetryBudget
from proxy.core.outbox import Outbox
from proxy.core.rng import Rng
from proxy.core.route.router import Router
from proxy.core.tally import Tally
from proxy.core.tenancy.quotas import Quotas
from proxy.model.backend import BackendSpec
from proxy.model.scheduling import CoreSettings


class State:
    """One per scheduler."""

    __slots__ = (
        "attempts",
        "budget",
        "dials",
        "fleet",
        "hedge_timers",
        "holds",
        "learning",
        "outbox",
        "quotas",
        "rng",
        "router",
        "tally",
    )

    def __init__(self, backends: Sequence[BackendSpec], settings: CoreSettings, rng: Rng) -> None:
        scheduling = settings.scheduling
        self.rng = rng
        self.dials = Dials(settings)
        self.tally = Tally()
        self.fleet = Fleet(backends, settings.health, learns_concurrency=scheduling.admission.concurrency == "learned")
        self.learning = Learning(self.dials, scheduling.fairness, self.tally)
        self.quotas = Quotas(scheduling.tenants)
        self.budget = RetryBudget(settings.retries)
        self.hedge_timers = HedgeTimers(self.dials)
        self.attempts = Attempts(self.fleet, self.learning, self.hedge_timers, self.tally)
        self.router = Router(self.fleet, scheduling, rng)
        self.holds = Holds(settings.hold, scheduling.backfill)
        self.outbox = Outbox()

    def reconfigure(self, backends: Sequence[BackendSpec], settings: CoreSettings, now: float) -> list[Backend]:
        """Everybody hears of another configuration; returns the backends that leave. Raises ValueError or KeyError
        before anything has changed."""
        check_names(backends)
        scheduling = settings.scheduling
        self.router.configure(scheduling)
        self.dials.turn(settings)
        self.budget.configure(settings.retries)
        self.quotas.configure(scheduling.tenants, now)
        self.learning.tenants.configure(scheduling.fairness, now)
        self.holds.configure(settings.hold, scheduling.backfill)
        learning = {backend: backend.concurrency for backend in self.fleet.by_name.values()}
        learns = scheduling.admission.concurrency == "learned"
        gone = self.fleet.change(backends, settings.health, now, learns_concurrency=learns)
        anew = [backend for backend, before in learning.items() if backend.concurrency is not before]
        self.attempts.tell_again(anew, now)
        return gone
