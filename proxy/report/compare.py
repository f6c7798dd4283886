"""Two ways to schedule the same arrivals, request by request: how much better is one, and is that more than noise?

Owns the statistics. Two intervals are given because they answer two questions. *Over seeds* (Student's t on the paired
differences): would another seed have said the same? *Over requests* (a block bootstrap on the paired outcomes of
all seeds): does the difference hang on a few bad moments of this trace? Requests near each other share their fate, so
whole blocks of neighbours are drawn, never single requests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, stdev

BLOCKS = 50
"""Blocks of neighbours that the arrivals are cut into."""
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the range that holds the true one in 95 of 100 cases; None: too few values to say."""

    mean: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """More than noise."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Difference:
    """One contender less another, on the same arrivals."""

    contender: str
    baseline: str
    per_seed: tuple[float, ...]
    over_seeds: Interval
    over_requests: Interval


def difference(
    contender: str, baseline: str, ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], seed: int = 0
) -> Difference:
    """`ours` and `theirs`: per seed, what each arrival was worth (1 or 0 for requests), in the same order.

    The two must have the same shape. A difference is one of sums over arrivals divided by their number.
    """
    pairs = [[a - b for a, b in zip(one, other, strict=True)] for one, other in zip(ours, theirs, strict=True)]
    per_seed = tuple(fmean(values) if values else 0.0 for values in pairs)
    return Difference(contender, baseline, per_seed, t_interval(per_seed), bootstrap_interval(pairs, seed))


def t_interval(values: Sequence[float]) -> Interval:
    """Of the mean of independent values, by Student's t; without bounds where scipy is not installed."""
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None)
    try:
        from scipy.special import stdtrit  # an extra: 100 MB for one number that few ask for
    except ModuleNotFoundError:
        return Interval(mean, None, None)
    half = float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(pairs: Sequence[Sequence[float]], seed: int) -> Interval:
    """Of the mean over all seeds, with blocks of arrivals drawn anew; all seeds draw the same blocks."""
    count = min(len(one) for one in pairs)
    mean = fmean(fmean(one) if one else 0.0 for one in pairs)
    if count < 2 * BLOCKS:
        return Interval(mean, None, None)
    blocks = [_block_sum(pairs, index, count) for index in range(BLOCKS)]
    rng = Random(seed)  # noqa: S311 — reproducible, not secret
    draws = sorted(_drawn_mean(blocks, rng) for _ in range(DRAWS))
    return Interval(mean, draws[int(0.025 * DRAWS)], draws[int(0.975 * DRAWS) - 1])


def _block_sum(pairs: Sequence[Sequence[float]], index: int, count: int) -> tuple[float, int]:
    start, end = index * count // BLOCKS, (index + 1) * count // BLOCKS
    return sum(sum(one[start:end]) for one in pairs), (end - start) * len(pairs)


def _drawn_mean(blocks: Sequence[tuple[float, int]], rng: Random) -> float:
    drawn = rng.choices(blocks, k=len(blocks))
    return sum(total for total, _ in drawn) / sum(size for _, size in drawn)
