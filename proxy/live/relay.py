"""One answer on its way from a backend to a client.

    waiting ──head──▶ collecting ──complete──▶ whole        small answers: checked, then written in one piece
                          │  └─too large──────▶ flowing      large ones: passed on as they come
                          └─first event───────▶ flowing      SSE: looked at first, then event by event (wire/stream)

Owns the copy loop of one attempt: before `start` nothing of it has reached the client, so the attempt can be repeated.
Back-pressure: one upstream reader, bounded writes; a slow client slows its own upstream only.
"""

import asyncio
from typing import Final

from proxy.live.answer import Sink
from proxy.live.stream import TimedStream
from proxy.live.upstream.deadlines import EngineSide
from proxy.model.endpoint import Api
from proxy.model.faults import Fault, FaultError
from proxy.model.timeline import Clock, Timeline
from proxy.wire import answers, usage
from proxy.wire.ends import Ends
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.tap import Tap
from proxy.wire.tokens import CountSource
from proxy.wire.usage import NO_USAGE, Usage

_PAGE: Final = b"<"
LINGER_S: Final = 0.5
"""After `[DONE]` an engine may end its body and keep the connection; one that does not is closed."""


class Relay:
    """The Receiver of one attempt. Await `ready`, look at it, then `start` it if it flows and await `done`."""

    __slots__ = (
        "_buffer",
        "_buffered_b",
        "_clock",
        "_ends",
        "_is_kept_back",
        "_kept_back",
        "_loop",
        "_most_b",
        "_paused",
        "_silence_is_work",
        "_sink",
        "_timeline",
        "_vain_after",
        "backend",
        "calls",
        "complete",
        "connection",
        "done",
        "fault",
        "headers",
        "meter",
        "plan",
        "ready",
        "status",
        "stream",
        "tap",
    )

    def __init__(
        self,
        backend: str,
        plan: StreamPlan,
        answer_buffer_b: int,
        timeline: Timeline,
        meter: Meter,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self.backend = backend
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done when the answer is whole, or flows, or failed."""
        self.done: asyncio.Future[None] | None = None
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.stream: TimedStream | None = None
        """An SSE stream with status 200; None for any other answer."""
        self.meter = meter
        self.complete = False
        self.fault: Fault | None = None
        self.connection: EngineSide | None = None
        self.calls = 0
        """Times the request was sent for this attempt: 2 when a pooled connection was dead."""
        self.plan = plan
        self.tap: Tap | None = None
        """What passes is held for those who may ask the same; None: it is not."""
        self._most_b = answer_buffer_b
        self._timeline = timeline
        self._loop = loop
        self._clock = clock
        self._buffer: list[bytes] = []
        self._buffered_b = 0
        self._ends: Ends | None = None
        """Of a whole answer that is too large to be kept."""
        self._paused = False
        """Until somebody has looked at what was collected."""
        self._kept_back = self._is_kept_back = False
        """By its client: since the last look, and now."""
        self._sink: Sink | None = None
        self._silence_is_work = True
        """Nothing of the answer proper has come, or a call of a tool is in the making: silence means nothing yet."""
        self._vain_after = b""
        """The event after which something came that was none."""

    # --- Receiver

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]], now: float) -> None:
        self._timeline.first_byte = now
        self.status = status
        self.headers = headers
        if status != 200:
            return
        is_lines = self.plan.api is Api.OLLAMA and answers.is_lines(headers)
        if is_lines or answers.is_sse(headers):
            self.stream = TimedStream(self.plan, self.meter, self._emit, self._loop, self._clock, lines=is_lines)

    def on_body(self, data: bytes, now: float) -> None:
        self.on_chunk(data, b"", now)

    def on_chunk(self, data: bytes, chunk: bytes, now: float) -> None:
        stream, sink = self.stream, self._sink
        if self.tap is not None:
            self.tap.saw(data)
        if stream is None:
            self._timeline.last_byte = now
            if self._sink is None and self.connection is not None:  # a whole answer has as long as a first byte
                self.connection.in_vain(now, anew=False)
            self._emit(data)
            return
        if self._silence_is_work and not self.plan.may_call and usage.begins_answer(data):
            self._silence_is_work = False
            if self.connection is not None:
                self.connection.answer_begun(now)
        try:
            out = stream.feed(data, now)
        except FaultError as error:
            self.give_up(error.fault)
            return
        if out is data and chunk and sink is not None:
            sink.send_chunk(data, chunk)
        else:
            self._passed(stream, out, now)

    def on_end(self) -> None:
        self.complete = True
        self.connection = None  # from now on it is the next request's
        self._settle()

    def on_switch(self, headers: list[tuple[bytes, bytes]], rest: bytes, now: float) -> None:
        self._timeline.first_byte = now
        self.status = 101
        self.headers = headers
        self._buffer = [rest]
        self._settle()

    def hand_over(self, to: asyncio.Protocol) -> tuple[asyncio.Transport, EngineSide]:
        """After a switch: the engine's side is that protocol's from now on."""
        connection, self.connection = self.connection, None
        assert connection is not None
        return connection.hand_over(to), connection

    def on_fault(self, fault: Fault) -> None:
        if self.said_its_last_word:
            return
        self.fault = fault
        self._settle()

    def goes_on_thinking(self) -> bool:
        stream = self.stream
        if self._silence_is_work or stream is None or stream.has_ended or usage.begins_answer(stream.last_event):
            return False
        self._silence_is_work = True
        return True

    # --- the answer

    @property
    def events(self) -> TimedStream | None:
        """The stream, of an answer that is one."""
        return self.stream

    @property
    def progress(self) -> Meter:
        """When its tokens came, whether its client sees them come or not."""
        return self.meter

    @property
    def is_page(self) -> bool:
        """A whole answer that is written for browsers."""
        return bool(self._buffer) and self._buffer[0].startswith(_PAGE) and answers.is_page(self.headers)

    @property
    def body(self) -> bytes:
        """What was collected so far."""
        return b"".join(self._buffer)

    @property
    def said_its_last_word(self) -> bool:
        """A stream that passed `[DONE]` or an engine's error: nothing after it matters."""
        return self.stream is not None and (self.stream.saw_done or self.stream.saw_error)

    def usage(self) -> Usage:
        """Token counts, when the engine told them; of a stream that was resumed, those of all its attempts."""
        continuation = self.plan.continuation
        return self._usage() if continuation is None else continuation.corrected(self._usage())

    def _usage(self) -> Usage:
        if self.stream is not None:
            return self.stream.usage()
        if not self.complete:
            return NO_USAGE
        told = usage.of_body(self.body) if self._ends is None else usage.of_ends(self._ends)
        return usage.of_headers(self.headers) if self.plan.api is Api.TGI and told == NO_USAGE else told

    def token_source(self) -> CountSource:
        """How the tokens were counted that passed so far."""
        return self.stream.token_source() if self.stream is not None else CountSource.ESTIMATE

    def start(self, sink: Sink) -> asyncio.Future[None]:
        """The head is out: pass on what was collected and all that follows. The future ends with the answer."""
        self._sink = sink
        collected, self._buffer = self.body, []
        if self.stream is None:
            self._ends = Ends()
            self._ends.saw(collected)
        if self._paused and self.connection is not None:
            self._paused = False
            self.connection.resume()
        if collected:
            sink.send(collected)
        self.done = self._loop.create_future()
        if self.complete or self.fault is not None or self.said_its_last_word:
            self._settle()
        return self.done

    def turn_into_error(self, status: int, body: bytes) -> None:
        """The stream was an error all along: from now on a whole answer with this status and body."""
        if self.stream is not None:
            self.stream.stop()
        self.stream = None
        self.status = status
        self.complete = True
        self._buffer = [body]
        if self.connection is not None:
            self.connection.abort()

    def flow(self) -> int | None:
        """Tokens so far of a stream that flows. None: it has not begun, is over, or its client kept it back since the
        last time that was asked."""
        kept_back, self._kept_back = self._kept_back, self._is_kept_back
        if self.stream is None or self._sink is None or kept_back or self.complete or self.fault is not None:
            return None
        return None if self.said_its_last_word or self.meter.last_token is None else self.meter.tokens

    @property
    def is_unheard(self) -> bool:
        """It was sent, and nothing came back yet that could be judged; a head may have."""
        return self.calls > 0 and not self.ready.done()

    @property
    def awaits_first_token(self) -> bool:
        """A stream whose head came, and perhaps a role, but no text yet."""
        return (
            self.stream is not None
            and self.meter.last_token is None
            and not self.complete
            and self.fault is None
            and not self.said_its_last_word
        )

    @property
    def could_go_on_elsewhere(self) -> bool:
        """Whether another backend could be asked for the rest."""
        return self.plan.continuation is not None and self.plan.continuation.can_continue()

    def give_up(self, fault: Fault) -> None:
        """Close the engine's side, and end with `fault`."""
        self.fault = fault
        if self.connection is not None:
            self.connection.abort()
        self._settle()

    def on_pause(self, paused: bool) -> None:
        """The client is slower than the engine, or no longer."""
        if self.connection is None or self.complete or self.fault is not None:
            return
        self._is_kept_back = paused
        self._kept_back = True
        if paused:
            self.connection.pause()
        else:
            self.connection.resume()

    def release(self) -> None:
        """The client has all it gets: free the backend at once, or let a stream that said its last word end."""
        if self.tap is not None:
            self.tap.release()
        if self.stream is not None:
            self.stream.stop()
        if self.connection is None or self.complete:
            return
        if self.said_its_last_word:
            self.connection.linger(LINGER_S)
        else:
            self.connection.abort()

    # --- inside

    def _emit(self, data: bytes) -> None:
        """Something for the client: straight on when it flows, else kept until somebody has looked at it."""
        if self._sink is not None:
            if self._ends is not None:
                self._ends.saw(data)
            self._sink.send(data)
            return
        self._buffer.append(data)
        self._buffered_b += len(data)
        if self.stream is None and self._buffered_b <= self._most_b:
            return
        if not self.ready.done():
            self.ready.set_result(None)
        if self._buffered_b > self._most_b and self.connection is not None and not self._paused:
            self._paused = True
            self.connection.pause()

    def _passed(self, stream: TimedStream, out: bytes, now: float) -> None:
        """Something came that does not go straight on as the chunk it is; what of it leaves now."""
        stream.arm()
        if out:
            self._emit(out)
        if stream.saw_done or stream.saw_error:
            self._timeline.last_byte = now
            self._settle()
        elif stream.is_in_vain and self.connection is not None:
            self.connection.in_vain(now, anew=self._vain_after is not stream.last_event)
            self._vain_after = stream.last_event

    def _settle(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)
        if self.done is not None and not self.done.done():
            if self.stream is not None:
                self.stream.end()
            self.done.set_result(None)
