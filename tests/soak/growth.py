"""How much something grows with each of many repetitions, told from noise.

The slope is Theil's and Sen's: the median over all pairs of points, so that one jump (an arena, a table that doubles)
does not pass for growth. The noise floor is its distance to the lower end of its one-sided 95 % confidence interval
(Sen 1968): what these points could not tell from none.
"""

from dataclasses import dataclass, field
from itertools import combinations
from math import sqrt
from statistics import median

_SURE = 1.645
"""Standard deviations to the end of the interval."""


@dataclass
class Growth:
    """Points (repetitions so far, bytes)."""

    points: list[tuple[int, int]] = field(default_factory=list)

    def add(self, count: int, size_b: int) -> None:
        """A measurement after `count` repetitions."""
        self.points.append((count, size_b))

    @property
    def slope(self) -> float:
        """Bytes per repetition."""
        return median(self._slopes())

    @property
    def floor(self) -> float:
        """Bytes per repetition that are noise."""
        slopes, n = self._slopes(), len(self.points)
        away = _SURE * sqrt(n * (n - 1) * (2 * n + 5) / 18)
        return self.slope - slopes[max(0, int((len(slopes) - away) / 2))]

    def assert_at_most(self, most: float) -> None:
        """AssertionError when it grows by more bytes per repetition, and not by noise."""
        assert self.slope <= most + self.floor, str(self)

    def _slopes(self) -> list[float]:
        return sorted((b - a) / (n - m) for (m, a), (n, b) in combinations(self.points, 2))

    def __str__(self) -> str:
        seen = ", ".join(f"{count}: {size}" for count, size in self.points)
        return f"{self.slope:+.3f} each (noise floor {self.floor:.3f}); after {seen}"
