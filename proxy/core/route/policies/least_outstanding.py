"""The backend with the fewest attempts in flight, for its share; ties are broken by chance."""

from collections.abc import Sequence
from math import inf

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.rng import Rng


def least_outstanding(candidates: Sequence[Backend], _ask: Demand, rng: Rng) -> Backend:
    """A backend in slow start counts as fuller than it is, so that it is not flooded for being empty."""
    least = inf
    tied: list[Backend] = []
    for backend in candidates:
        load = backend.in_flight / backend.share
        if load < least:
            least = load
            tied = [backend]
        elif load == least:
            tied.append(backend)
    return tied[0] if len(tied) == 1 else tied[rng.randrange(len(tied))]
