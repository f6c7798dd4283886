"""A stream with the one timer that it needs: what waits in it leaves in time, whether or not anything more comes."""

import asyncio
from collections.abc import Callable

from proxy.model.timeline import Clock
from proxy.wire import stream as sans_io
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan


class TimedStream(sans_io.Stream):
    """What `feed` gives is the caller's to send; what leaves later goes out by `emit`."""

    __slots__ = ("_at", "_clock", "_emit", "_loop", "_timer")

    def __init__(
        self,
        plan: StreamPlan,
        meter: Meter,
        emit: Callable[[bytes], None],
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        *,
        lines: bool = False,
    ) -> None:
        super().__init__(plan, meter, lines=lines)
        self._emit = emit
        self._loop = loop
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._at: float | None = None

    def arm(self) -> None:
        """Something was fed that did not go straight on."""
        at = self.next_at()
        if at == self._at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = None if at is None else self._loop.call_at(at, self._leave_due)

    def end(self) -> None:
        """Nothing more comes: what is kept back leaves now. Harmless when repeated."""
        out = self.close(self._clock())
        self.arm()
        if out:
            self._emit(out)

    def stop(self) -> None:
        """The client left, or has all: no timer may fire any more, nothing goes out, and nothing large is held; nor is
        the sink, which holds us: a cycle, which only a full collection would find."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self.give_back()
        self._emit = _nowhere

    def _leave_due(self) -> None:
        out = self.due(self._clock())
        self._at = None
        self.arm()
        if out:
            self._emit(out)


def _nowhere(data: bytes) -> None:
    """Of a stream that was stopped."""
