"""The less loaded of two drawn by chance: nearly as even as looking at all, and several proxies do not herd."""

from collections.abc import Sequence

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.rng import Rng


def power_of_two(candidates: Sequence[Backend], _ask: Demand, rng: Rng) -> Backend:
    """Two different ones; equal load goes to the first drawn."""
    first = rng.randrange(len(candidates))
    second = rng.randrange(len(candidates) - 1)
    one, other = candidates[first], candidates[second + (second >= first)]
    return other if other.in_flight / other.share < one.in_flight / one.share else one
