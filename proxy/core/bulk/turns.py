"""Whose lines go next: tenants by what they have had, and batches of one tenant by the same.

Start-time fair queueing with two levels: whoever has had least work (bytes of lines) goes first, a newcomer begins
where the one is that has had least of those who are there. A turn is several lines, so that those that begin alike go
together.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

QUANTUM: Final = 16
"""Lines of one turn…"""
QUANTUM_B: Final = 256 * 1024
"""…or bytes, at least one line."""
_Key = TypeVar("_Key")


class Turns:
    """One per proxy. Batches are known by their numbers."""

    def __init__(self) -> None:
        self._tenants: dict[bytes, float] = {}
        self._batches: dict[int, float] = {}

    def next(self, waiting: Iterable[tuple[int, bytes]]) -> int | None:
        """The batch whose turn it is, of (number, whose) that have lines to run; None: there are none."""
        by_tenant: dict[bytes, list[int]] = {}
        for number, whose in waiting:
            by_tenant.setdefault(whose, []).append(number)
        if not by_tenant:
            self._tenants, self._batches = {}, {}
            return None
        self._tenants = _known(self._tenants, by_tenant)
        self._batches = _known(self._batches, [one for numbers in by_tenant.values() for one in numbers])
        tenant = min(by_tenant, key=lambda whose: (self._tenants[whose], by_tenant[whose][0]))
        return min(by_tenant[tenant], key=lambda number: (self._batches[number], number))

    def went(self, number: int, whose: bytes, size_b: int, weight: float = 1.0) -> None:
        """So much of that batch was sent."""
        if number in self._batches:
            self._batches[number] += size_b
        if whose in self._tenants:
            self._tenants[whose] += size_b / weight


def _known(had: dict[_Key, float], there: Iterable[_Key]) -> dict[_Key, float]:
    """What those who are there have had; who is new has had as much as the one that has had least."""
    wanted = list(there)
    least = min((had[one] for one in wanted if one in had), default=0.0)
    return {one: had.get(one, least) for one in wanted}
