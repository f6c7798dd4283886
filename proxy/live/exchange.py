"""One request from its last byte to its outcome: understood, carried out, relayed, accounted.

    message ─▶ understand ─▶ JobLoop.answer ─▶ deliver ─▶ account
                               ▲               │ broke off, and another backend can go on
                               └───────────────┘

Owns the order of these steps and the one `finally` in which everything is given back. Decides nothing itself; the
attempts are the job's.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import orjson

from proxy import __version__
from proxy.core.permitted import Patterns
from proxy.core.refusals import short_of_memory
from proxy.core.scheduler import Scheduler
from proxy.engines.routes import offers
from proxy.live import judge
from proxy.live.attempt import Call
from proxy.live.backends import Backend
from proxy.live.bodies import INLINE_B, Bodies
from proxy.live.budget import Budget
from proxy.live.catalogue import ModelList
from proxy.live.edge import Connection
from proxy.live.flows import Flows
from proxy.live.intake import Intake, Taken
from proxy.live.job import JobLoop, Jobs
from proxy.live.marks import marked
from proxy.live.memory import MemoryGuard
from proxy.live.reader import Message
from proxy.live.relay import Relay
from proxy.model.classes import NOTHING_PROMISED
from proxy.model.faults import Fault, FaultError, Kind, downstream, internal, upstream
from proxy.model.limits import Limits
from proxy.model.outcome import SERVED, UNFINISHED, Outcome, Phase, failed_with
from proxy.model.request import Endpoint, Request
from proxy.model.timeline import Timeline
from proxy.obs.record import Record
from proxy.wire import answers, codings, errors, sse
from proxy.wire import body as bodies
from proxy.wire.cors import Cors
from proxy.wire.error_shapes import Api, api_of
from proxy.wire.headers import Head
from proxy.wire.hops import Hops
from proxy.wire.meter import Meter
from proxy.wire.prompt import tenant as tenant_of
from proxy.wire.routes import Route, route, unknown
from proxy.wire.tokens import Source as TokenSource
from proxy.wire.usage import NO_USAGE, Usage

_log = logging.getLogger("tidegate.exchange")
_JSON = (b"content-type", b"application/json")
_ALLOW = (b"allow", b"GET, POST, OPTIONS")
_RETRY_SOON = (b"retry-after", b"5")
_SSE = (b"content-type", b"text/event-stream")
_PING = b": ping\n"
"""One newline: a blank line after a comment crashes openai-python when an `id:` came before."""
_SAYS_WHEN = frozenset({b"retry-after", b"retry-after-ms"})
_SOON = (b"retry-after", b"1")
_SAYS_DONE = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
_T = TypeVar("_T")


class Gateway(NamedTuple):
    """What all exchanges share."""

    scheduler: Scheduler
    jobs: Jobs
    backends: dict[str, Backend]
    models: ModelList
    intake: Intake
    policy: str
    limits: Limits
    budget: Budget
    bodies: Bodies
    memory: MemoryGuard
    flows: Flows
    cors: Cors
    record: Callable[[Record], None]
    running: "set[Exchange]"
    hops: Hops
    routes: tuple[str, ...]
    """More paths to pass than the listed ones."""
    not_ready: Callable[[], str | None]
    """Why no request should come now; None: they may."""

    def offers(self, path: str) -> bool:
        """Whether any engine here may be asked for it."""
        return any(offers(backend.kind, path) for backend in self.backends.values())

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
        "_charge_b",
        "_connection",
        "_gateway",
        "_job",
        "_message",
        "_meter",
        "_phase",
        "_ping_s",
        "_request",
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
        self._taken: Taken | None = None
        self._job: JobLoop | None = None
        self._status = 0
        self._ping_s = 0.0
        self._meter = Meter()
        self._charge_b = connection.take_charge()
        """Of the budget for bodies."""

    async def run(self) -> None:
        """From the message to its Outcome; never raises."""
        outcome = SERVED
        try:
            outcome = await self._serve()
        except FaultError as error:
            outcome = self._refuse(error.fault)
        except asyncio.CancelledError:
            outcome = self._left()
        except MemoryError:
            outcome = self._refuse(short_of_memory())
        except Exception:  # noqa: BLE001 - the last line: a bug becomes one 500 and one traceback, no hanging client
            _log.exception("internal error; request %s", self._request.id if self._request else "-")
            outcome = self._refuse(internal(Kind.BUG, "Tidegate failed internally; this is a bug, please report it."))
        finally:
            usage = self._usage()
            self._give_back(outcome, usage[0])
            self._account(outcome, *usage)

    def cut(self, fault: Fault) -> None:
        """End now, with `fault` where the client can still be told: the drain's last resort."""
        if self._job is not None:
            self._job.cut(fault)

    @property
    def relay(self) -> Relay | None:
        """Its answer, as far as there is one."""
        return self._job.relay if self._job is not None else None

    @property
    def attempt_id(self) -> int:
        """Whose answer that is, as the scheduler knows it; 0: nobody's."""
        return self._job.attempt_id if self._job is not None else 0

    def fits(self, backend: str) -> bool:
        """Whether that backend could go on with its stream."""
        continuation = self.relay.plan.continuation if self.relay is not None else None
        return continuation is not None and continuation.fits(self._gateway.backends[backend].dialect)

    def tell_gaps(self, take: Callable[[str, str, str, Meter], None]) -> None:
        """Hand over what a running stream has metered so far."""
        if self._request is not None and self._taken is not None and self._job is not None:
            take(self._request.endpoint.value, self._taken.job.traffic_class, self._job.backend, self._meter)

    # --- understanding

    async def _serve(self) -> Outcome:
        message, gateway = self._message, self._gateway
        if message.fault is not None:
            raise FaultError(message.fault)
        head = message.head
        assert head is not None
        if (via := head.fields.get(b"via")) is not None:
            gateway.hops.check(via)
        if head.method == "OPTIONS":
            wanted = head.fields.get(b"access-control-request-headers", b"")
            return self._answer(204, [_ALLOW, *gateway.cors.preflight(head.origin, wanted)], b"")
        found = route(head.target, gateway.routes)
        if found.plain and not gateway.offers(found.plain):
            raise unknown(found.plain)
        if head.method not in found.methods:
            allowed = ", ".join(sorted(found.methods))
            raise FaultError(downstream(Kind.METHOD, f"{head.method} is not allowed here; use {allowed}."))
        if found.endpoint is Endpoint.MODELS:
            return self._answer_models(found, gateway.intake.models_of(head))
        if found.endpoint is Endpoint.HEALTH:
            return self._answer_health(found)
        if gateway.memory.is_full:
            raise FaultError(short_of_memory())
        unpacked_b = min(bodies.decoded_b(message.body, head.content_encoding), gateway.limits.body.size)
        if not gateway.memory.has_room(unpacked_b):
            raise FaultError(short_of_memory())
        body = message.body
        if len(body) > INLINE_B or head.content_encoding:
            request, fields, body, charge_b = await gateway.bodies.understand(head, found, body)
            self._charge_b += charge_b
        else:
            request, fields = bodies.read(head, found, body, gateway.limits.parameters)
        job = self._open(head, request, fields, body)
        self._timeline.understood = monotonic()
        self._phase = Phase.QUEUE
        if gateway.memory.is_tight and self._is_bulk():
            raise FaultError(short_of_memory())
        relay = await self._with_pings(job.answer())
        self._meter = relay.meter
        return await self._deliver(job, relay)

    def _open(self, head: Head, request: Request, fields: dict[str, Any], body: bytes) -> JobLoop:
        """The job of a request, ready to be carried out; the parsed body is kept only where a resume may need it."""
        gateway = self._gateway
        self._request = request
        taken = self._taken = gateway.intake.take(head, request, fields, self._timeline.received)
        settings = taken.classified.traffic_class.stream
        self._ping_s = settings.ping if request.stream else 0.0
        options = fields.get("stream_options")
        call = Call(request, taken.job, head.forward, body, settings, self._timeline, self._meter, options)
        resumes = settings.resume and request.stream and len(body) <= INLINE_B
        job = self._job = JobLoop(gateway.jobs, call, fields if resumes else {})
        return job

    def _is_bulk(self) -> bool:
        return self._taken is not None and self._taken.job.bulk

    def _answer_models(self, found: Route, permitted: Patterns) -> Outcome:
        if not found.item:
            return self._answer(200, [_JSON], self._gateway.models.render(permitted))
        body = self._gateway.models.find(found.item, permitted)
        if body is None:
            text = f"The model `{found.item[:64]}` does not exist."
            raise FaultError(downstream(Kind.MODEL_NOT_FOUND, text, param="model"))
        return self._answer(200, [_JSON], body)

    def _answer_health(self, found: Route) -> Outcome:
        """What load balancers, orchestrators and clients that wait for an engine ask: may requests come?"""
        if found.item == "version":
            return self._answer(200, [_JSON], orjson.dumps({"version": __version__}))
        gateway = self._gateway
        reason = gateway.not_ready()
        if reason is None and not any(backend.answers for backend in gateway.backends.values()):
            reason = "no backend answers"
        if reason is not None:
            return self._answer(503, [_JSON, _RETRY_SOON], orjson.dumps({"status": reason}))
        return self._answer(200, [_JSON], orjson.dumps({"status": "ok"}))

    # --- delivering

    async def _deliver(self, job: JobLoop, relay: Relay) -> Outcome:
        self._phase = Phase.STREAM
        if relay.stream is None and self._connection.head_sent and (relay.status < 400 or not relay.complete):
            text = f"Backend {relay.backend} answered a stream with something else."  # and a ping has begun one
            raise FaultError(upstream(Kind.NONSENSE, text))
        if relay.complete and relay.stream is None:
            return self._deliver_whole(job, relay)
        if not self._connection.head_sent:
            self._begin(relay)
        await self._flow(relay)
        fault = _fault_at_end(job, relay)
        while fault is not None and (following := await self._with_pings(job.resumed(relay, fault))) is not None:
            relay = following
            await self._flow(relay)
            fault = _fault_at_end(job, relay)
        return self._end(job, relay, fault)

    async def _flow(self, relay: Relay) -> None:
        self._connection.on_pause = relay.on_pause
        await self._with_pings(_awaited(relay.start(self._connection)))

    def _deliver_whole(self, job: JobLoop, relay: Relay) -> Outcome:
        status, headers = relay.status, answers.filtered(relay.headers)
        coding = codings.coding_of(relay.headers)
        if status < 400:
            body = relay.body
            if coding and not self._accepts(coding):
                body = codings.undone(body, coding, relay.backend)
                headers = [header for header in headers if header[0] != b"content-encoding"]
            self._answer(status, headers, body)
            return SERVED
        body = _error_body(relay, coding, self._api())
        headers = answers.for_error(headers)
        fault = judge.fault_of_answer(relay)
        names = {name for name, _ in headers}
        if job.settled and job.is_spent and status != 429 and b"x-should-retry" not in names:
            headers.append(errors.DO_NOT_RETRY)
        if job.settled and fault.kind is Kind.BUSY and not names & _SAYS_WHEN:
            headers.append(_SOON)
        outcome = failed_with(fault, Phase.HEAD)
        if self._connection.head_sent:  # a ping went out before the engine's answer: what is left is an event
            self._end_stream(errors.event_of(body, status, self._api()))
        else:
            self._answer(status, headers, body)
        return outcome

    def _accepts(self, coding: bytes) -> bool:
        head = self._message.head
        return head is not None and codings.accepts(head.fields.get(b"accept-encoding", b""), coding)

    def _begin(self, relay: Relay) -> None:
        coding = codings.coding_of(relay.headers)
        if coding and not self._accepts(coding):
            raise FaultError(codings.unasked(relay.backend))
        headers = answers.filtered(relay.headers)
        length = None
        if relay.stream is not None:
            headers = answers.for_stream(headers)
        else:
            length = next((int(v) for n, v in relay.headers if n.lower() == b"content-length"), None)
        self._begin_with(relay.status, headers, length)

    def _begin_with(self, status: int, headers: list[tuple[bytes, bytes]], length: int | None) -> None:
        self._status = status
        self._connection.begin(status, self._marked(headers), length)

    def _end(self, job: JobLoop, relay: Relay, fault: Fault | None) -> Outcome:
        """After the last byte of a flowing answer: a clean end only for a clean answer."""
        if fault is None:
            self._connection.end()
            return UNFINISHED if self._misses_done(relay) else SERVED
        if relay.stream is None:
            self._connection.abort()
        else:
            said = relay.stream.saw_error and not job.resumes
            last = errors.event(fault, self._api(), relay.stream.last_event)
            self._end_stream(relay.stream.unsent_error or (b"" if said else last))
        return failed_with(fault, Phase.STREAM)

    def _misses_done(self, relay: Relay) -> bool:
        assert self._request is not None
        if relay.stream is None or relay.stream.saw_done or self._request.endpoint not in _SAYS_DONE:
            return False
        return self._gateway.backends[relay.backend].dialect.says_done

    def _end_stream(self, event: bytes) -> None:
        """A stream that failed: said in its last event, and closed."""
        if event:
            self._connection.send(event)
        self._connection.closing = True
        self._connection.end()

    def _marked(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        head = self._message.head
        origin = b"" if head is None else head.origin
        gateway, request_id = self._gateway, self._request_id()
        return marked(headers, gateway, request_id, origin, self._taken, self._job, self._timeline)

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
        if not self._connection.sent:
            self._connection.send(_PING)
        self._connection.sent = False

    # --- endings

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Outcome:
        self._status = status
        self._connection.respond(status, self._marked(headers), body)
        return SERVED

    def _refuse(self, fault: Fault) -> Outcome:
        if not self._connection.head_sent:
            spent = self._job is not None and self._job.is_spent
            error = errors.answer(fault, self._api(), self._request_id(), spent=spent)
            self._connection.closing |= error.closes
            self._answer(error.status, error.headers, error.body)
        elif self._ping_s:
            self._end_stream(errors.event(fault, self._api()))
        else:
            self._connection.abort()
        return failed_with(fault, self._how_far())

    def _api(self) -> Api:
        """In whose shape an error is told; known before any route is found."""
        head = self._message.head
        return api_of(self._message.target) if head is None else api_of(head.target, head.fields)

    def _left(self) -> Outcome:
        stalled = self._connection.stalled
        kind, text = (Kind.WRITE_STALL, "The client took no bytes.") if stalled else (Kind.LEFT, "The client left.")
        return failed_with(downstream(kind, text), self._how_far())

    def _how_far(self) -> Phase:
        asked = self._phase is Phase.QUEUE and self._job is not None and self._job.attempts
        return Phase.HEAD if asked else self._phase

    def _give_back(self, outcome: Outcome, usage: Usage) -> None:
        """The permit, the connection and the memory, exactly once, whatever happened."""
        self._gateway.budget.give(self._charge_b)
        self._timeline.done = monotonic()
        served = self._job is not None and self._job.settle(outcome.fault, usage)
        if served and usage.completion_tokens is not None and self._taken is not None:
            self._gateway.intake.learn(self._taken.asked, usage.completion_tokens)
            if self._meter.tokens and self._job is not None:
                self._gateway.flows.ended(self._job.backend, usage.completion_tokens, self._meter.tokens)

    def _request_id(self) -> str:
        head = self._message.head
        return head.request_id if head is not None else self._connection.new_id()

    def _account(self, outcome: Outcome, usage: Usage, source: str) -> None:
        request, head, job = self._request, self._message.head, self._job
        target = head.target.decode("ascii", "replace") if head else ""
        self._gateway.record(
            Record(
                id=self._request_id() if head else "",
                method=head.method if head else "",
                path=target.partition("?")[0][:256],
                endpoint=str(request.endpoint if request else Endpoint.OTHER),
                traffic_class=self._taken.job.traffic_class if self._taken else "",
                model_asked=(request.model or "") if request else "",
                model_served=self._model_served(),
                backend=job.backend if job else "",
                attempts=job.attempts if job else 0,
                status=self._status,
                stream=request.stream if request else False,
                body_bytes=len(self._message.body),
                outcome=outcome,
                timeline=self._timeline,
                usage=usage,
                token_source=source,
                meter=self._meter,
                resumed=job.resumes if job else 0,
                fallback=job.way.said if job is not None and job.way is not None else "",
                hedge=job.hedge_said if job else "",
                promise=self._taken.promise if self._taken is not None else NOTHING_PROMISED,
                tenant=self._tenant(),
                client=self._connection.client,
            )
        )

    def _tenant(self) -> str:
        if self._taken is not None:
            return self._taken.job.tenant
        head = self._message.head
        return tenant_of(head.fields) if head is not None else ""

    def _model_served(self) -> str:
        """The engine's own name; empty when no engine was asked."""
        job = self._job
        if job is None or not job.backend:
            return ""
        return self._gateway.scheduler.upstream_model(job.backend, job.model)

    def _usage(self) -> tuple[Usage, str]:
        """Tokens and how we know: as the engine says, else as far as its events showed."""
        relay = self._job.relay if self._job is not None else None
        if relay is None:
            return NO_USAGE, ""
        usage = relay.usage()
        if relay.plan.continuation is not None:
            usage = relay.plan.continuation.corrected(usage)
        if usage.completion_tokens is not None or not self._meter.tokens:
            return usage, str(TokenSource.ENGINE_USAGE) if usage != NO_USAGE else ""
        return usage._replace(completion_tokens=self._meter.tokens), str(relay.token_source())


def _fault_at_end(job: JobLoop, relay: Relay) -> Fault | None:
    return job.cut_by or relay.fault or judge.fault_of_end(relay, job.endpoint)


def _error_body(relay: Relay, coding: bytes, api: Api) -> bytes:
    """An engine's error as the asked API writes it, whatever it was wrapped in."""
    try:
        body = codings.undone(relay.body, coding, relay.backend)
    except FaultError:
        body = b""
    body = sse.payload(body) or body
    return errors.normalised(relay.status, body, api) or body


async def _awaited(future: "asyncio.Future[None]") -> None:
    await future
