"""When a batch will be done, by its own pace, and how good such forecasts were.

The pace is lines a second, averaged with a memory of a minute or as long as the batch runs. A forecast is kept now and
then, and compared with what was left when the batch was done.
"""

from math import exp
from typing import Final

MEMORY_S: Final = 60.0
_LEAST_S: Final = 1.0
"""Of a pace that means anything."""
_KEPT: Final = 32


class Outlook:
    """Of one batch; `now` is monotonic seconds."""

    __slots__ = ("_began", "_forecasts", "_lines", "_seen_at")

    def __init__(self, now: float) -> None:
        self._began = now
        self._seen_at = now
        self._lines = 0.0
        """Lines that had their result, each worth less as time passes."""
        self._forecasts: list[tuple[float, float]] = []
        """(when it was made, when it said)."""

    def ended(self, count: int, now: float) -> None:
        """So many lines have their result."""
        self._fade(now)
        self._lines += count

    def eta_s(self, left: int, now: float) -> float | None:
        """Seconds until the last of `left` lines has its result; None: nobody knows yet."""
        if not left:
            return 0.0
        self._fade(now)
        ran_s = now - self._began
        if ran_s < _LEAST_S or self._lines <= 0.01:
            return None
        span_s = MEMORY_S * (1.0 - exp(-ran_s / MEMORY_S))
        return left * span_s / self._lines

    def note(self, left: int, now: float) -> None:
        """A forecast to be judged by later on."""
        eta_s = self.eta_s(left, now)
        if eta_s:
            self._forecasts = [*self._forecasts, (now, now + eta_s)][-_KEPT:]

    def error(self, now: float) -> float | None:
        """Mean error of the forecasts, as a share of the time that was left, if the batch is done now; None: there were
        none."""
        shares = [abs(said - now) / (now - made) for made, said in self._forecasts if now - made >= _LEAST_S]
        return sum(shares) / len(shares) if shares else None

    def _fade(self, now: float) -> None:
        self._lines *= exp((self._seen_at - now) / MEMORY_S)
        self._seen_at = now
