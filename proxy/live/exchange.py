"""One request from its last byte to its outcome: understood, placed, attempted, relayed, accounted.

    message ─▶ understand ─▶ Driver.place ─▶ attempt ─▶ judge ─▶ deliver ─▶ account
                                  ▲            │ failed, nothing sent yet
                                  └────────────┘

Owns the order of these steps and the one `finally` in which everything is given back. Decides nothing itself.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from proxy.live.backends import Backend
from proxy.live.catalogue import ModelList
from proxy.live.driver import Driver
from proxy.live.edge import Connection, Message
from proxy.live.memory import MemoryGuard
from proxy.live.relay import Relay
from proxy.model.commands import Refuse
from proxy.model.faults import Fault, FaultError, Kind, Retry, Source, downstream, internal, upstream
from proxy.model.limits import Limits
from proxy.model.outcome import SERVED, Outcome, Phase, failed_with
from proxy.model.request import REPEATABLE, Endpoint, Job, Request
from proxy.model.timeline import Timeline
from proxy.obs.record import Record
from proxy.wire import answers, errors, splice, sse, usage
from proxy.wire import body as bodies
from proxy.wire.routes import Route, route
from proxy.wire.usage import NO_USAGE

_log = logging.getLogger("tidegate.exchange")
_NOTHING_DONE = frozenset({Kind.CONNECT, Kind.CONNECT_TIMEOUT, Kind.BUSY})
"""Faults after which any request may be sent elsewhere: no engine has begun to work on it."""


class Gateway(NamedTuple):
    """What all exchanges share."""

    driver: Driver
    backends: dict[str, Backend]
    models: ModelList
    default_model: str | None
    limits: Limits
    record: Callable[[Record], None]
    loop: asyncio.AbstractEventLoop
    running: "set[Exchange]"
    memory: MemoryGuard

    async def handle(self, connection: Connection, message: Message) -> None:
        """The edge's handler."""
        exchange = Exchange(self, connection, message)
        self.running.add(exchange)
        try:
            await exchange.run()
        finally:
            self.running.discard(exchange)
            connection.finished()


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_attempts",
        "_backend",
        "_connection",
        "_cut_by",
        "_gateway",
        "_job",
        "_message",
        "_phase",
        "_relay",
        "_request",
        "_settled",
        "_status",
        "_timeline",
    )

    _next_job_id = 0

    def __init__(self, gateway: Gateway, connection: Connection, message: Message) -> None:
        self._gateway = gateway
        self._connection = connection
        self._message = message
        self._timeline = Timeline(monotonic())
        self._phase = Phase.READ
        self._request: Request | None = None
        self._job: Job | None = None
        self._settled = True
        """The scheduler knows the end of the job."""
        self._relay: Relay | None = None
        self._backend = ""
        self._attempts = 0
        self._status = 0
        self._cut_by: Fault | None = None

    async def run(self) -> None:
        """From the message to its Outcome; never raises."""
        outcome = SERVED
        try:
            outcome = await self._serve()
        except FaultError as error:
            outcome = self._refuse(error.fault)
        except asyncio.CancelledError:
            outcome = self._left()
        except Exception:  # noqa: BLE001 - the last line: a bug of ours becomes one 500 and one traceback, not a hanging client
            _log.exception("internal error; request %s", self._request.id if self._request else "-")
            outcome = self._refuse(internal(Kind.BUG, "Tidegate failed internally; this is a bug, please report it."))
        finally:
            self._give_back(outcome)
            self._account(outcome)

    def cut(self, fault: Fault) -> None:
        """End now, with `fault` where the client can still be told: the drain's last resort."""
        self._cut_by = fault
        if self._relay is not None:
            self._relay.release(answered=False)
            self._relay.on_fault(fault)

    # --- understanding

    async def _serve(self) -> Outcome:
        message, gateway = self._message, self._gateway
        if message.fault is not None:
            raise FaultError(message.fault)
        head = message.head
        assert head is not None
        body = bodies.decode(message.body, head.content_encoding, gateway.limits.body.size)
        if head.method == "OPTIONS":
            return self._answer(204, [(b"allow", b"GET, POST, OPTIONS")], b"")
        found = route(head.target)
        if head.method not in found.methods:
            raise FaultError(
                downstream(Kind.METHOD, f"{head.method} is not allowed here; use {', '.join(sorted(found.methods))}.")
            )
        if found.endpoint is Endpoint.MODELS:
            return self._answer_models(found)
        if gateway.memory.is_full:
            raise FaultError(internal(Kind.MEMORY, "Tidegate is short of memory; please try again.", retry_after_s=2.0))
        request = self._request = bodies.understand(head, found, body, gateway.limits.parameters)
        job = self._job = self._job_of(request)
        self._timeline.understood = monotonic()
        self._phase = Phase.QUEUE
        relay = await self._attempted(job, request, body)
        return await self._deliver(relay)

    def _job_of(self, request: Request) -> Job:
        model = request.model or self._gateway.default_model
        if model is None:
            model = self._gateway.models.only()
        if model is None:
            raise bodies.invalid("The request names no model, and there are several; see GET /v1/models.", "model")
        Exchange._next_job_id += 1
        wait_s = request.client_timeout_s
        return Job(
            Exchange._next_job_id,
            model,
            request.endpoint,
            request.stream,
            request.body_bytes,
            request.max_tokens,
            None if not wait_s else self._timeline.received + wait_s,
        )

    def _answer_models(self, found: Route) -> Outcome:
        if not found.item:
            return self._answer(200, [(b"content-type", b"application/json")], self._gateway.models.render())
        body = self._gateway.models.find(found.item)
        if body is None:
            text = f"The model `{found.item[:64]}` does not exist."
            raise FaultError(downstream(Kind.MODEL_NOT_FOUND, text, param="model"))
        return self._answer(200, [(b"content-type", b"application/json")], body)

    # --- attempts

    async def _attempted(self, job: Job, request: Request, body: bytes) -> Relay:
        """The attempt whose answer the client gets: a good one, or the last one an engine answered with an error."""
        driver = self._gateway.driver
        self._settled = False
        command = await driver.place(job)
        while not isinstance(command, Refuse):
            self._timeline.released = monotonic()
            self._attempts, self._backend = command.attempt, command.backend
            self._phase = Phase.HEAD
            backend = self._gateway.backends[command.backend]
            relay = await self._attempt(backend, job, request, body)
            fault = self._cut_by or self._judged(relay, backend)
            if fault is None:
                driver.first_byte(job.id)
                return relay
            relay.release(answered=False)
            command = await driver.failed(job.id, fault, repeatable=self._cut_by is None and self._is_repeatable(fault))
            if isinstance(command, Refuse) and relay.fault is None and relay.complete and not relay.streams:
                self._settled = True
                return relay
        self._settled = True
        raise FaultError(self._cut_by or command.fault)

    async def _attempt(self, backend: Backend, job: Job, request: Request, body: bytes) -> Relay:
        gateway = self._gateway
        head = self._message.head
        assert head is not None
        target, body = self._spliced(request, job, body)
        attempt_id = request.id if self._attempts == 1 else f"{request.id}-{self._attempts}"  # vLLM wants unique ids
        message = backend.message(request.method, target, attempt_id, head.forward, body)
        connection = backend.pool.take_idle()
        while True:
            relay = self._relay = Relay(backend.name, gateway.limits.upstream, self._timeline, gateway.loop)
            try:
                relay.connection = connection or await backend.pool.connect()
            except FaultError as error:
                relay.fault = error.fault
                return relay
            self._timeline.connected = monotonic()
            relay.connection.send(message, relay)
            await relay.ready
            if relay.fault is None or relay.fault.retry is not Retry.REUSED_CONNECTION_ONLY:
                return relay
            connection = None  # the engine had closed the pooled connection: once more, on a new one

    def _spliced(self, request: Request, job: Job, body: bytes) -> tuple[str, bytes]:
        engine_name = self._gateway.driver.scheduler.upstream_model(self._backend, job.model)
        if request.model is not None and engine_name != request.model and body[:1] in b"{ \t\r\n":
            body = splice.replace_value(body, "model", engine_name)
        return request.target, body

    def _judged(self, relay: Relay, backend: Backend) -> Fault | None:
        """What is wrong with an answer of which nothing was sent yet."""
        if relay.fault is not None:
            return relay.fault
        status = relay.status
        if status < 300 and relay.saw_error:
            return self._judged_first_event(relay)
        if status < 300 or (400 <= status < 500 and status != 429):
            return None
        if 300 <= status < 400:
            relay.complete = False
            return upstream(
                Kind.REDIRECT, f"Backend {relay.backend} answered with a redirect, which is never followed."
            )
        if status in (429, 503):
            text = f"Backend {relay.backend} is too busy (status {status})."
            return upstream(Kind.BUSY, text, Retry.SAFE, _retry_after_s(relay))
        if status == 500 and backend.dialect.answers_500_to_bad_requests:
            return None
        retry = Retry.SAFE if status in (502, 504) else Retry.NEVER
        return upstream(Kind.ERROR_STATUS, f"Backend {relay.backend} answered with status {status}.", retry)

    def _judged_first_event(self, relay: Relay) -> Fault | None:
        found = errors.first_event_fault(sse.payload(relay.tail[0]) or b"", relay.backend) if relay.tail else None
        if found is None:
            return None
        fault, relay.status = found
        relay.turn_into_error(sse.payload(relay.tail[0]) or b"")
        return fault

    def _is_repeatable(self, fault: Fault) -> bool:
        if fault.kind in _NOTHING_DONE:
            return True
        assert self._request is not None
        return fault.retry is Retry.SAFE and self._request.endpoint in REPEATABLE

    # --- delivering

    async def _deliver(self, relay: Relay) -> Outcome:
        self._phase = Phase.STREAM
        headers = answers.filtered(relay.headers)
        if relay.complete and not relay.streams:
            return self._deliver_whole(relay, headers)
        if relay.streams:
            headers = [h for h in headers if h[0] not in (b"cache-control", b"x-accel-buffering")]
            headers += answers.SSE_HEADERS
        self._begin(relay, headers)
        await relay.start(self._connection)
        return await self._end(relay)

    def _deliver_whole(self, relay: Relay, headers: list[tuple[bytes, bytes]]) -> Outcome:
        status, body = relay.status, relay.body
        if status < 400:
            outcome = SERVED
        else:
            outcome = self._engine_error(relay)
            if (better := errors.normalised(status, body)) is not None:
                body = better
                headers = [h for h in headers if h[0] != b"content-type"] + [(b"content-type", b"application/json")]
            if self._settled and not any(name == b"x-should-retry" for name, _ in headers) and status != 429:
                headers.append((b"x-should-retry", b"false"))
        self._answer(status, headers, body)
        return outcome

    def _engine_error(self, relay: Relay) -> Outcome:
        source = Source.DOWNSTREAM if relay.status < 500 and relay.status != 429 else Source.UPSTREAM
        kind = Kind.INVALID if source is Source.DOWNSTREAM else Kind.ERROR_STATUS
        fault = Fault(source, kind, f"Backend {relay.backend} answered with status {relay.status}.")
        return failed_with(fault, Phase.HEAD)

    def _begin(self, relay: Relay, headers: list[tuple[bytes, bytes]]) -> None:
        length = None
        if not relay.streams:
            length = next((int(v) for n, v in relay.headers if n.lower() == b"content-length"), None)
        headers.append((b"x-request-id", self._request_id().encode()))
        self._status = relay.status
        self._connection.on_pause = relay.on_pause
        self._connection.begin(relay.status, headers, length)

    async def _end(self, relay: Relay) -> Outcome:
        """After the last byte of a flowing answer: a clean end only for a clean answer."""
        fault = self._cut_by or relay.fault
        if fault is None and relay.streams:
            fault = self._stream_fault(relay)
        if fault is None:
            self._connection.end()
            return SERVED
        if relay.streams:
            if not relay.saw_error:
                self._connection.send(errors.event(fault))
            self._connection.closing = True
            self._connection.end()
        else:
            self._connection.abort()
        return failed_with(fault, Phase.STREAM)

    def _stream_fault(self, relay: Relay) -> Fault | None:
        if relay.saw_error:
            return upstream(Kind.STREAM_ERROR, f"Backend {relay.backend} reported an error inside its stream.")
        if relay.saw_done or usage.has_ended(relay.tail):
            return None
        assert self._request is not None
        if self._request.endpoint not in (Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.RESPONSES):
            return None  # only here do we know what a complete stream looks like
        return upstream(Kind.CUT, f"Backend {relay.backend} ended its stream before its text was complete.")

    # --- endings

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Outcome:
        self._status = status
        headers.append((b"x-request-id", self._request_id().encode()))
        self._connection.respond(status, headers, body)
        return SERVED

    def _refuse(self, fault: Fault) -> Outcome:
        if self._connection.head_sent:
            self._connection.abort()
        else:
            error = errors.answer(fault)
            self._connection.closing |= error.closes
            self._answer(error.status, error.headers, error.body)
        return failed_with(fault, self._phase)

    def _left(self) -> Outcome:
        stalled = self._connection.stalled
        kind, text = (Kind.WRITE_STALL, "The client took no bytes.") if stalled else (Kind.LEFT, "The client left.")
        return failed_with(downstream(kind, text), self._phase)

    def _give_back(self, outcome: Outcome) -> None:
        """The permit and the connection, exactly once, whatever happened."""
        self._timeline.done = monotonic()
        relay = self._relay
        if relay is not None:
            relay.release(answered=relay.saw_done or relay.saw_error)
        if self._settled or self._job is None:
            return
        self._settled = True
        fault = outcome.fault
        if fault is None or fault.kind is Kind.INVALID:
            self._gateway.driver.finished(self._job.id)
        elif fault.source is Source.UPSTREAM:
            self._gateway.driver.broke(self._job.id, fault)
        else:
            self._gateway.driver.left(self._job.id)

    def _request_id(self) -> str:
        head = self._message.head
        return head.request_id if head is not None else self._connection.new_id()

    def _account(self, outcome: Outcome) -> None:
        request, relay, head = self._request, self._relay, self._message.head
        target = head.target.decode("ascii", "replace") if head else ""
        self._gateway.record(
            Record(
                id=self._request_id() if head else "",
                method=head.method if head else "",
                path=target.partition("?")[0][:256],
                endpoint=(request.endpoint if request else Endpoint.OTHER).value,
                model_asked=(request.model or "") if request else "",
                model_served=self._job.model if self._job and self._backend else "",
                backend=self._backend,
                attempts=self._attempts,
                status=self._status,
                stream=request.stream if request else False,
                body_bytes=len(self._message.body),
                outcome=outcome,
                timeline=self._timeline,
                usage=relay.usage() if relay is not None else NO_USAGE,
            )
        )


def _retry_after_s(relay: Relay) -> float | None:
    value = next((v for n, v in relay.headers if n.lower() == b"retry-after"), b"")
    return min(float(value), 60.0) if value.isdigit() and len(value) < 6 else None
