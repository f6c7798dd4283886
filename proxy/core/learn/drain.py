"""How fast the work of bulk that waits gets away, while any waits.

Owns the measure: seconds of an engine that what was sent is predicted to take, by the second of waiting, of the last
ten or so. Read by `jobs/triage`, which looks often enough for a pause to mean that nobody waited.
"""

from math import exp, inf
from typing import Final

_MEMORY_S: Final = 10.0
_LEAST_S: Final = 1.0
"""Seconds of waiting before it tells anything."""
_GAP_S: Final = 0.5
"""Whoever looks again after longer than this looked away because nobody waited."""


class Drain:
    """Of the backends that can serve the same names."""

    __slots__ = ("_at", "_time_s", "_work_s")

    def __init__(self) -> None:
        self._at = -inf
        self._time_s = 0.0
        """Seconds in which somebody waited, fading…"""
        self._work_s = 0.0
        """…and of work that got away in them."""

    def looks(self, now: float) -> None:
        """Somebody waits."""
        waited_s = now - self._at
        if waited_s < _GAP_S:
            kept = exp(-waited_s / _MEMORY_S)
            self._work_s *= kept
            self._time_s = kept * self._time_s + (1.0 - kept) * _MEMORY_S
        self._at = now

    def went(self, work_s: float) -> None:
        """One of those that wait was sent."""
        self._work_s += work_s

    @property
    def rate(self) -> float:
        """Seconds of work by the second; infinite where nobody knows yet."""
        return self._work_s / self._time_s if self._time_s > _LEAST_S else inf
