"""Which of the feasible backends gets a job: one small file per policy, one signature, one registry.

A policy sees only backends that serve the model, may get traffic and have a permit left; at least two of them.
"""

from collections.abc import Callable, Sequence

from proxy.core.backend import Backend
from proxy.core.policies.least_outstanding import least_outstanding
from proxy.core.policies.power_of_two import power_of_two
from proxy.core.policies.round_robin import RoundRobin
from proxy.core.rng import Rng
from proxy.model.request import Job

Policy = Callable[[Sequence[Backend], Job, Rng], Backend]

POLICIES: dict[str, Callable[[], Policy]] = {
    "round_robin": RoundRobin,
    "least_outstanding": lambda: least_outstanding,
    "power_of_two": lambda: power_of_two,
}
"""Name in the configuration → a fresh policy (it may keep state of its own)."""
