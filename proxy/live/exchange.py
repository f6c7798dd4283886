"""One request from its last byte to its outcome: understood, placed, attempted, relayed, accounted.

    message ─▶ understand ─▶ Driver.place ─▶ attempt ─▶ judge ─▶ deliver ─▶ account
                                  ▲            │ failed, nothing sent yet
                                  └────────────┘

Owns the order of these steps and the one `finally` in which everything is given back. Decides nothing itself.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from proxy.live import judge
from proxy.live.attempt import Call, Caller
from proxy.live.backends import Backend
from proxy.live.catalogue import ModelList
from proxy.live.driver import Driver
from proxy.live.edge import Connection, Message
from proxy.live.intake import Intake, Taken
from proxy.live.memory import MemoryGuard
from proxy.live.relay import Relay
from proxy.model.classes import NOTHING_PROMISED
from proxy.model.commands import Finished, Refuse
from proxy.model.faults import Fault, FaultError, Kind, Source, downstream, internal
from proxy.model.limits import Limits
from proxy.model.outcome import SERVED, UNFINISHED, Outcome, Phase, failed_with
from proxy.model.request import Endpoint, Job, Request
from proxy.model.timeline import Timeline
from proxy.obs.record import Record
from proxy.wire import answers, errors
from proxy.wire import body as bodies
from proxy.wire.continuation import Continuation
from proxy.wire.headers import Head
from proxy.wire.meter import Meter
from proxy.wire.resumable import is_resumable
from proxy.wire.routes import Route, route
from proxy.wire.tokens import Source as TokenSource
from proxy.wire.usage import NO_USAGE, Usage

_log = logging.getLogger("tidegate.exchange")
_JSON = (b"content-type", b"application/json")
_SSE = (b"content-type", b"text/event-stream")
_PING = b": ping\n"
"""One newline: a blank line after a comment crashes openai-python when an `id:` came before."""
_SAYS_DONE = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
_PREEMPTED = internal(Kind.QUEUE_FULL, "Another request needed the place of this one.")
_T = TypeVar("_T")


class Gateway(NamedTuple):
    """What all exchanges share."""

    driver: Driver
    caller: Caller
    backends: dict[str, Backend]
    models: ModelList
    intake: Intake
    policy: str
    limits: Limits
    attempts: int
    memory: MemoryGuard
    record: Callable[[Record], None]
    running: "set[Exchange]"

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
        "_calls",
        "_connection",
        "_cut_by",
        "_gateway",
        "_job",
        "_message",
        "_meter",
        "_phase",
        "_ping_s",
        "_relay",
        "_request",
        "_resumable",
        "_route_reason",
        "_settled",
        "_status",
        "_taken",
        "_timeline",
    )

    def __init__(self, gateway: Gateway, connection: Connection, message: Message) -> None:
        self._gateway = gateway
        self._connection = connection
        self._message = message
        self._timeline = Timeline(monotonic())
        self._phase = Phase.READ
        self._request: Request | None = None
        self._job: Job | None = None
        self._taken: Taken | None = None
        self._resumable: dict[str, Any] = {}
        """The parsed body, kept only where another backend may have to go on with the answer."""
        self._route_reason = ""
        self._settled = True
        """The scheduler knows the end of the job."""
        self._relay: Relay | None = None
        self._backend = ""
        self._attempts = 0
        self._calls = 0
        """Times the request was sent to any engine."""
        self._status = 0
        self._ping_s = 0.0
        self._cut_by: Fault | None = None
        self._meter = Meter()

    async def run(self) -> None:
        """From the message to its Outcome; never raises."""
        outcome = SERVED
        try:
            outcome = await self._serve()
        except FaultError as error:
            outcome = self._refuse(error.fault)
        except asyncio.CancelledError:
            outcome = self._left()
        except Exception:  # noqa: BLE001 - the last line: a bug becomes one 500 and one traceback, no hanging client
            _log.exception("internal error; request %s", self._request.id if self._request else "-")
            outcome = self._refuse(internal(Kind.BUG, "Tidegate failed internally; this is a bug, please report it."))
        finally:
            usage = self._usage()
            self._give_back(outcome, usage[0])
            self._account(outcome, *usage)

    def cut(self, fault: Fault) -> None:
        """End now, with `fault` where the client can still be told: the drain's last resort."""
        self._cut_by = fault
        if self._relay is not None:
            self._relay.release()
            self._relay.on_fault(fault)

    def tell_gaps(self, take: Callable[[str, str, str, Meter], None]) -> None:
        """Hand over what a running stream has metered so far."""
        if self._request is not None and self._job is not None:
            take(self._request.endpoint.value, self._job.traffic_class, self._backend, self._meter)

    # --- understanding

    async def _serve(self) -> Outcome:
        message, gateway = self._message, self._gateway
        if message.fault is not None:
            raise FaultError(message.fault)
        head = message.head
        assert head is not None
        if head.method == "OPTIONS":
            return self._answer(204, [(b"allow", b"GET, POST, OPTIONS")], b"")
        found = route(head.target)
        if head.method not in found.methods:
            allowed = ", ".join(sorted(found.methods))
            raise FaultError(downstream(Kind.METHOD, f"{head.method} is not allowed here; use {allowed}."))
        if found.endpoint is Endpoint.MODELS:
            return self._answer_models(found)
        if gateway.memory.is_full:
            raise FaultError(internal(Kind.MEMORY, "Tidegate is short of memory; please try again.", 2.0))
        body = bodies.decode(message.body, head.content_encoding, gateway.limits.body.size)
        request, job = self._understand(head, found, body)
        assert self._taken is not None
        settings = self._taken.classified.traffic_class.stream
        self._ping_s = settings.ping if request.stream else 0.0
        self._timeline.understood = monotonic()
        self._phase = Phase.QUEUE
        call = Call(request, job, head.forward, body, settings, self._timeline, self._meter)
        return await self._deliver(call, await self._attempted(call))

    def _understand(self, head: Head, found: Route, body: bytes) -> tuple[Request, Job]:
        """The request and its job; the parsed body is not kept."""
        gateway = self._gateway
        request, fields = bodies.read(head, found, body, gateway.limits.parameters)
        self._request = request
        taken = self._taken = gateway.intake.take(head, request, fields, self._timeline.received)
        self._job = taken.job
        if taken.classified.traffic_class.stream.resume and request.stream:
            self._resumable = fields
        if request.stream and gateway.intake.foresees:
            self._meter.on_first = self._on_first_token
        return request, taken.job

    def _on_first_token(self) -> None:
        if self._job is not None:
            self._gateway.driver.first_token(self._job.id)

    def _abort(self) -> None:
        """The attempt's place is needed for another job; it goes on elsewhere or later."""
        if self._relay is not None:
            self._relay.release()
            self._relay.on_fault(_PREEMPTED)

    def _answer_models(self, found: Route) -> Outcome:
        if not found.item:
            return self._answer(200, [_JSON], self._gateway.models.render())
        body = self._gateway.models.find(found.item)
        if body is None:
            text = f"The model `{found.item[:64]}` does not exist."
            raise FaultError(downstream(Kind.MODEL_NOT_FOUND, text, param="model"))
        return self._answer(200, [_JSON], body)

    # --- attempts

    async def _attempted(self, call: Call) -> Relay:
        """The attempt whose answer the client gets: a good one, or the last one an engine answered with an error."""
        driver, job = self._gateway.driver, call.job
        self._settled = False
        command = await self._with_pings(driver.place(job, self._abort))
        while not isinstance(command, Refuse):
            if driver.is_preempted(job.id):
                command = await self._with_pings(driver.again(job.id))
                continue
            self._timeline.released = monotonic()
            self._attempts, self._backend = command.attempt, command.backend
            self._phase = Phase.HEAD
            backend = self._gateway.backends[command.backend]
            relay = await self._with_pings(self._attempt(call, backend))
            if driver.is_preempted(job.id) and self._cut_by is None:
                relay.release()
                continue
            fault = self._cut_by or judge.fault_of(relay, backend.dialect)
            if fault is None:
                if self._meter.first_token is None or not self._gateway.intake.foresees:
                    driver.first_byte(job.id)
                return relay
            relay.release()
            self._calls += relay.calls
            repeatable = self._may_repeat(fault, call.request.endpoint)
            command = await self._with_pings(driver.failed(job.id, fault, repeatable=repeatable))
            if isinstance(command, Refuse) and relay.fault is None and relay.complete and relay.stream is None:
                self._settled = True
                return relay
        self._settled = True
        self._route_reason = (command.reason or command.fault.kind).value
        raise FaultError(self._cut_by or command.fault)

    def _may_repeat(self, fault: Fault, endpoint: Endpoint) -> bool:
        if self._cut_by is not None or self._calls >= self._gateway.attempts:
            return False
        return judge.is_repeatable(fault, endpoint)

    async def _attempt(self, call: Call, backend: Backend, continuation: Continuation | None = None) -> Relay:
        caller = self._gateway.caller
        fields, endpoint = self._resumable, call.request.endpoint
        if continuation is None and fields and is_resumable(fields, endpoint, backend.dialect):
            continuation = Continuation(fields, endpoint, backend.dialect)
        relay = self._relay = caller.relay(call, backend, continuation)
        relay = self._relay = await caller.attempt(call, backend, self._attempts, relay)
        return relay

    # --- delivering

    async def _deliver(self, call: Call, relay: Relay) -> Outcome:
        self._phase = Phase.STREAM
        if relay.complete and relay.stream is None:
            return self._deliver_whole(relay)
        if not self._connection.head_sent:
            self._begin(relay)
        await self._flow(relay)
        fault = self._fault_at_end(relay)
        while (
            fault is not None and (following := await self._with_pings(self._resumed(call, relay, fault))) is not None
        ):
            relay = following
            await self._flow(relay)
            fault = self._fault_at_end(relay)
        return self._end(relay, fault)

    async def _flow(self, relay: Relay) -> None:
        self._connection.on_pause = relay.on_pause
        await self._with_pings(_awaited(relay.start(self._connection)))

    def _fault_at_end(self, relay: Relay) -> Fault | None:
        assert self._request is not None
        return self._cut_by or relay.fault or judge.fault_of_end(relay, self._request.endpoint)

    async def _resumed(self, call: Call, relay: Relay, fault: Fault) -> Relay | None:
        """The stream that goes on where `relay` broke off; None where none can or may."""
        continuation = relay.plan.continuation
        if continuation is None or self._cut_by is not None or not continuation.can_continue():
            return None
        relay.release()
        driver = self._gateway.driver
        command = await driver.failed(call.job.id, fault, repeatable=True)
        if isinstance(command, Refuse):
            self._settled = True
            return None
        backend = self._gateway.backends[command.backend]
        if continuation.fits(backend.dialect):
            self._attempts, self._backend = command.attempt, command.backend
            continuation.next_attempt()
            following = await self._attempt(call, backend, continuation)
            if following.stream is not None and not driver.is_preempted(call.job.id):
                driver.first_token(call.job.id)
                return following
            following.release()
            self._relay = relay
        driver.left(call.job.id)
        self._settled = True
        return None

    def _deliver_whole(self, relay: Relay) -> Outcome:
        status, body, headers = relay.status, relay.body, answers.filtered(relay.headers)
        if status < 400:
            self._answer(status, headers, body)
            return SERVED
        if (better := errors.normalised(status, body)) is not None:
            body = better
            headers = [*(h for h in headers if h[0] != b"content-type"), _JSON]
        if self._settled and status != 429 and not any(name == b"x-should-retry" for name, _ in headers):
            headers.append((b"x-should-retry", b"false"))
        outcome = failed_with(_fault_of_answer(relay), Phase.HEAD)
        if self._connection.head_sent:  # a ping went out before the engine's answer: what is left is an event
            self._end_stream(errors.event_of(body))
        else:
            self._answer(status, headers, body)
        return outcome

    def _begin(self, relay: Relay) -> None:
        headers = answers.filtered(relay.headers)
        length = None
        if relay.stream is not None:
            headers = answers.for_stream(headers)
        else:
            length = next((int(v) for n, v in relay.headers if n.lower() == b"content-length"), None)
        self._begin_with(relay.status, headers, length)

    def _begin_with(self, status: int, headers: list[tuple[bytes, bytes]], length: int | None) -> None:
        headers.append((b"x-request-id", self._request_id().encode()))
        self._add_route(headers)
        self._status = status
        self._connection.begin(status, headers, length)

    def _end(self, relay: Relay, fault: Fault | None) -> Outcome:
        """After the last byte of a flowing answer: a clean end only for a clean answer."""
        if fault is None:
            self._connection.end()
            return UNFINISHED if self._misses_done(relay) else SERVED
        if relay.stream is None:
            self._connection.abort()
        else:
            said = relay.stream.saw_error and not self._resumes
            self._end_stream(relay.stream.unsent_error or (b"" if said else errors.event(fault)))
        return failed_with(fault, Phase.STREAM)

    @property
    def _resumes(self) -> int:
        """How often another backend went on with the stream."""
        continuation = self._relay.plan.continuation if self._relay is not None else None
        return continuation.attempt - 1 if continuation is not None else 0

    def _misses_done(self, relay: Relay) -> bool:
        assert self._request is not None
        if relay.stream is None or relay.stream.saw_done or self._request.endpoint not in _SAYS_DONE:
            return False
        return self._gateway.backends[self._backend].dialect.says_done

    def _end_stream(self, event: bytes) -> None:
        """A stream that failed: said in its last event, and closed."""
        if event:
            self._connection.send(event)
        self._connection.closing = True
        self._connection.end()

    def _add_route(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Where the job went, as what and why, in one short line."""
        taken = self._taken
        if taken is None:
            return
        line, classified = self._timeline, taken.classified
        since = self._timeline.received if line.understood is None else line.understood
        queued_ms = ((monotonic() if line.released is None else line.released) - since) * 1e3
        rule = classified.by if classified.rule is None else f"rules[{classified.rule}]"
        reason = self._route_reason or ("retry" if self._attempts > 1 else self._gateway.policy)
        text = (
            f"backend={self._backend or 'none'}; class={taken.job.traffic_class}; rule={rule}; reason={reason}; "
            f"queued={max(0.0, queued_ms):.0f}ms"
        )
        headers.append((b"x-tidegate-route", text.encode()))

    # --- keep-alive comments

    async def _with_pings(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for `work`; with pings switched on, silence is filled with comments."""
        if not self._ping_s:
            return await work
        task = asyncio.ensure_future(work)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=self._ping_s)
                if done:
                    return task.result()
                self._ping()
        finally:
            task.cancel()

    def _ping(self) -> None:
        if not self._connection.head_sent:
            self._begin_with(200, answers.for_stream([_SSE]), None)
        elif monotonic() - self._connection.last_sent < self._ping_s:
            return
        self._connection.send(_PING)

    # --- endings

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Outcome:
        self._status = status
        headers.append((b"x-request-id", self._request_id().encode()))
        self._add_route(headers)
        self._connection.respond(status, headers, body)
        return SERVED

    def _refuse(self, fault: Fault) -> Outcome:
        if not self._connection.head_sent:
            error = errors.answer(fault)
            self._connection.closing |= error.closes
            self._answer(error.status, error.headers, error.body)
        elif self._ping_s:
            self._end_stream(errors.event(fault))
        else:
            self._connection.abort()
        return failed_with(fault, self._phase)

    def _left(self) -> Outcome:
        stalled = self._connection.stalled
        kind, text = (Kind.WRITE_STALL, "The client took no bytes.") if stalled else (Kind.LEFT, "The client left.")
        return failed_with(downstream(kind, text), self._phase)

    def _give_back(self, outcome: Outcome, usage: Usage) -> None:
        """The permit and the connection, exactly once, whatever happened."""
        self._timeline.done = monotonic()
        self._meter.on_first = None
        relay = self._relay
        if relay is not None:
            relay.release()
        if self._settled or self._job is None:
            return
        self._settled = True
        fault = outcome.fault
        if fault is None or fault.kind is Kind.INVALID:
            self._finished(self._job, usage, ok=fault is None)
        elif fault.source is Source.UPSTREAM:
            self._gateway.driver.broke(self._job.id, fault)
        else:
            self._gateway.driver.left(self._job.id)

    def _finished(self, job: Job, usage: Usage, *, ok: bool) -> None:
        report = Finished(job.id, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, ok)
        self._gateway.driver.finished(report)
        if ok and usage.completion_tokens is not None and self._taken is not None:
            self._gateway.intake.learn(self._taken.asked, usage.completion_tokens)

    def _request_id(self) -> str:
        head = self._message.head
        return head.request_id if head is not None else self._connection.new_id()

    def _account(self, outcome: Outcome, usage: Usage, source: str) -> None:
        request, head = self._request, self._message.head
        target = head.target.decode("ascii", "replace") if head else ""
        self._gateway.record(
            Record(
                id=self._request_id() if head else "",
                method=head.method if head else "",
                path=target.partition("?")[0][:256],
                endpoint=(request.endpoint if request else Endpoint.OTHER).value,
                traffic_class=self._job.traffic_class if self._job else "",
                model_asked=(request.model or "") if request else "",
                model_served=self._model_served(),
                backend=self._backend,
                attempts=self._attempts,
                status=self._status,
                stream=request.stream if request else False,
                body_bytes=len(self._message.body),
                outcome=outcome,
                timeline=self._timeline,
                usage=usage,
                token_source=source,
                meter=self._meter,
                resumed=self._resumes,
                promise=self._taken.promise if self._taken is not None else NOTHING_PROMISED,
            )
        )

    def _model_served(self) -> str:
        """The engine's own name; empty when no engine was asked."""
        if self._job is None or not self._backend:
            return ""
        return self._gateway.driver.scheduler.upstream_model(self._backend, self._job.model)

    def _usage(self) -> tuple[Usage, str]:
        """Tokens and how we know: as the engine says, else as far as its events showed."""
        if self._relay is None:
            return NO_USAGE, ""
        usage = self._relay.usage()
        if self._relay.plan.continuation is not None:
            usage = self._relay.plan.continuation.corrected(usage)
        if usage.completion_tokens is not None or not self._meter.tokens:
            return usage, TokenSource.ENGINE_USAGE.value if usage != NO_USAGE else ""
        return usage._replace(completion_tokens=self._meter.tokens), self._relay.token_source().value


async def _awaited(future: "asyncio.Future[None]") -> None:
    await future


def _fault_of_answer(relay: Relay) -> Fault:
    source = Source.DOWNSTREAM if relay.status < 500 and relay.status != 429 else Source.UPSTREAM
    kind = Kind.INVALID if source is Source.DOWNSTREAM else Kind.ERROR_STATUS
    return Fault(source, kind, f"Backend {relay.backend} answered with status {relay.status}.")
