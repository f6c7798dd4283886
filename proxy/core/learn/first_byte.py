"""How long an attempt may go without its first byte before it is late: learned from all that began to answer.

Owns quantiles of actual ÷ predicted by size of the prompt, streams and whole answers apart, of one pool: what is usual
for a backend must not become usual because that backend got slow. Limits made of them are soft: an attempt that
outlives one is suspected, never ended; the configured limits end it.
"""

from math import exp
from typing import Final

QUANTILES: tuple[float, ...] = (0.5, 0.9, 0.95, 0.99)
_SIZES: Final = 5
"""Below 1k, 4k, 16k and 64k prompt tokens, and above."""
_ALL: Final = _SIZES
"""Bucket of all sizes together, for those that were seen too rarely."""
_ENOUGH: Final = 5.0
"""Samples expected beyond a quantile before it is trusted."""
_HAIR: Final = 1e-9
"""50 * (1 - 0.9) is a hair below 5 in binary; a hair must not decide."""
_RATE: Final = 0.05
_START: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0)
_MOST: Final = 100.0
_UP: Final = tuple(exp(_RATE * quantile) for quantile in QUANTILES)
_DOWN: Final = tuple(exp(_RATE * (quantile - 1.0)) for quantile in QUANTILES)


class RatioQuantiles:
    """Quantiles of actual ÷ predicted; each moves up when the truth lies above it, and down otherwise, in proportion
    q : 1 - q."""

    __slots__ = ("factors", "samples")

    def __init__(self) -> None:
        self.factors = list(_START)
        self.samples = 0

    def learn(self, ratio: float) -> None:
        """One more began to answer."""
        self.samples += 1
        factors = self.factors
        for i in range(len(QUANTILES)):
            if ratio > factors[i]:
                factors[i] = min(_MOST, factors[i] * _UP[i])
            else:
                factors[i] = max(1.0 / _MOST, factors[i] * _DOWN[i])

    def exceeded(self, ratio: float) -> None:
        """One was given up when it had come so far: only that it took longer is known."""
        for i in range(len(QUANTILES)):
            if ratio >= self.factors[i]:
                self.factors[i] = min(_MOST, self.factors[i] * _UP[i])

    def factor(self, i: int) -> float | None:
        """Of `QUANTILES[i]`; None as long as too few were seen to know it."""
        return self.factors[i] if self.samples * (1.0 - QUANTILES[i]) >= _ENOUGH - _HAIR else None


class FirstByteTimes:
    """One per pool."""

    __slots__ = ("_streams", "_whole")

    def __init__(self) -> None:
        self._streams = [RatioQuantiles() for _ in range(_SIZES + 1)]
        self._whole = [RatioQuantiles() for _ in range(_SIZES + 1)]
        """Answers that come in one piece: their first byte is their last token's."""

    def learn(self, prompt: float, streams: bool, predicted_s: float, actual_s: float) -> None:
        """An attempt began to answer after so many seconds."""
        spreads, ratio = self._streams if streams else self._whole, actual_s / predicted_s
        spreads[_size(prompt)].learn(ratio)
        spreads[_ALL].learn(ratio)

    def exceeded(self, prompt: float, streams: bool, predicted_s: float, spent_s: float) -> None:
        """An attempt was given up after so many seconds without a byte."""
        spreads, ratio = self._streams if streams else self._whole, spent_s / predicted_s
        spreads[_size(prompt)].exceeded(ratio)
        spreads[_ALL].exceeded(ratio)

    def limit_s(self, prompt: float, streams: bool, predicted_s: float, quantile: float) -> float | None:
        """Seconds after which it is late at `quantile`, one of `QUANTILES`; None: not known yet."""
        spreads, i = self._streams if streams else self._whole, QUANTILES.index(quantile)
        factor = spreads[_size(prompt)].factor(i)
        if factor is None:
            factor = spreads[_ALL].factor(i)
        return None if factor is None else factor * predicted_s

    def usual(self, prompt: float, streams: bool) -> float | None:
        """The median of actual ÷ predicted; None: not known yet."""
        return (self._streams if streams else self._whole)[_size(prompt)].factor(0)


def _size(prompt: float) -> int:
    return min(_SIZES - 1, ((int(prompt) >> 10).bit_length() + 1) // 2)
