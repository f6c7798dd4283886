"""How many retries the proxy as a whole may still make: a share of recent requests, plus a floor for low traffic.

Owns the two counts. How often one request may be tried, and where, is the scheduler's business.
"""

from typing import Final

from proxy.core.learn.sliding_window import SlidingCount
from proxy.model.limits import RetrySettings

SPAN_S: Final = 10.0
"""Requests and retries older than this no longer count."""


class RetryBudget:
    """Retries of the last 10 s stay within a share of the requests of the last 10 s, plus a floor for each second."""

    __slots__ = ("_floor", "_ratio", "_requests", "_retries")

    def __init__(self, settings: RetrySettings) -> None:
        self._ratio = self._floor = 0.0
        self.configure(settings)
        self._requests = SlidingCount(SPAN_S)
        self._retries = SlidingCount(SPAN_S)

    def configure(self, settings: RetrySettings) -> None:
        """Another share; what was made lately counts on."""
        self._ratio = settings.budget_ratio
        self._floor = settings.budget_min_per_s * SPAN_S

    def request(self, now: float) -> None:
        """A new request came: a fraction of a retry is earned."""
        self._requests.add(now)

    def left(self, now: float) -> int:
        """Whole retries that may be made now."""
        allowed = self._ratio * self._requests.total(now) + self._floor
        # 0.29 * 100 is a hair below 29 in binary: a hair must not decide
        return max(0, int(allowed + 1e-9) - self._retries.total(now))

    def take(self, now: float) -> bool:
        """Pay for one retry; False when there is nothing left."""
        if self.left(now) < 1:
            return False
        self._retries.add(now)
        return True
