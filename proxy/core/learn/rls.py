"""Recursive least squares with forgetting: a linear model of a few features, learned one sample at a time.

Owns the recursion. What the features mean, and that a prediction stays within reason, is the caller's business: the
coefficients are never clipped in here, since that would bias all that follow.
"""

from collections.abc import Sequence
from typing import Final

FORGETTING: Final = 0.998
"""Weight of a sample relative to the next: a memory of about 500."""
_MAX_VARIANCE: Final = 1e3
"""Features that do not vary must not make the gain grow without bound: above it nothing is forgotten."""


class Rls:
    """y ≈ Σ coefficients[i] · x[i] for four features. Written out, since it runs for every answer."""

    __slots__ = ("_variance", "coefficients", "samples")

    def __init__(self, coefficients: Sequence[float], variance: Sequence[float]) -> None:
        self.coefficients = list(coefficients)
        a, b, c, d = variance
        # the upper triangle of a symmetric matrix, row by row
        self._variance = (a, 0.0, 0.0, 0.0, b, 0.0, 0.0, c, 0.0, d)
        self.samples = 0

    def predict(self, x: Sequence[float]) -> float:
        """What the coefficients say, unbounded."""
        p, q, r, s = self.coefficients
        return p * x[0] + q * x[1] + r * x[2] + s * x[3]

    def learn(self, x: Sequence[float], y: float, weight: float = 1.0) -> None:
        """One more sample; `weight` is the inverse of its variance."""
        aa, ab, ac, ad, bb, bc, bd, cc, cd, dd = self._variance
        a, b, c, d = x
        p, q = aa * a + ab * b + ac * c + ad * d, ab * a + bb * b + bc * c + bd * d
        r, s = ac * a + bc * b + cc * c + cd * d, ad * a + bd * b + cd * c + dd * d
        scale = 1.0 / (1.0 / weight + a * p + b * q + c * r + d * s)
        off = (y - self.predict(x)) * scale
        t, u, v, w = self.coefficients
        self.coefficients = [t + p * off, u + q * off, v + r * off, w + s * off]
        forgets = aa < _MAX_VARIANCE and bb < _MAX_VARIANCE and cc < _MAX_VARIANCE and dd < _MAX_VARIANCE
        old = 1.0 / FORGETTING if forgets else 1.0
        ps, qs, rs = p * scale, q * scale, r * scale
        self._variance = (
            (aa - ps * p) * old,
            (ab - ps * q) * old,
            (ac - ps * r) * old,
            (ad - ps * s) * old,
            (bb - qs * q) * old,
            (bc - qs * r) * old,
            (bd - qs * s) * old,
            (cc - rs * r) * old,
            (cd - rs * s) * old,
            (dd - s * scale * s) * old,
        )
        self.samples += 1

    def loosen(self, variance: float) -> None:
        """The second coefficient is not known better than this."""
        a, ab, ac, ad, b, bc, bd, c, cd, d = self._variance
        self._variance = (a, ab, ac, ad, max(b, variance), bc, bd, c, cd, d)

    def numbers(self) -> list[float]:
        """All of it but what features have in common: coefficients, their variances, samples."""
        a, _, _, _, b, _, _, c, _, d = self._variance
        return [*self.coefficients, a, b, c, d, float(self.samples)]

    def restore(self, numbers: Sequence[float], doubt: float, samples: int) -> None:
        """`numbers` of an earlier life, believed less: variances are `doubt` times theirs, and never above those of the
        start; samples count up to so many."""
        a, _, _, _, b, _, _, c, _, d = self._variance
        p, q, r, s = numbers[4:8]
        self.coefficients = list(numbers[:4])
        self._variance = (
            min(a, doubt * p), 0.0, 0.0, 0.0, min(b, doubt * q), 0.0, 0.0, min(c, doubt * r), 0.0, min(d, doubt * s),
        )  # fmt: skip
        self.samples = min(samples, int(numbers[8]))
