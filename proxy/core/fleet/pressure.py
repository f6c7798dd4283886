"""How much a backend takes that said it is full: nothing for a while, or no more than it had; then more and more again.

An engine that says "busy" is not ill. With others of ours inside it has told how many fit: one more goes whenever one
ends. With none inside, or with a time to come back at, it is left alone until then, and one request tries first.
Owns these two bounds and their timing; which requests wait meanwhile is not its business.
"""

from math import inf
from typing import Final

_PAUSE_S: Final = 0.25
"""First pause of a backend that is full of others' requests, and names no time…"""
_PAUSE_MAX_S: Final = 4.0
"""…doubled with each such answer in a row up to this."""
_GROW_S: Final = 1.0
"""One more than fitted is tried after so long…"""
_GROW_MAX_S: Final = 30.0
"""…doubled each time that it still does not fit, up to this."""
_FORGET: Final = 16
"""Places beyond those that were refused once at which the bound is forgotten."""
NO_BOUND: Final = 1 << 62


class Pressure:
    """Of one backend. Times in seconds."""

    __slots__ = ("_ceiling", "_configured", "_grew", "_grow_s", "_pause_s", "limit", "paused")

    def __init__(self, configured: int | None) -> None:
        self._configured = NO_BOUND if configured is None else configured
        self.limit = self._configured
        """Requests that may be there at once, at least 1."""
        self.paused = False
        """Nothing may be sent."""
        self._ceiling = 0
        """So many did not fit lately; 0: not known."""
        self._pause_s = _PAUSE_S
        self._grow_s = _GROW_S
        self._grew = False
        """One more than fitted was tried, and has not been refused."""

    @property
    def is_bound(self) -> bool:
        """Whether it takes less than is configured."""
        return self.limit < self._configured

    def configure(self, configured: int | None) -> None:
        """Another number of permits; what it said itself still holds."""
        bound, self._configured = self.is_bound, NO_BOUND if configured is None else configured
        self.limit = min(self.limit, self._configured) if bound else self._configured

    def said_busy(self, inside: int, retry_after_s: float | None) -> float | None:
        """It refused a request while so many others of ours were inside; returns after how long to call `ease`, None:
        as agreed before. Those that were sent together and are refused together tell no more than the first."""
        if retry_after_s is not None:
            self._pause()
            return retry_after_s
        if self.paused:
            return None
        if inside:
            self.limit = min(inside, self.limit)
            self._ceiling = self.limit + 1
            if self._grew:
                self._grew = False
                self._grow_s = min(_GROW_MAX_S, self._grow_s * 2)
            return self._grow_s
        self._pause()
        pause_s, self._pause_s = self._pause_s, min(_PAUSE_MAX_S, self._pause_s * 2)
        return pause_s

    def ease(self) -> float:
        """The time is over; returns after how long to call it again, `inf` when nothing bounds it any more."""
        if self.paused:
            self.paused = False
            return self._grow_s
        self.limit += 1
        self._grew = True
        if self.limit >= min(self._configured, self._ceiling + _FORGET):
            self._forget()
            return inf
        return self._grow_s

    def took(self) -> bool:
        """It began to answer; returns whether it may get one more: twice as many per round until it refuses again."""
        if self.limit >= self._configured:
            return False
        self._pause_s = _PAUSE_S
        if self._ceiling and self.limit + 1 >= self._ceiling:
            return False
        self.limit += 1
        return True

    def _pause(self) -> None:
        self.paused = True
        self.limit = 1

    def _forget(self) -> None:
        self.limit = self._configured
        self._ceiling = 0
        self._pause_s, self._grow_s = _PAUSE_S, _GROW_S
