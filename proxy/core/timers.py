"""Points in time at which something must be looked at, one per key.

Owns their order. Reads no clock and calls nobody: whoever holds the timers asks what is due.
"""

from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

_SLACK: Final = 64
"""Withdrawn entries tolerated in the heap beyond the live ones, so that it stays within a small factor of them."""


class Timers:
    """At most one time per key; setting, clearing and asking cost O(log n) at most."""

    __slots__ = ("_at", "_heap", "soonest")

    def __init__(self) -> None:
        self._at: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        self.soonest = inf
        """Nothing is due before this (it may be early after a `clear`): the one comparison of the hot path."""

    def set(self, key: int, at: float) -> None:
        """Be due for `key` at `at`, and at no other time."""
        self._at[key] = at
        heappush(self._heap, (at, key))
        self.soonest = min(self.soonest, at)
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._compact()

    def clear(self, key: int) -> None:
        """`key` is not due any more; no matter whether it was."""
        self._at.pop(key, None)

    def at(self, key: int) -> float:
        """When `key` is due; `inf`: never."""
        return self._at.get(key, inf)

    def due(self, now: float) -> list[int]:
        """The keys due by `now`, soonest first; they are cleared."""
        keys: list[int] = []
        while (at := self.next_at()) is not None and at <= now:
            key = heappop(self._heap)[1]
            del self._at[key]
            keys.append(key)
        return keys

    def next_at(self) -> float | None:
        """The soonest time set; None when there is none."""
        heap, live = self._heap, self._at
        while heap and live.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        self.soonest = heap[0][0] if heap else inf
        return heap[0][0] if heap else None

    def _compact(self) -> None:
        self._heap = [(at, key) for key, at in self._at.items()]
        heapify(self._heap)
