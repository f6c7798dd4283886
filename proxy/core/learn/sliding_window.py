"""How many events happened lately, in constant memory.

Owns the counting; what the count means belongs to health and to the retry budget.
"""

from math import inf
from typing import Final

SLOTS: Final = 10
_MIN_SPAN_S: Final = 1e-3
"""A span of nothing still has slots."""


class SlidingCount:
    """Events of the last `span_s` seconds, in `SLOTS` slots: an event is forgotten after between 0.9 and 1.0 spans,
    never later."""

    __slots__ = ("_counts", "_slot", "_slot_end", "_total", "_width_s")

    def __init__(self, span_s: float) -> None:
        self._width_s = max(span_s, _MIN_SPAN_S) / SLOTS
        self._counts = [0] * SLOTS
        self._slot = 0
        self._slot_end = -inf
        self._total = 0

    def add(self, now: float) -> None:
        """One more event."""
        if now >= self._slot_end:
            self._roll(now)
        self._counts[self._slot % SLOTS] += 1
        self._total += 1

    def total(self, now: float) -> int:
        """Events not yet forgotten."""
        if now >= self._slot_end:
            self._roll(now)
        return self._total

    def clear(self) -> None:
        """Forget everything."""
        self._counts = [0] * SLOTS
        self._total = 0

    def _roll(self, now: float) -> None:
        slot = int(now // self._width_s)
        for stale in range(self._slot + 1, min(slot, self._slot + SLOTS) + 1):
            self._total -= self._counts[stale % SLOTS]
            self._counts[stale % SLOTS] = 0
        self._slot = max(slot, self._slot)
        self._slot_end = (self._slot + 1) * self._width_s
