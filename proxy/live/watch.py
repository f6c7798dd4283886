"""One timer for all deadlines of connections.

Setting a timer per request costs more than the request's parsing. Instead every watched thing has a `deadline`
(monotonic seconds, `inf` for none), and one sweep every `TICK_S` asks which have passed.
"""

import asyncio
from time import monotonic
from typing import Protocol

TICK_S = 0.1
"""A deadline is noticed at most so late: far below the seconds that such limits are made of."""
NEVER = float("inf")


class Watched(Protocol):
    """Something with a deadline."""

    deadline: float

    def expired(self, now: float) -> None:
        """Called once per sweep while `deadline` is in the past; must move it or leave the watch."""


class Watch:
    """All watched things of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._things: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, thing: Watched) -> None:
        """Begin to watch; the sweep runs only while there is something to watch."""
        self._things.add(thing)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._sweep)

    def discard(self, thing: Watched) -> None:
        """Stop watching; harmless when it was not watched."""
        self._things.discard(thing)

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._sweep) if self._things else None
        now = monotonic()
        for thing in [thing for thing in self._things if thing.deadline <= now]:
            if thing in self._things:  # not if the expiry of another one has ended it
                thing.expired(now)
