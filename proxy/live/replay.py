"""An answer from memory: the second implementation of `Answer`, beside the relay of an attempt.

Owns how it leaves: whole ones at once; streams through the same steps as an engine's (`wire/stream`), at once or at a
pace, no faster than the client reads.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from proxy.live.answer import Sink
from proxy.model.faults import Fault
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.stream import Stream
from proxy.wire.tokens import CountSource
from proxy.wire.usage import Usage

SOURCE: Final = "cache"
"""What is said instead of a backend's name."""
_JSON: Final = (b"content-type", b"application/json")
_SSE: Final = (b"content-type", b"text/event-stream; charset=utf-8")
_SLICE_B: Final = 64 * 1024
"""Written at once of a stream that is given again; then it is looked whether the client takes it."""


class Replay:
    """A whole answer; `ReplayedStream` is the other kind."""

    __slots__ = ("_usage", "backend", "body", "complete", "fault", "headers", "meter", "status")

    def __init__(self, body: bytes, usage: Usage) -> None:
        self.backend = SOURCE
        self.status = 200
        self.headers = [_JSON]
        self.complete = True
        self.body = body
        self.fault: Fault | None = None
        self.meter = Meter()
        self._usage = usage

    @property
    def events(self) -> "ReplayedStream | None":
        """None: it is no stream."""
        return None

    def start(self, sink: Sink) -> "asyncio.Future[None]":
        """A whole answer is not started."""
        raise NotImplementedError

    def on_pause(self, paused: bool) -> None:
        """All of it was written at once."""

    def usage(self) -> Usage:
        """As its engine told it."""
        return self._usage

    def token_source(self) -> CountSource:
        """How its tokens were counted, once."""
        return CountSource.ENGINE_USAGE

    def give_up(self, fault: Fault) -> None:
        """A whole answer is over when it is written."""

    def release(self) -> None:
        """Nobody wants more of it."""


class ReplayedStream(Replay):
    """Events as an engine sent them, through the steps of `plan`."""

    __slots__ = (
        "_done",
        "_gap_s",
        "_loop",
        "_paused",
        "_pieces",
        "_sink",
        "_timer",
        "has_ended",
        "last_event",
        "saw_done",
        "saw_error",
        "unsent_error",
    )

    def __init__(
        self, events: bytes, usage: Usage, plan: StreamPlan | None, per_s: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        """`plan`: what is done to its events, None: nothing; `per_s`: events in a second, 0: all at once."""
        super().__init__(b"", usage)
        self.headers = [_SSE]
        self.complete = False
        self.saw_done = self.has_ended = True
        self.saw_error = False
        self.unsent_error = self.last_event = b""
        self._pieces = _pieces(events, plan, loop, paced=per_s > 0)
        self._gap_s = 1 / per_s if per_s else 0.0
        self._loop = loop
        self._paused = False
        self._sink: Sink | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] | None = None

    @property
    def events(self) -> "ReplayedStream | None":
        return self

    def start(self, sink: Sink) -> "asyncio.Future[None]":
        self._sink = sink
        self._done = self._loop.create_future()
        self._go_on()
        return self._done

    def on_pause(self, paused: bool) -> None:
        self._paused = paused
        if not paused and self._timer is None:
            self._go_on()

    def give_up(self, fault: Fault) -> None:
        """End now, with `fault`."""
        self.fault = fault
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
        self.release()

    def release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._sink = None

    def _go_on(self) -> None:
        """Until the client takes no more, or the next piece has its time."""
        self._timer = None
        sink, done = self._sink, self._done
        while sink is not None and done is not None and not self._paused and not done.done():
            piece = next(self._pieces, None)
            if piece is None:
                done.set_result(None)
                return
            if piece:
                sink.send(piece)
            if self._gap_s:
                self._timer = self._loop.call_later(self._gap_s, self._go_on)
                return


def _pieces(events: bytes, plan: StreamPlan | None, loop: asyncio.AbstractEventLoop, *, paced: bool) -> Iterator[bytes]:
    """What is written, piece by piece."""
    stream = None if plan is None else Stream(plan, Meter())
    if paced:
        for event in events.split(b"\n\n"):
            if event:
                yield _passed(stream, event + b"\n\n", loop)
    else:
        for at in range(0, len(events), _SLICE_B):
            yield _passed(stream, events[at : at + _SLICE_B], loop)
    if stream is not None:
        yield stream.close(loop.time())


def _passed(stream: Stream | None, data: bytes, loop: asyncio.AbstractEventLoop) -> bytes:
    return data if stream is None else stream.feed(data, loop.time())
