"""Which of the feasible backends gets a job: one function per policy, one signature, one registry.

A policy sees only backends that serve the model, may get traffic and have a permit left; at least two of them.
"""

from collections.abc import Callable, Sequence
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.rng import Rng
from proxy.core.route.policies.baselines import (
    kv_cost,
    least_pending_prefill,
    prefix_cache_aware,
    uniform,
    weighted_scores,
)
from proxy.core.route.policies.goodput import goodput
from proxy.core.route.policies.least_outstanding import least_outstanding
from proxy.core.route.policies.power_of_two import power_of_two
from proxy.core.route.policies.round_robin import RoundRobin

Policy = Callable[[Sequence[Backend], Demand, Rng], Backend]


class PolicyKind:
    """A policy in the registry, and what it needs of its surroundings."""

    __slots__ = ("admits", "foresees", "make")

    def __init__(self, make: Callable[[], Policy], *, foresees: bool = False, admits: bool = False) -> None:
        self.make = make
        """A fresh one: it may keep state of its own."""
        self.foresees = foresees
        """It looks at predictions."""
        self.admits = admits
        """Admission and exploring belong to it unless the configuration says otherwise."""


POLICIES: Final[dict[str, PolicyKind]] = {
    "goodput": PolicyKind(lambda: goodput, foresees=True, admits=True),
    "round_robin": PolicyKind(RoundRobin),
    "random": PolicyKind(lambda: uniform),
    "power_of_two": PolicyKind(lambda: power_of_two),
    "least_outstanding": PolicyKind(lambda: least_outstanding),
    "prefix_cache_aware": PolicyKind(lambda: prefix_cache_aware, foresees=True),
    "weighted_scores": PolicyKind(lambda: weighted_scores, foresees=True),
    "kv_cost": PolicyKind(lambda: kv_cost, foresees=True),
    "least_pending_prefill": PolicyKind(lambda: least_pending_prefill, foresees=True),
}
"""By the name in the configuration."""
