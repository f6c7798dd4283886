"""A de-jitter buffer: tokens that arrived in a burst leave at the pace the engine makes them.

Owns when each event leaves, never what it says. The pace is learned from arrivals. Three promises: nothing is held
longer than `max_delay_s` after it came, the first event and everything before a close leaves at once, order is kept;
so a stream as a whole ends at most `max_delay_s` later, and not at all later once `close` is called.
"""

from collections import deque
from typing import Final

MAX_DELAY_S: Final = 0.050
"""Default bound: two tokens of a fast model, below what a reader sees as a stop."""
_SMOOTHING: Final = 0.15
_EVENTS_MAX: Final = 1024
"""Events that may wait; a longer burst leaves its oldest at once."""


class Pacer:
    """One per stream. Times are monotonic seconds."""

    __slots__ = ("_arrived", "_gap_s", "_last_leave", "_max_delay_s", "_waiting")

    def __init__(self, max_delay_s: float = MAX_DELAY_S) -> None:
        self._max_delay_s = max_delay_s
        self._waiting: deque[tuple[float, bytes]] = deque()
        """(when it leaves, event), in order of both."""
        self._gap_s = 0.0
        """Learned time per event; 0 until two arrivals were seen."""
        self._arrived: float | None = None
        self._last_leave: float | None = None

    @property
    def gap_s(self) -> float:
        """The learned time between two events."""
        return self._gap_s

    def push(self, events: list[bytes], now: float) -> None:
        """`events` arrived together."""
        if not events:
            return
        self._learn(len(events), now)
        latest = now + self._max_delay_s
        leave, step = now, 0.0
        if self._last_leave is not None:
            leave = max(self._last_leave, min(max(now, self._last_leave + self._draining_gap_s(now)), latest))
            step = min(self._gap_s, (latest - leave) / len(events))
        for at, event in enumerate(events):
            self._waiting.append((leave + at * step, event))
        self._last_leave = leave + (len(events) - 1) * step
        self._bound(now)

    def due(self, now: float) -> list[bytes]:
        """What leaves now."""
        waiting = self._waiting
        out = []
        while waiting and waiting[0][0] <= now:
            out.append(waiting.popleft()[1])
        return out

    def next_at(self) -> float | None:
        """When to ask again; None: nothing waits."""
        return self._waiting[0][0] if self._waiting else None

    def close(self, now: float) -> list[bytes]:
        """The stream ends (or an error follows): everything leaves, the pace does not matter any more."""
        out = [event for _, event in self._waiting]
        self._waiting.clear()
        self._last_leave = now
        return out

    def _draining_gap_s(self, now: float) -> float:
        """The gap, the smaller the more is held, so that a delay once gathered goes away again."""
        held_s = (self._last_leave or now) - now
        if held_s <= 0 or self._max_delay_s <= 0:
            return self._gap_s
        return self._gap_s * max(0.0, 1 - held_s / self._max_delay_s)

    def _learn(self, count: int, now: float) -> None:
        """The time since the last arrival was the making of these events."""
        before, self._arrived = self._arrived, now
        if before is None:
            return
        gap = min(max(0.0, now - before) / count, self._max_delay_s)  # a longer gap would hold nothing longer
        self._gap_s = gap if not self._gap_s else self._gap_s + _SMOOTHING * (gap - self._gap_s)

    def _bound(self, now: float) -> None:
        excess = len(self._waiting) - _EVENTS_MAX
        for at in range(max(0, excess)):
            self._waiting[at] = (min(self._waiting[at][0], now), self._waiting[at][1])
