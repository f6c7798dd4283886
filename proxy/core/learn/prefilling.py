"""How much of its time an engine spends computing prompts, as far as that slows down answers.

Owns that share of the last seconds, and the seconds of such work since the beginning, from which the cost model learns.
What counts is the predicted work, while it can have been done: not that a prompt is there. Where some prompt always
waits for the step that is being computed, the time in which one is there is all time, and tells nothing of anything.
"""

from math import exp
from typing import Final

from proxy.core.learn.entry import Entry

PACE_S: Final = 5.0
"""Memory, seconds: what was half a minute ago slows down nobody now."""
_LEAST_PRESENT: Final = 0.2
"""The share is that of the time in which anything was there, so that an onset from idle does not look calm for seconds;
but of no less than this share of the memory, since one prompt alone is no onset."""


class Prefilling:
    """Told of every stretch of time and of every prompt that is over."""

    __slots__ = ("_busy", "_head_s", "_present", "_work", "done_s")

    def __init__(self) -> None:
        self.done_s = 0.0
        """Seconds of work since the beginning."""
        self._head_s = 0.0
        """Of them on the prompt that is first in line."""
        self._work = self._busy = self._present = 0.0
        """Shares of the last seconds in which prompts were computed, were there, and in which anything was there."""

    def passes(self, elapsed: float, head: Entry | None, present: bool) -> None:
        """So many seconds went by with this prompt first in line."""
        fade = exp(-elapsed / PACE_S)
        self._work *= fade
        self._busy *= fade
        self._present *= fade
        if present:
            self._present += 1.0 - fade
        if head is not None:
            worked_s = min(elapsed, self._left_s(head))
            self._busy += 1.0 - fade
            self._work += worked_s / elapsed * (1.0 - fade)
            self._head_s += worked_s
            self.done_s += worked_s

    def over(self, entry: Entry, first: bool) -> None:
        """The prompt of `entry` is computed, which was the first in line or not."""
        rest_s = self._left_s(entry) if first else entry.work
        self.done_s += rest_s
        self._work += rest_s / PACE_S

    def next(self) -> None:
        """Another prompt is first in line."""
        self._head_s = 0.0

    def share(self, elapsed: float, head: Entry | None, present: bool) -> float:
        """Seconds of work by the second, so many seconds after the last news."""
        fade = exp(-elapsed / PACE_S) if elapsed > 0.0 else 1.0
        work, busy, there = self._work * fade, self._busy * fade, self._present * fade
        if elapsed > 0.0:
            if head is not None:
                work += min(1.0, self._left_s(head) / elapsed) * (1.0 - fade)
                busy += 1.0 - fade
            if present:
                there += 1.0 - fade
        return (min(busy, work)) / (max(_LEAST_PRESENT, there))

    def _left_s(self, head: Entry) -> float:
        left_s = head.work - self._head_s
        return max(0.0, left_s)
