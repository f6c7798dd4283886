"""The time of day for what lasts for weeks, from a clock that is set by hand, by NTP and by accident.

It goes on from the start as the monotonic clock does. Where the wall clock keeps saying otherwise by the same time, it
is right and is followed; one that jumps to and fro is not.
"""

from collections.abc import Callable
from typing import Final

LOOKS: Final = 3
"""So many times in a row the wall clock has to say the same…"""
SAME_S: Final = 2.0
"""…to within this time."""


class SteadyClock:
    """Seconds since the epoch."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset_s = wall() - monotonic()
        self._seen: list[float] = []
        """What the offset would have been, the last times."""

    def now(self) -> float:
        """As if nobody had touched the clock since it was followed last."""
        return self._monotonic() + self._offset_s

    def look(self) -> None:
        """Whether the wall clock is to be followed; to be called each minute."""
        self._seen = [*self._seen[1 - LOOKS :], self._wall() - self._monotonic()]
        if len(self._seen) == LOOKS and max(self._seen) - min(self._seen) < SAME_S:
            self._offset_s = self._seen[-1]
