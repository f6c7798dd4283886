"""How much each tenant was served lately, and who had more than its share.

Owns decayed service and the tilt that follows from it. A tenant alone has all of its share and is never tilted.
"""

from collections import OrderedDict
from math import exp, log
from typing import Final

from proxy.model.scheduling import FairnessSettings

MAX_TENANTS: Final = 4096
"""Tenants remembered; the longest unseen is forgotten."""
_GONE: Final = 1e-3
"""Decayed service below which a tenant counts as away."""
_RESCALE: Final = 1e100


class Tenants:
    """Service decays with a half-life: kept as service · growth, so that nothing has to be touched as time passes."""

    def __init__(self, settings: FairnessSettings) -> None:
        self._per_s = log(2) / settings.half_life if settings.half_life else 0.0
        self._weights = settings.weights
        self._grown: OrderedDict[str, float] = OrderedDict()
        """Service per weight, grown; only of tenants that are here."""
        self._total = 0.0
        """Σ weight · that."""
        self._weight = 0.0
        """Σ weight of those."""
        self._since = 0.0

    def over_share(self, tenant: str, now: float) -> float:
        """0: its fair share or less; 1: twice its fair share."""
        if not self._per_s or len(self._grown) < 2:
            return 0.0
        self._forget_the_gone(now)
        grown = self._grown.get(tenant)
        if grown is None or not self._total or len(self._grown) < 2:
            return 0.0
        return max(0.0, grown * self._weight / self._total - 1.0)

    def serve(self, tenant: str, service_s: float, now: float) -> None:
        """It got so much."""
        if not self._per_s:
            return
        weight = self._weights.get(tenant, 1.0)
        grown = self._grown.get(tenant)
        if grown is None:
            self._make_room()
            grown = 0.0
            self._weight += weight
        more = service_s * self._growth(now) / weight
        self._grown[tenant] = grown + more
        self._grown.move_to_end(tenant)
        self._total += weight * more

    def services(self, now: float) -> dict[str, float]:
        """Decayed seconds of service by tenant."""
        growth = self._growth(now)
        return {name: grown * self._weights.get(name, 1.0) / growth for name, grown in self._grown.items()}

    def _growth(self, now: float) -> float:
        growth = exp((now - self._since) * self._per_s) if (now - self._since) * self._per_s < 230 else _RESCALE
        if growth >= _RESCALE:
            self._rescale(now)
            return 1.0
        return growth

    def _rescale(self, now: float) -> None:
        faded = exp(-min(700.0, (now - self._since) * self._per_s))
        for name in self._grown:
            self._grown[name] *= faded
        self._total *= faded
        self._since = now

    def _forget_the_gone(self, now: float) -> None:
        """Those unseen for long are at the front."""
        least = _GONE * self._growth(now)
        while self._grown:
            name, grown = next(iter(self._grown.items()))
            if grown >= least:
                return
            self._drop(name)

    def _make_room(self) -> None:
        if len(self._grown) >= MAX_TENANTS:
            self._drop(next(iter(self._grown)))

    def _drop(self, name: str) -> None:
        grown = self._grown.pop(name)
        weight = self._weights.get(name, 1.0)
        self._weight -= weight
        self._total -= weight * grown
        if not self._grown:
            self._weight = self._total = 0.0
