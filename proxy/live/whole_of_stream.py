"""A stream on its way from a backend whose client wants the answer in one piece: put together here.

    waiting ──head──▶ collecting ──[DONE], its last event, or the end──▶ whole      as if the engine had answered so
                          ├─error event──▶ whole                    with the status that it stands for
                          ├─cut─────────▶ failed                    the client has seen nothing: as any other
                          └─not known, or too large──▶ unfit        it is asked for anew, as its client wrote it

Owns this one receiver. An engine that answers otherwise than by a stream is relayed as it is.
"""

import asyncio
from typing import Final

import orjson

from proxy.live.relay import LINGER_S, Relay
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Fault, FaultError, Kind, Retry, upstream
from proxy.model.timeline import Clock, Timeline
from proxy.model.whole_answers import WholeAnswers
from proxy.wire import answers, errors, sse
from proxy.wire.event import Event
from proxy.wire.given_up import is_given_up
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.together import Together
from proxy.wire.together_typed import MessageTogether, ResponseTogether

_TIMES: Final = 16
"""Events take so much more than the text in them."""
_JSON: Final = (b"content-type", b"application/json")
_TYPED: Final[dict[Endpoint, type[MessageTogether] | type[ResponseTogether]]] = {
    Endpoint.MESSAGES: MessageTogether,
    Endpoint.RESPONSES: ResponseTogether,
}
_OF_STREAM: Final = frozenset({b"content-type", b"cache-control", b"x-accel-buffering"})


class WholeOfStream(Relay):
    """The Receiver of such an attempt. Its meter stays empty: the client sees no token come."""

    __slots__ = ("_events", "_progress", "_together", "_vain_at_b", "is_unfit")

    def __init__(
        self,
        backend: str,
        plan: StreamPlan,
        answer_buffer_b: int,
        timeline: Timeline,
        meter: Meter,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        endpoint: Endpoint,
        whole_answers: WholeAnswers,
    ) -> None:
        super().__init__(backend, plan, answer_buffer_b, timeline, meter, loop, clock)
        self.is_unfit = False
        """No answer in one piece can be made of it."""
        self._progress = Meter()
        typed = _TYPED.get(endpoint)
        self._together: Together | MessageTogether | ResponseTogether = (
            Together(endpoint, whole_answers) if typed is None else typed(whole_answers)
        )
        self._vain_at_b = 0
        """How much of it there was when something came that was none of it."""
        self._events: sse.EventSplitter | None = None
        """None: it is no stream."""

    # --- Receiver

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]], now: float) -> None:
        if status == 200 and answers.is_sse(headers):
            self._timeline.first_byte = now
            self.status, self.headers = status, headers
            self._events = sse.EventSplitter(self.plan.event_limit_b, self.plan.allowance)
        else:
            super().on_head(status, headers, now)

    def on_chunk(self, data: bytes, chunk: bytes, now: float) -> None:
        events = self._events
        if events is None:
            super().on_chunk(data, chunk, now)
            return
        self._timeline.last_byte = now
        before = self._together.size_b
        try:
            for raw in events.feed(data):
                if self.complete or self.is_unfit:
                    return
                clean = sse.cleaned(raw)
                if clean and not clean.startswith(b":"):
                    self._take(Event(clean), now)
        except FaultError as error:
            self.give_up(error.fault)
            return
        if self._together.size_b == before and self.connection is not None and not self.ready.done():
            self.connection.in_vain(now, anew=self._vain_at_b != before)
            self._vain_at_b = before

    def on_end(self) -> None:
        self.connection = None
        if self._events is None:
            super().on_end()
        elif not self.complete and self.fault is None and not self.is_unfit:
            if self._together.has_ended:
                self._finish()
            else:
                text = f"Backend {self.backend} ended its stream before its text was complete."
                super().on_fault(upstream(Kind.CUT, text, Retry.SAFE))

    def on_fault(self, fault: Fault) -> None:
        if self._events is None or not (self.complete or self.is_unfit):
            super().on_fault(fault)

    @property
    def is_made_whole(self) -> bool | None:
        """Whether its stream could be put together; None: it was none, or an error."""
        if self._events is None or self.status != 200 or not (self.complete or self.is_unfit):
            return None
        return not self.is_unfit

    @property
    def progress(self) -> Meter:
        return self._progress

    def flow(self) -> int | None:
        if self._events is None or self.complete or self.fault is not None or self._progress.last_token is None:
            return None
        return self._progress.tokens

    def release(self) -> None:
        self._progress.on_first = None
        if self._events is not None:
            self._events.give_back()
            if self.complete and self.connection is not None:
                self.connection.linger(LINGER_S)
        super().release()

    # --- inside

    def _take(self, event: Event, now: float) -> None:
        if event.data == sse.DONE:
            self._finish()
        elif event.is_error:
            self._fails(event)
        elif is_given_up(event.raw):
            self.give_up(errors.ABORTED)
        else:
            self._progress.saw(event, now)
            if not self._together.add(event) or self._together.size_b > _TIMES * self._most_b:
                self._does_not_fit()
            elif self._together.is_complete:
                self._finish()

    def _finish(self) -> None:
        answer = self._together.whole()
        if answer is None:
            self._does_not_fit()
            return
        try:
            body = orjson.dumps(answer)
        except TypeError:  # what JSON does not have, but engines send: lone surrogates, integers beyond 64 bits
            self._does_not_fit()
            return
        self._is_whole(200, [*(one for one in self.headers if one[0].lower() not in _OF_STREAM), _JSON], body)

    def _fails(self, event: Event) -> None:
        """What the engine would have answered: the client has seen nothing yet."""
        found = errors.first_event_fault(event.data, self.backend)
        self._is_whole(500 if found is None else found[1], [_JSON], event.data)
        if self.connection is not None:
            self.connection.abort()

    def _is_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status, self.headers, self._buffer, self.complete = status, headers, [body], True
        self._settle()

    def _does_not_fit(self) -> None:
        self.is_unfit = True
        if self.connection is not None:
            self.connection.abort()
        self._settle()
