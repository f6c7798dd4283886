"""A sum that is forgotten as time goes by: what was added `memory_s` seconds ago counts 1/e of what is added now.

Owns that arithmetic. Sums that are always read together share one fade where they are kept, and are not of this kind.
"""

from math import exp


class Decaying:
    """`now` may be a little older than the last addition, which then counts in full."""

    __slots__ = ("_at", "_memory_s", "_value")

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._value = self._at = 0.0

    def at(self, now: float) -> float:
        """What is left of it."""
        return self._value * exp(min(0.0, self._at - now) / self._memory_s) if self._value else 0.0

    def add(self, amount: float, now: float) -> None:
        """More of it."""
        self._value = self.at(now) + amount
        self._at = max(self._at, now)

    def cap(self, most: float, now: float) -> None:
        """It is seen to be no more than this."""
        if self.at(now) > most:
            self._value, self._at = most, now
