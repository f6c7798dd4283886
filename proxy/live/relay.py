"""One answer on its way from a backend to a client.

    waiting ──head──▶ collecting ──complete──▶ whole        small answers: checked, then written in one piece
                          │  └─too large──────▶ flowing      large ones: passed on as they come
                          └─first event───────▶ flowing      SSE: looked at first, then event by event

Owns the copy loop of one attempt: nothing has reached the client while `committed` is false, so an attempt can still be
repeated. Back-pressure: one upstream reader, bounded writes; a slow client slows its own upstream only.
"""

import asyncio
from time import monotonic
from typing import Protocol

from proxy.live.upstream import Connection
from proxy.model.faults import Fault, FaultError
from proxy.model.limits import UpstreamLimits
from proxy.model.timeline import Timeline
from proxy.wire import answers, sse, usage
from proxy.wire.usage import Usage

_LINGER_S = 0.5
"""After `[DONE]` an engine may end its body and keep the connection; one that does not is closed."""


class Sink(Protocol):
    """The client's side of a flowing answer."""

    def send(self, data: bytes) -> None:
        """Write some body bytes."""


class Relay:
    """The Receiver of one attempt. Await `ready`, look at it, then `start` it if it flows and await `done`."""

    __slots__ = (
        "_buffer",
        "_buffered_b",
        "_limits",
        "_loop",
        "_paused",
        "_sink",
        "_splitter",
        "_tail",
        "_timeline",
        "backend",
        "complete",
        "connection",
        "done",
        "events",
        "fault",
        "headers",
        "ready",
        "saw_done",
        "saw_error",
        "status",
        "streams",
    )

    def __init__(
        self, backend: str, limits: UpstreamLimits, timeline: Timeline, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.backend = backend
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done when the answer is whole, or flows, or failed."""
        self.done: asyncio.Future[None] | None = None
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.streams = False
        """An SSE stream with status 200."""
        self.complete = False
        self.fault: Fault | None = None
        self.events = 0
        self.saw_done = False
        self.saw_error = False
        self.connection: Connection | None = None
        self._limits = limits
        self._timeline = timeline
        self._loop = loop
        self._buffer: list[bytes] = []
        self._buffered_b = 0
        self._splitter: sse.EventSplitter | None = None
        self._sink: Sink | None = None
        self._tail = (b"", b"", b"")
        self._paused = False

    # --- Receiver

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._timeline.first_byte = monotonic()
        self.status = status
        self.headers = headers
        if status == 200 and answers.is_sse(headers):
            self.streams = True
            self._splitter = sse.EventSplitter(self._limits.event)

    def on_body(self, data: bytes) -> None:
        if self._splitter is not None:
            self._on_event_bytes(data)
        elif self._sink is not None:
            self._sink.send(data)
        else:
            self._collect(data)

    def on_end(self) -> None:
        self.complete = True
        self._settle()

    def on_fault(self, fault: Fault) -> None:
        self.fault = fault
        self._settle()

    # --- what the exchange calls

    @property
    def body(self) -> bytes:
        """What was collected so far."""
        return b"".join(self._buffer)

    @property
    def tail(self) -> list[bytes]:
        """The last events of a stream, oldest first."""
        return [event for event in self._tail if event]

    def usage(self) -> Usage:
        """Token counts, when the engine told them."""
        return usage.of_events(self.tail) if self.streams else usage.of_body(self.body)

    def start(self, sink: Sink) -> asyncio.Future[None]:
        """The head is out: pass on what was collected and everything that follows. The future ends with the answer."""
        self._sink = sink
        collected, self._buffer = self.body, []
        if self._paused and self.connection is not None:
            self._paused = False
            self.connection.resume()
        if collected:
            sink.send(collected)
        self.done = self._loop.create_future()
        if self.complete or self.fault is not None or self.saw_done or self.saw_error:
            self.done.set_result(None)
        return self.done

    def turn_into_error(self, body: bytes) -> None:
        """The stream was an error all along: from now on a whole answer with this body."""
        self.streams = False
        self.complete = True
        self._buffer = [body]
        if self.connection is not None:
            self.connection.abort()

    def on_pause(self, paused: bool) -> None:
        """The client is slower than the engine, or no longer."""
        if self.connection is None or self.complete or self.fault is not None:
            return
        if paused:
            self.connection.pause()
        else:
            self.connection.resume()

    def release(self, *, answered: bool) -> None:
        """The client has all it gets: free the backend at once, or let a stream that said its last word end."""
        if self.connection is None or self.complete:
            return
        if answered:
            self.connection.deadline = monotonic() + _LINGER_S
        else:
            self.connection.abort()

    # --- inside

    def _collect(self, data: bytes) -> None:
        self._buffer.append(data)
        self._buffered_b += len(data)
        if self._buffered_b > self._limits.answer_buffer and not self.ready.done():
            if self.connection is not None:
                self._paused = True
                self.connection.pause()
            self.ready.set_result(None)

    def _on_event_bytes(self, data: bytes) -> None:
        assert self._splitter is not None
        if (
            self._sink is not None
            and sse.is_plain(data)
            and self._splitter.is_between_events
            and not sse.is_error(data)
        ):
            self._tail = (self._tail[1], self._tail[2], data)
            self.events += 1
            if self._timeline.first_token is None:
                self._note_first_token(data)
            self._timeline.last_token = monotonic()
            self._sink.send(data)
            return
        try:
            events = self._splitter.feed(data)
        except FaultError as error:
            self._stop(error.fault)
            return
        self._pass_on(events)

    def _pass_on(self, events: list[bytes]) -> None:
        if self.saw_done or self.saw_error:
            return
        out: list[bytes] = []
        for event in events:
            clean = sse.cleaned(event)
            if not clean:
                continue
            out.append(clean)
            if clean.startswith(b":"):
                continue
            if sse.payload(clean) == sse.DONE:
                self.saw_done = True
                break
            self._note(clean)
            if sse.is_error(clean):
                self.saw_error = True
                break
        if out:
            self._emit(b"".join(out))
        if self.saw_done or self.saw_error:
            self._settle()

    def _note(self, event: bytes) -> None:
        self.events += 1
        self._tail = (self._tail[1], self._tail[2], event)
        if self._timeline.first_token is None:
            self._note_first_token(event)
        self._timeline.last_token = monotonic()

    def _note_first_token(self, event: bytes) -> None:
        if usage.holds_content(event):
            self._timeline.first_token = monotonic()

    def _emit(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.send(data)
            return
        self._buffer.append(data)
        if not self.ready.done():
            self.ready.set_result(None)

    def _stop(self, fault: Fault) -> None:
        self.fault = fault
        if self.connection is not None:
            self.connection.abort()
        self._settle()

    def _settle(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)
        if self.done is not None and not self.done.done():
            self.done.set_result(None)
