"""How much bulk an engine is sent beside requests that somebody waits for: less, as soon as these wait because of it.

Where nobody told how many requests an engine runs, a first token that comes later than its prompt takes is the only
sign that bulk is in its way. Then bulk gives up a part of what it had inside, and takes it back step by step, more
slowly where the last sign came. Where nobody else is there it may have everything.
"""

from math import inf
from typing import Final

from proxy.core.learn.entry import Entry

_AT_FIRST: Final = 8.0
_KEPT: Final = 0.85
"""Share of what was inside that stays after a sign."""
_REST_S: Final = 3.0
"""What was sent before goes on for a while: signs of it that come sooner are of the same cause."""
_FAST: Final = 1.0
"""More per bulk job that ends before there was a sign…"""
_BACK: Final = 0.35
"""…after it…"""
_SLOW: Final = 0.05
"""…and near what was inside when it came."""
_NEAR: Final = 0.95
_QUEUE: Final = 2
"""Requests in the engine's queue up to which bulk is added to it."""
_ALONE: Final = 32
"""Bulk jobs in a row, beside as many as may be inside, after which nobody else is there."""


class Yielding:
    """Of one backend."""

    __slots__ = ("_denied", "_others", "_rest_until", "_row", "_top", "cap", "inside")

    def __init__(self) -> None:
        self.cap = _AT_FIRST
        """Bulk that may be inside, while others are there."""
        self.inside = 0
        self._others = 0
        self._row = _ALONE
        """Bulk sent since the last of the others."""
        self._top = inf
        """Bulk inside at the last sign."""
        self._rest_until = -inf
        self._denied = False

    @property
    def alone(self) -> bool:
        """Whether nobody else is there."""
        return not self._others and self._row >= _ALONE + self.cap

    def has_room(self, queued: int) -> bool:
        """Whether one more job of bulk may be sent, with so many requests in the engine's queue."""
        if self.alone or not self.inside:
            return True
        if queued < _QUEUE and self.inside < self.cap:
            return True
        self._denied = True
        return False

    def sent(self, entry: Entry) -> None:
        """An attempt goes out."""
        if not entry.bulk:
            self._others += 1
            self._row = 0
            return
        self.inside += 1
        self._row += 1

    def left(self, entry: Entry, now: float) -> None:
        """An attempt is over."""
        if not entry.bulk:
            self._others -= 1
            return
        if self._denied and now >= self._rest_until and not self.alone and self.inside >= self.cap - 1.0:
            self.cap += _FAST if self._top == inf else _BACK if self.cap < _NEAR * self._top else _SLOW
            self._denied = False
        self.inside -= 1

    def late(self, now: float) -> None:
        """Somebody waited longer for a first token than that takes."""
        if not self.inside or now < self._rest_until:
            return
        self._top = float(self.inside)
        self.cap = max(1.0, _KEPT * min(self.cap, self._top))
        self._rest_until = now + _REST_S
