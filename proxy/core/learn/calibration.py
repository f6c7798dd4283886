"""How far predictions are off: quantiles of actual ÷ predicted, their coverage, and the mean error.

Owns the numbers that are exported and that set time limits. Admission margins are fixed and never read them: tying
them together makes refusals confirm themselves.
"""

from collections.abc import Sequence
from math import exp
from typing import Final

QUANTILES: tuple[float, ...] = (0.5, 0.9, 0.95)
_RATE: Final = 0.02
_FAST: Final = 20
"""Samples over which the steps shrink to `_RATE`, so that a wrong start is left soon."""
_MEMORY: Final = 0.01
"""Weight of the newest sample in coverage and mean error."""
_MAX_FACTOR: Final = 100.0


class Calibration:
    """A quantile q moves up when the truth lies above it and down otherwise, in proportion 1 - q : q."""

    __slots__ = ("coverage", "error", "factors", "samples")

    def __init__(self) -> None:
        self.factors = [1.0 for _ in QUANTILES]
        """The truth is below factor · prediction with the probability of `QUANTILES`."""
        self.coverage = 0.9
        """Share of truths that were below the .9 quantile."""
        self.error = 0.0
        """Mean absolute error relative to the truth."""
        self.samples = 0

    def learn(self, predicted: float, actual: float) -> None:
        """One more prediction came true, or did not."""
        self.samples += 1
        memory = max(_MEMORY, 1.0 / self.samples)
        below = actual <= self.factors[1] * predicted
        if self.samples > _FAST:  # the first say how far the start was off, not how well the quantile is known
            self.coverage += max(_MEMORY, 1.0 / (self.samples - _FAST + 10)) * (below - self.coverage)
        self.error += memory * (min(_MAX_FACTOR, abs(predicted - actual) / max(actual, 1e-3)) - self.error)
        rate = max(_RATE, 1.0 / (1.0 + self.samples / 4)) if self.samples < _FAST * 10 else _RATE
        for i, quantile in enumerate(QUANTILES):
            step = quantile if actual > self.factors[i] * predicted else quantile - 1.0
            factor = self.factors[i] * exp(rate * step)
            self.factors[i] = min(_MAX_FACTOR, max(1.0 / _MAX_FACTOR, factor))

    def numbers(self) -> list[float]:
        """All of it: factors, coverage, error, samples."""
        return [*self.factors, self.coverage, self.error, float(self.samples)]

    def restore(self, numbers: Sequence[float], samples: int) -> None:
        """`numbers` of an earlier life; samples count up to so many."""
        self.factors = [min(_MAX_FACTOR, max(1.0 / _MAX_FACTOR, factor)) for factor in numbers[:3]]
        self.coverage, self.error = min(1.0, numbers[3]), min(_MAX_FACTOR, numbers[4])
        self.samples = min(samples, int(numbers[5]))
