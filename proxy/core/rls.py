"""Recursive least squares with forgetting: a linear model of a few features, learned one sample at a time.

Owns the recursion. What the features mean, and that a prediction stays within reason, is the caller's business: the
coefficients are never clipped in here, since that would bias all that follow.
"""

from collections.abc import Sequence

FORGETTING = 0.998
"""Weight of a sample relative to the next: a memory of about 500."""
_MAX_VARIANCE = 1e3
"""Features that do not vary must not make the gain grow without bound: above it nothing is forgotten."""


class Rls:
    """y ≈ Σ coefficients[i] · x[i]. A few microseconds per sample for four features."""

    __slots__ = ("_variance", "coefficients", "samples")

    def __init__(self, coefficients: Sequence[float], variance: Sequence[float]) -> None:
        self.coefficients = list(coefficients)
        self._variance = [[v if i == j else 0.0 for j in range(len(variance))] for i, v in enumerate(variance)]
        self.samples = 0

    def predict(self, x: Sequence[float]) -> float:
        """What the coefficients say, unbounded."""
        return sum([c * v for c, v in zip(self.coefficients, x, strict=True)])

    def learn(self, x: Sequence[float], y: float, weight: float = 1.0) -> None:
        """One more sample; `weight` is the inverse of its variance."""
        rows = self._variance
        spread = [sum([a * b for a, b in zip(row, x, strict=True)]) for row in rows]
        scale = 1.0 / (1.0 / weight + sum([a * b for a, b in zip(spread, x, strict=True)]))
        off = (y - self.predict(x)) * scale
        self.coefficients = [c + s * off for c, s in zip(self.coefficients, spread, strict=True)]
        old = 1.0 / FORGETTING if self._forgets() else 1.0
        for row, s in zip(rows, spread, strict=True):
            step = s * scale
            row[:] = [(r - step * t) * old for r, t in zip(row, spread, strict=True)]
        self.samples += 1

    def _forgets(self) -> bool:
        return all(row[i] < _MAX_VARIANCE for i, row in enumerate(self._variance))
