"""Percentiles of a sample, each with the range that holds the true one, where there are enough values to say it at all.

Owns that decision. The range needs no assumption about how values are spread: it lies between two values of the
sample, whose ranks follow from the binomial distribution (order statistics). Needs scipy (extra `tidegate[bench]`).
"""

from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import Final, NamedTuple

LEAST: Final = 5
"""Values below which nothing is said of a sample."""
_TAIL: Final = 0.025
"""On either side: 95 of 100 ranges hold the true percentile."""


class Percentile(NamedTuple):
    """A value of the sample, by nearest rank, and its range; None where the sample does not reach as far."""

    value: float
    low: float | None
    high: float | None


def least_n(share: float) -> int:
    """Values for one of them to be expected above it: 5 for P50, 20 for P95, 100 for P99."""
    return max(LEAST, ceil(round(1 / (1 - share), 6)))


def percentile(ordered: Sequence[float], share: float) -> Percentile | None:
    """Of values in ascending order; `share`: 0.99 for P99. None: too few of them."""
    n = len(ordered)
    if n < least_n(share):
        return None
    low, high = _ranks(n, share)
    return Percentile(
        value=ordered[rank(n, share) - 1],
        low=ordered[low - 1] if low >= 1 else None,
        high=ordered[high - 1] if high <= n else None,
    )


def percentiles(values: Iterable[float | None], shares: Sequence[float]) -> list[Percentile | None]:
    """Of values in any order; None among them is left out."""
    ordered = sorted(value for value in values if value is not None)
    return [percentile(ordered, share) for share in shares]


def rank(n: int, share: float) -> int:
    """Which of n values in order, from 1."""
    return max(1, ceil(round(share * n, 9)))


def _ranks(n: int, share: float) -> tuple[int, int]:
    """The highest rank that is too high in at most `_TAIL` of all samples, the lowest that is too low in as many."""
    from scipy.special import bdtr  # the number below the true percentile is binomial

    low = _first(n, lambda rank: float(bdtr(rank, n, share)) > _TAIL)
    high = _first(n, lambda rank: float(bdtr(rank, n, share)) >= 1 - _TAIL) + 1
    return low, high


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """The first of 0 … n for which it holds, as it does for all above."""
    below, above = -1, n
    while above - below > 1:
        middle = (below + above) // 2
        if holds(middle):
            above = middle
        else:
            below = middle
    return above
