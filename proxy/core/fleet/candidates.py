"""The backends that can serve the same names, and which of them may be used now.

Owns the panic rule: ejection is ignored when too few of those that are there are healthy, so that it never leaves a
model without a backend. Panic opens those that failed, never those that cannot be reached or asked to be left alone.
Where backends have an order, enough healthy ones of any one order are enough: who comes later is there for that.
"""

from collections.abc import Sequence
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.headroom import Headroom
from proxy.core.fleet.health import HealthState
from proxy.core.fleet.pressure import NO_BOUND
from proxy.core.learn.drain import Drain
from proxy.model.faults import Fault, Kind

MIN_RETRY_AFTER_S: Final = 1.0
MAX_RETRY_AFTER_S: Final = 60.0


class Candidates:
    """Models served by the same backends share one."""

    __slots__ = ("backends", "drain", "first", "headroom", "healthy", "open", "ordered", "panic", "unlike")

    def __init__(self, backends: Sequence[Backend]) -> None:
        self.backends = tuple(backends)
        self.open = self.backends
        """Those that may get traffic, in the order of the configuration; none when nobody is there."""
        parts = by_order(self.open)
        self.ordered = len(parts) > 1
        """Not all of those have the same `order`."""
        self.first = tuple(parts[0]) if self.ordered else self.open
        """Those of the lowest."""
        self.healthy = len(self.backends)
        self.panic = False
        self.unlike = False
        """Not everybody can do the same, as far as known."""
        self.headroom = Headroom()
        self.drain = Drain()

    def reopen(self, panic_threshold: float) -> None:
        """Look at everybody's health again."""
        there = [b for b in self.backends if not b.is_shut]
        self.healthy = sum(b.health.state is HealthState.HEALTHY for b in there)
        self.panic = not self.healthy or all(_too_few(some, panic_threshold) for some in by_order(there))
        self.open = tuple(there if self.panic else (b for b in there if b.health.takes_traffic))
        parts = by_order(self.open)
        self.ordered = len(parts) > 1
        self.first = tuple(parts[0]) if self.ordered else self.open

    def includes(self, backend: Backend) -> bool:
        """Whether a member may get traffic now."""
        return not backend.is_shut and (self.panic or backend.health.takes_traffic)

    @property
    def learns(self) -> bool:
        """Whether it is found out of any of them how many it takes at once."""
        return any(b.concurrency.learns for b in self.open)

    def pause_s(self, now: float) -> float:
        """Seconds for which nobody may be sent anything: all asked for it, or used up their quota; 0: somebody may."""
        return min(b.paused_until - now if b.is_paused and not b.health.away else 0.0 for b in self.backends)

    def compare(self) -> None:
        """Look at what everybody can do again."""
        first = self.backends[0].abilities
        self.unlike = not all(first.alike(b.abilities) for b in self.backends[1:])

    @property
    def are_away(self) -> bool:
        """Whether none of them is there, or awake."""
        return all(backend.health.away or backend.asleep for backend in self.backends)

    def hopeless(self) -> Fault | None:
        """Why waiting for these is of no use: none will be there before its operator has mended something."""
        faults = [b.lost_for for b in self.backends if b.health.away]
        waits = len(faults) < len(self.backends) or any(f is None or f.kind is not Kind.TLS for f in faults)
        return None if waits else faults[-1]

    def wait_s(self, ahead: int) -> float:
        """Seconds until so many jobs have gone before, by what the permits served lately: advice for Retry-After."""
        rate = sum(_places(b) / b.service_s for b in self.open if b.service_s)
        return min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, ahead / rate)) if rate else MIN_RETRY_AFTER_S


def by_order(some: Sequence[Backend]) -> list[list[Backend]]:
    """Apart by `order`, the lowest first."""
    parts: dict[int, list[Backend]] = {}
    for backend in some:
        parts.setdefault(backend.spec.order, []).append(backend)
    return [parts[order] for order in sorted(parts)]


def _too_few(some: Sequence[Backend], panic_threshold: float) -> bool:
    """Whether too few of these are healthy."""
    return sum(b.health.state is HealthState.HEALTHY for b in some) < panic_threshold * len(some)


def _places(backend: Backend) -> int:
    """Requests it serves at once: as many as it may be sent, or has, where nothing is known of that."""
    return backend.limit if backend.limit < NO_BOUND else max(1, backend.in_flight)
