"""How much each tenant was served lately, who had more than its share, and whether that was at the cost of others.

Owns decayed service and the tilt that follows from it. Nobody is tilted for what nobody else wanted: neither a tenant
alone, nor anybody while those with less than their share get what they ask for at once.
"""

from collections import OrderedDict
from math import exp, inf, log
from typing import Final

from proxy.model.scheduling import FairnessSettings

MAX_TENANTS: Final = 4096
"""Tenants remembered; the longest unseen is forgotten."""
_GONE: Final = 1e-3
"""Decayed service below which a tenant counts as away."""
_RESCALE: Final = 1e100
SHORT_S: Final = 2.0
"""Memory of somebody with less than its share having had to wait."""
MOST_OVER: Final = 1.0
"""Taking more over one's share than this changes nothing: shares of many tenants are small, and being the largest of a
hundred is no reason to be kept away from backends that have room."""


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
        self._short_until = self._backfill_until = -inf
        """Until then those over their share are tilted: with promises, and without."""

    def configure(self, settings: FairnessSettings, now: float) -> None:
        """Another half-life, or other weights: what each was served stays, and is forgotten at the new pace."""
        self._rescale(now)
        services = {name: grown * self._weights.get(name, 1.0) for name, grown in self._grown.items()}
        self._per_s = log(2) / settings.half_life if settings.half_life else 0.0
        self._weights = settings.weights
        if not self._per_s:
            services.clear()
        self._grown = OrderedDict((name, served / self._weights.get(name, 1.0)) for name, served in services.items())
        self._weight = sum(self._weights.get(name, 1.0) for name in services)
        self._total = sum(services.values())

    def waits(self, tenant: str, promised: bool, now: float) -> None:
        """A job of it cannot go at once. One without promises is no reason to refuse anybody who was given some."""
        if self.over_share(tenant, now) > 0.0:
            return
        self._backfill_until = now + SHORT_S
        if promised:
            self._short_until = now + SHORT_S

    def tilt(self, tenant: str, promised: bool, now: float) -> float:
        """By how much it is over its share, at most `MOST_OVER`, while that keeps others waiting."""
        if now >= (self._short_until if promised else self._backfill_until):
            return 0.0
        return min(MOST_OVER, self.over_share(tenant, now))

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
