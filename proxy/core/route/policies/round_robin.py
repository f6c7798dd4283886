"""Everybody in turn, whatever the load: the baseline."""

from collections.abc import Sequence
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.rng import Rng

_MAX_MODELS: Final = 1024
"""Names remembered; clients can make names up where a backend takes any."""


class RoundRobin:
    """One turn per model: with one for all, two models asked for alternately would each stick to one backend."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def __call__(self, candidates: Sequence[Backend], demand: Demand, _rng: Rng) -> Backend:
        """The next in the order of the configuration."""
        last = self._last.get(demand.job.model, -1)
        chosen = next((b for b in candidates if b.index > last), candidates[0])
        if len(self._last) >= _MAX_MODELS:
            self._last.clear()
        self._last[demand.job.model] = chosen.index
        return chosen
