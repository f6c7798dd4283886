"""Counting into buckets for next to nothing: prometheus_client's own observe costs ten times as much.

The values of one series are much alike, so the bucket is looked for from the one before.
"""

from itertools import accumulate
from math import inf
from typing import Final

SECONDS: Final[tuple[float, ...]] = (
    *(0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
"""Upper bounds, seconds: 1 ms to 60 s, dense where SLOs of chats lie (20 ms to 2 s)."""


def with_bounds(*more: float | None) -> tuple[float, ...]:
    """The bounds and these, seconds, so that what is promised can be read off exactly; None: nothing is."""
    return tuple(sorted({*SECONDS, *(float(bound) for bound in more if bound is not None and bound > 0)}))


class Histogram:
    """Counts of one series by bucket, and the sum of what was counted in seconds."""

    __slots__ = ("_above", "_at", "_bounds", "_counts", "_first", "_last", "_up_to", "exemplars", "sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        """`bounds`: upper ones, seconds, ascending."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self._at = 0
        """The bucket last counted into: above `_above`, up to `_up_to`."""
        self._above = self._up_to = -inf
        self._first, self._last = len(bounds), -1
        """The buckets that anything was counted into are among these."""
        self.exemplars: dict[int, tuple[float, str]] | None = None
        """By bucket: a value in it, and the trace that it is of. None: nobody keeps any."""

    def exemplify(self, value_s: float, trace_id: str) -> None:
        """A value that was counted is that of this trace; each bucket keeps the last one."""
        if self.exemplars is None:
            self.exemplars = {}
        if not self._above < value_s <= self._up_to:
            self._find(value_s)
        self.exemplars[self._at] = value_s, trace_id

    def observe(self, value_s: float, times: int = 1) -> None:
        """Count one value, seconds, so many times."""
        if not self._above < value_s <= self._up_to:
            self._find(value_s)
        self._counts[self._at] += times
        self.sum += value_s * times

    def _find(self, value_s: float) -> None:
        at, bounds = self._at, self._bounds
        while at < len(bounds) and value_s > bounds[at]:
            at += 1
        while at and value_s <= bounds[at - 1]:
            at -= 1
        self._at = at
        self._holds(at, at)
        self._above = bounds[at - 1] if at else -inf
        self._up_to = bounds[at] if at < len(bounds) else inf

    def _holds(self, first: int, last: int) -> None:
        if first < self._first:
            self._first = first
        if last > self._last:
            self._last = last

    def copy(self) -> "Histogram":
        """Another one with the same counts."""
        same = Histogram(self._bounds)
        same.add(self)
        return same

    def add(self, other: "Histogram") -> None:
        """Count what `other`, of the same bounds, has counted, too."""
        first, last, mine, theirs = other._first, other._last, self._counts, other._counts
        for at in range(first, last + 1):
            mine[at] += theirs[at]
        if last >= first:
            self._holds(first, last)
            self.sum += other.sum

    def take(self, other: "Histogram") -> None:
        """Move what `other` has counted to here."""
        self.add(other)
        counts = other._counts
        for at in range(other._first, other._last + 1):
            counts[at] = 0
        other._first, other._last = other._at, other._at  # it counts there again without looking for it
        other.sum = 0.0

    def told(self) -> tuple[int, tuple[int, ...], float]:
        """The first bucket that may hold something, the counts from there on, and the sum, for `again`."""
        return self._first, tuple(self._counts[self._first : self._last + 1]), self.sum

    @classmethod
    def again(cls, told: tuple[int, tuple[int, ...], float]) -> "Histogram":
        """What `told`, with the usual bounds. ValueError where it was told with others."""
        made = cls()
        first, counts, made.sum = told
        last = first + len(counts) - 1
        if not first >= 0 or last >= len(made._counts):
            raise ValueError(f"there is no bucket {last}")
        made._counts[first : last + 1] = counts
        if counts:
            made._holds(first, last)
        return made

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper ones, seconds."""
        return self._bounds

    def seen(self) -> int:
        """How many values were counted. What only grows has not changed while this is the same."""
        return sum(self._counts)

    def cumulative(self) -> list[int]:
        """Counts up to each bound, then that of all."""
        return list(accumulate(self._counts))

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, cumulative count), ending in +Inf, as the library's families want them."""
        bounds = (*map(str, self._bounds), "+Inf")
        return list(zip(bounds, map(float, self.cumulative()), strict=True))
