"""How much there was in the last minutes, second by second: requests, output tokens, and those in time.

Owns a ring of seconds for each class, so that whoever opens a page sees the past at once. Answers count in the second
in which they end, as they do in the counters.
"""

from math import floor
from typing import Final, NamedTuple

SECONDS: Final = 300
"""Of the past that is kept."""
WINDOW_S: Final = 10
"""A rate is the mean over so many whole seconds."""


class Rate(NamedTuple):
    """Per second."""

    requests: float
    tokens: float
    good_tokens: float


class Rates:
    """Of one class."""

    __slots__ = ("_good", "_requests", "_second", "_tokens")

    def __init__(self) -> None:
        self._second = [-1] * SECONDS
        """Which second a place holds."""
        self._requests = [0] * SECONDS
        self._tokens = [0] * SECONDS
        self._good = [0] * SECONDS

    def count(self, now: float, tokens: int, good_tokens: int) -> None:
        """A job ended at `now`, monotonic seconds."""
        second = floor(now)
        at = second % SECONDS
        if self._second[at] != second:
            self._second[at] = second
            self._requests[at] = self._tokens[at] = self._good[at] = 0
        self._requests[at] += 1
        self._tokens[at] += tokens
        self._good[at] += good_tokens

    def over(self, now: float) -> Rate:
        """Means of the last whole seconds."""
        last = floor(now)
        places = [self._place(second) for second in range(last - WINDOW_S, last)]
        requests = sum(self._requests[at] for at in places if at >= 0)
        tokens = sum(self._tokens[at] for at in places if at >= 0)
        good = sum(self._good[at] for at in places if at >= 0)
        return Rate(requests / WINDOW_S, tokens / WINDOW_S, good / WINDOW_S)

    def past(self, now: float, step_s: int) -> list[tuple[float, float, float]]:
        """All that is kept, the oldest first, as means per second over steps of `step_s` whole seconds."""
        last = floor(now) // step_s * step_s
        return [self._mean(start, step_s) for start in range(last - SECONDS + step_s, last, step_s)]

    def _mean(self, start: int, step_s: int) -> tuple[float, float, float]:
        places = [self._place(second) for second in range(start, start + step_s)]
        held = [at for at in places if at >= 0]
        return (
            sum([self._requests[at] for at in held]) / step_s,
            sum([self._tokens[at] for at in held]) / step_s,
            sum([self._good[at] for at in held]) / step_s,
        )

    def _place(self, second: int) -> int:
        at = second % SECONDS
        return at if self._second[at] == second else -1
