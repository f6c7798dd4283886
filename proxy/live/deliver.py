"""All that one client gets for one request: an engine's answer, whole or flowing, our own, or an error.

Owns the only writer of answers: heads with our marks, pings into silence, and an end that is clean only for a clean
answer. Where an answer comes from is none of its business.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from proxy.engines.complaints import complaint
from proxy.live import response_check as judge
from proxy.live.answer import Answer, Sink
from proxy.live.cache.use import CacheUse
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.live.job import JobLoop
from proxy.live.job_builder import BuiltJob
from proxy.live.response_headers import Headers, ResponseHeaders
from proxy.live.short_first import Tap
from proxy.live.stored import Placed
from proxy.model.endpoint import ENDPOINTS, ENGINES_OWN, Api
from proxy.model.faults import Fault, FaultError, Kind, upstream
from proxy.model.outcome import SERVED, UNFINISHED, Outcome, Phase, failed_with
from proxy.model.timeline import Timeline
from proxy.wire import answers, codings, errors, sse
from proxy.wire.error_shapes import api_of
from proxy.wire.meter import Meter

_SSE: Final = (b"content-type", b"text/event-stream")
_PING: Final = b": ping\n"
"""One newline: a blank line after a comment crashes openai-python when an `id:` came before."""
_DONE: Final = b"data: " + sse.DONE + b"\n\n"
_SAYS_WHEN: Final = frozenset({b"retry-after", b"retry-after-ms"})
_SOON: Final = (b"retry-after", b"1")
_T = TypeVar("_T")


class Writer:
    """One per request. `taken` and `job` are there once it has become a job; `ping_s`: silence is filled with comments
    so often, 0: never."""

    __slots__ = (
        "_connection",
        "_marks",
        "_message",
        "_timeline",
        "cached",
        "job",
        "ping_s",
        "placed",
        "status",
        "taken",
        "tap",
        "truncated",
    )

    def __init__(
        self, connection: ClientConnection, message: Message, timeline: Timeline, response_headers: ResponseHeaders
    ) -> None:
        self._connection = connection
        self._message = message
        self._timeline = timeline
        self._marks = response_headers
        self.taken: BuiltJob | None = None
        self.job: JobLoop | None = None
        self.cached: CacheUse | None = None
        self.ping_s = 0.0
        self.placed: Placed | None = None
        """Who learns where its answer is kept; None: nobody."""
        self.tap: Tap | None = None
        """Remembers a stream; None: nobody wants to."""
        self.truncated = ""
        """What its engine left out of a whole answer's prompt, as far as that shows."""
        self.status = 0
        """As the client got it; 0: nothing yet."""

    @property
    def request_id(self) -> str:
        """The client's, or ours."""
        head = self._message.head
        return head.request_id if head is not None else self._connection.new_id()

    # --- whole answers of ours

    def respond(self, status: int, headers: Headers, body: bytes) -> Outcome:
        """In one piece."""
        self.status = status
        self._connection.respond(status, self._marked(headers), body)
        return SERVED

    def begin(self, status: int, headers: Headers, length: int) -> None:
        """The head of one whose body follows on the connection."""
        self.status = status
        self._connection.begin(status, self._marked(headers), length)

    def refuse(self, fault: Fault) -> None:
        """Tell the client, as far as it can still be told."""
        if not self._connection.head_sent:
            spent = self.job is not None and self.job.is_spent
            error = errors.answer(fault, self._api(), self.request_id, spent=spent)
            self._connection.closing |= error.closes
            self.respond(error.status, error.headers, error.body)
        elif self.ping_s:
            self._end_stream(errors.event(fault, self._api()))
        else:
            self._connection.abort()

    def switch(self, headers: Headers, meter: Meter) -> None:
        """The head after which a WebSocket begins."""
        self.status = 101
        self._connection.switch(self._marked(headers, meter))

    # --- answers of engines

    async def deliver(self, job: JobLoop, answer: Answer) -> Outcome:
        """To its last byte, whoever has to go on with it. FaultError when the client cannot read what came."""
        if self.placed is not None:
            self.placed.saw(answer, job.model)
        stream_watch = answer.events is not None or not answer.complete
        if answer.events is None and self._connection.head_sent and (answer.status < 400 or stream_watch):
            text = f"Backend {answer.backend} answered a stream with something else."  # and a ping has begun one
            raise FaultError(upstream(Kind.NONSENSE, text))
        if not stream_watch:
            return self._whole(job, answer) if answer.status < 400 else self._error(job, answer)
        if not self._connection.head_sent:
            self._begin(answer)
        await self._flow(answer)
        fault = _fault_at_end(job, answer)
        while fault is not None and (following := await self.with_pings(job.resumed(fault))) is not None:
            answer = following
            await self._flow(answer)
            fault = _fault_at_end(job, answer)
        return self._end(job, answer, fault)

    async def with_pings(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for `work`; with pings switched on, silence is filled with comments."""
        if not self.ping_s:
            return await work
        task = asyncio.ensure_future(work)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self.ping_s)
                if done:
                    return task.result()
                self._ping()
        finally:
            task.cancel()

    # --- inside

    async def _flow(self, answer: Answer) -> None:
        self._connection.on_pause = answer.on_pause
        sink: Sink = self._connection if self.tap is None else self.tap
        if self.placed is not None:
            sink = self.placed.around(sink, answer)
        await self.with_pings(_awaited(answer.start(sink)))

    def _whole(self, job: JobLoop, answer: Answer) -> Outcome:
        headers, body = answers.filtered(answer.headers), answer.body
        coding = codings.coding_of(answer.headers)
        if coding and not self._accepts(coding):
            body = codings.undone(body, coding, answer.backend)
            headers = [header for header in headers if header[0] != b"content-encoding"]
            coding = b""
        dialect = job.dialect
        if dialect.cuts_prompts or dialect.outruns_context:
            self.truncated = job.truncated(answer.usage())
            if self.truncated:
                headers.append((b"x-tidegate-truncated", self.truncated.encode()))
        corrections = None if coding else job.corrections
        return self.respond(answer.status, headers, body if corrections is None else corrections.of_body(body))

    def _error(self, job: JobLoop, answer: Answer) -> Outcome:
        api = self._api()
        body = _error_body(answer, api)
        status = answer.status
        told = None if api in ENGINES_OWN else complaint(status, body, job.endpoint, job.dialect)
        if told is not None:
            status = told.status
            body = body if told.code is None else errors.recoded(body, told.code, api)
        fault = judge.fault_of_status(answer.backend, status)
        headers = answers.for_error(answers.filtered(answer.headers))
        names = {name for name, _ in headers}
        if job.settled and job.is_spent and status != 429 and b"x-should-retry" not in names:
            headers.append(errors.DO_NOT_RETRY)
        if job.settled and fault.kind is Kind.BUSY and not names & _SAYS_WHEN:
            headers.append(_SOON)
        if self._connection.head_sent:  # a ping went out before the engine's answer: what is left is an event
            self._end_stream(errors.event_of(body, status, api))
        else:
            self.respond(status, headers, body)
        return failed_with(fault, Phase.HEAD)

    def _begin(self, answer: Answer) -> None:
        coding = codings.coding_of(answer.headers)
        if coding and not self._accepts(coding):
            raise FaultError(codings.unasked(answer.backend))
        headers = answers.filtered(answer.headers)
        length = None
        if answer.events is not None:
            headers = answers.for_stream(headers)
        else:
            length = next((int(v) for n, v in answer.headers if n.lower() == b"content-length"), None)
        self._begin_with(answer.status, headers, length, answer.meter)

    def _begin_with(self, status: int, headers: Headers, length: int | None, meter: Meter) -> None:
        self.status = status
        self._connection.begin(status, self._marked(headers, meter), length)

    def _end(self, job: JobLoop, answer: Answer, fault: Fault | None) -> Outcome:
        """After the last byte of a flowing answer: a clean end only for a clean answer."""
        events = answer.events
        if fault is None:
            misses_done = ENDPOINTS[job.endpoint].says_done and events is not None and not events.saw_done
            if misses_done and not job.dialect.says_done:  # it never says so, and its text is complete
                self._connection.send(_DONE)
            self._connection.end()
            return UNFINISHED if misses_done and job.says_done else SERVED
        if events is None:
            self._connection.abort()
        else:
            said = events.saw_error and not job.resumes
            last = errors.event(fault, self._api(), events.last_event)
            self._end_stream(events.unsent_error or (b"" if said else last))
        return failed_with(fault, Phase.STREAM)

    def _end_stream(self, event: bytes) -> None:
        """A stream that failed: said in its last event, and closed."""
        if event:
            self._connection.send(event)
        self._connection.closing = True
        self._connection.end()

    def _ping(self) -> None:
        if not self._connection.head_sent:
            self._begin_with(200, answers.for_stream([_SSE]), None, Meter())
        if not self._connection.sent:
            self._connection.send(_PING)
        self._connection.sent = False

    def _marked(self, headers: Headers, flows: Meter | None = None) -> Headers:
        head = self._message.head
        origin = b"" if head is None else head.origin
        if self.cached is not None:
            headers += self.cached.headers()
        taken, job, line = self.taken, self.job, self._timeline
        return self._marks.added(headers, self.request_id, origin, taken, job, line, self.source, flows)

    @property
    def source(self) -> str:
        """Where an answer comes from that no backend was asked for; empty: from a backend, or from nowhere."""
        return self.cached.replay.backend if self.cached is not None and self.cached.replay is not None else ""

    def _accepts(self, coding: bytes) -> bool:
        head = self._message.head
        return head is not None and codings.accepts(head.fields.get(b"accept-encoding", b""), coding)

    def _api(self) -> Api:
        """In whose shape an error is told; known before any route is found."""
        head = self._message.head
        return api_of(self._message.target) if head is None else api_of(head.target, head.fields)


def _fault_at_end(job: JobLoop, answer: Answer) -> Fault | None:
    return job.cut_by or answer.fault or judge.fault_of_end(answer, job.endpoint)


def _error_body(answer: Answer, api: Api) -> bytes:
    """An engine's error as the asked API writes it, whatever it was wrapped in."""
    try:
        body = codings.undone(answer.body, codings.coding_of(answer.headers), answer.backend)
    except FaultError:
        body = b""
    body = sse.payload(body) or body
    return errors.normalised(answer.status, body, api) or body


async def _awaited(future: "asyncio.Future[None]") -> None:
    await future
