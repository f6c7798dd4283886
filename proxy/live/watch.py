"""One timer for all deadlines of connections.

Setting a timer per request costs more than the request's parsing. Instead every watched thing has a `deadline`
(monotonic seconds, `inf` for none), and one sweep every `TICK_S` asks which have passed.

A sweep that comes late says that this process stood still itself: stopped, suspended, or busy. What lies unread in the
kernel since then is no silence of the other side, so all deadlines move by that pause before any is judged.
"""

import asyncio
from typing import Any, Final, Protocol

from proxy.model.histogram import Histogram
from proxy.model.timeline import Clock

TICK_S: Final = 0.1
"""A deadline is noticed at most so late: far below the seconds that such limits are made of."""
PAUSE_S: Final = 0.5
"""A sweep that is later than this was kept from looking."""
NEVER: Final = float("inf")


class Watched(Protocol):
    """Something with a deadline."""

    deadline: float

    def expired(self, now: float) -> None:
        """Called once per sweep while `deadline` is in the past; must move it or leave the watch."""


class Watch:
    """All watched things of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self.clock = clock
        """Of everything that is watched."""
        self._things: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = NEVER
        """When the next sweep should come."""
        self._paused_s = 0.0
        self.lag = Histogram()
        """How late the sweeps were, seconds: as late as anything else of this loop."""

    def ran(self) -> float:
        """Seconds for which this process has run: a monotonic clock that stood still when the process did."""
        return self.ran_at(self.clock())

    def ran_at(self, now: float) -> float:
        """The same, where the time is known already."""
        return now - self._paused_s

    def add(self, thing: Watched) -> None:
        """Begin to watch; the sweep runs only while there is something to watch."""
        self._things.add(thing)
        if self._timer is None:
            self._set_timer(self.clock())

    def discard(self, thing: Watched) -> None:
        """Stop watching; harmless when it was not watched."""
        self._things.discard(thing)

    def timeout(self, seconds: float) -> "Limit":
        """As `asyncio.timeout`, but for pauses of our own."""
        return Limit(self, self.clock() + seconds)

    def _set_timer(self, now: float) -> None:
        self._timer = self._loop.call_later(TICK_S, self._sweep)
        self._due = now + TICK_S

    def _sweep(self) -> None:
        now = self.clock()
        late_s = now - self._due
        self.lag.observe(max(0.0, late_s))
        if late_s > PAUSE_S:
            self._postpone(late_s)
        self._timer = None
        if self._things:
            self._set_timer(now)
        for thing in [thing for thing in self._things if thing.deadline <= now]:
            if thing in self._things:  # not if the expiry of another one has ended it
                thing.expired(now)

    def _postpone(self, by_s: float) -> None:
        self._paused_s += by_s
        for thing in self._things:
            thing.deadline += by_s


class Limit:
    """For `async with`: cancels what runs inside when its deadline passes, and makes a TimeoutError of that."""

    __slots__ = ("_cancelling", "_passed", "_task", "_watch", "deadline")

    def __init__(self, watch: Watch, deadline: float) -> None:
        self.deadline = deadline
        self._watch = watch
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        """Cancellations by others before it began."""
        self._passed = False

    async def __aenter__(self) -> None:
        task = self._task = asyncio.current_task()
        assert task is not None
        self._cancelling = task.cancelling()
        self._watch.add(self)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._watch.discard(self)
        task, self._task = self._task, None
        if self._passed and task is not None:
            by_others = task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not by_others:
                raise TimeoutError

    def expired(self, now: float) -> None:
        self.deadline = NEVER
        if self._task is not None:
            self._passed = True
            self._task.cancel()
