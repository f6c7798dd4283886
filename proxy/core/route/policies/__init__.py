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

POLICIES: dict[str, Callable[[], Policy]] = {
    "goodput": lambda: goodput,
    "round_robin": RoundRobin,
    "random": lambda: uniform,
    "power_of_two": lambda: power_of_two,
    "least_outstanding": lambda: least_outstanding,
    "prefix_cache_aware": lambda: prefix_cache_aware,
    "weighted_scores": lambda: weighted_scores,
    "kv_cost": lambda: kv_cost,
    "least_pending_prefill": lambda: least_pending_prefill,
}
"""Name in the configuration → a fresh policy (it may keep state of its own)."""

FORESEEING: Final = frozenset({"goodput", "prefix_cache_aware", "weighted_scores", "kv_cost", "least_pending_prefill"})
"""Those that look at predictions."""
