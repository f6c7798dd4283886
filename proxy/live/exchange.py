"""One request from its last byte to its outcome: understood, carried out, relayed, accounted.

    message ─▶ understand ─▶ JobLoop.answer ─▶ deliver ─▶ account
                               ▲               │ broke off, and another backend can go on
                               └───────────────┘

Owns the order of these steps and the one `finally` in which everything is given back. Decides nothing itself; the
attempts are the job's.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from proxy.core.refusals import short_of_memory
from proxy.core.scheduler import Scheduler
from proxy.engines.routes import offers
from proxy.live.attempt import Call
from proxy.live.background.memory import MemoryGuard
from proxy.live.background.stream_watch import StreamWatch
from proxy.live.deliver import Writer
from proxy.live.downstream.bodies import INLINE_B, Bodies
from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.reader import Message
from proxy.live.job import JobLoop
from proxy.live.job_builder import BuiltJob, JobBuilder
from proxy.live.outstanding import Jobs
from proxy.live.own import OwnAnswers
from proxy.live.relay import Relay
from proxy.live.response_headers import ResponseHeaders
from proxy.live.upstream.backends import Upstream
from proxy.model.classes import NOTHING_PROMISED
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Fault, FaultError, Kind, downstream, internal
from proxy.model.limits import Limits
from proxy.model.outcome import SERVED, Outcome, Phase, failed_with
from proxy.model.request import Request
from proxy.model.timeline import Timeline
from proxy.obs.record import Record
from proxy.wire import body as bodies
from proxy.wire.cors import Cors
from proxy.wire.headers import Head
from proxy.wire.hops import Hops
from proxy.wire.meter import Meter
from proxy.wire.prompt import tenant as tenant_of
from proxy.wire.routes import route, unknown
from proxy.wire.tokens import CountSource
from proxy.wire.usage import NO_USAGE, Usage

_log = logging.getLogger("tidegate.exchange")
_ALLOW = (b"allow", b"GET, POST, OPTIONS")


class Gateway(NamedTuple):
    """What all exchanges share."""

    scheduler: Scheduler
    jobs: Jobs
    backends: dict[str, Upstream]
    job_builder: JobBuilder
    response_headers: ResponseHeaders
    own: OwnAnswers
    limits: Limits
    budget: Budget
    bodies: Bodies
    memory: MemoryGuard
    stream_watch: StreamWatch
    cors: Cors
    record: Callable[[Record], None]
    running: "set[Exchange]"
    hops: Hops
    routes: tuple[str, ...]
    """More paths to pass than the listed ones."""

    def offers(self, path: str) -> bool:
        """Whether any engine here may be asked for it."""
        return any(offers(backend.kind, path) for backend in self.backends.values())

    async def handle(self, connection: ClientConnection, message: Message) -> None:
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
        "_request",
        "_taken",
        "_timeline",
        "_writer",
    )

    def __init__(self, gateway: Gateway, connection: ClientConnection, message: Message) -> None:
        self._gateway = gateway
        self._connection = connection
        self._message = message
        self._timeline = Timeline(monotonic())
        self._phase = Phase.READ
        self._request: Request | None = None
        self._taken: BuiltJob | None = None
        self._job: JobLoop | None = None
        self._writer = Writer(connection, message, self._timeline, gateway.response_headers)
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
            return self._writer.respond(204, [_ALLOW, *gateway.cors.preflight(head.origin, wanted)], b"")
        found = route(head.target, gateway.routes)
        if found.plain and not gateway.offers(found.plain):
            raise unknown(found.plain)
        if head.method not in found.methods:
            allowed = ", ".join(sorted(found.methods))
            raise FaultError(downstream(Kind.METHOD, f"{head.method} is not allowed here; use {allowed}."))
        if found.endpoint is Endpoint.MODELS:
            return self._writer.respond(*gateway.own.models(found.item, gateway.job_builder.models_of(head)))
        if found.endpoint is Endpoint.HEALTH:
            return self._writer.respond(*gateway.own.health(found.item))
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
        answer = await self._writer.with_pings(job.answer())
        self._meter = answer.meter
        self._phase = Phase.STREAM
        return await self._writer.deliver(job, answer)

    def _open(self, head: Head, request: Request, fields: dict[str, Any], body: bytes) -> JobLoop:
        """The job of a request, ready to be carried out; the parsed body is kept only where a resume may need it."""
        gateway = self._gateway
        self._request = request
        taken = self._taken = self._writer.taken = gateway.job_builder.take(
            head, request, fields, self._timeline.received
        )
        settings = taken.classified.traffic_class.stream
        self._writer.ping_s = settings.ping if request.stream else 0.0
        options = fields.get("stream_options")
        call = Call(request, taken.job, head.forward, body, settings, self._timeline, self._meter, options)
        resumes = settings.resume and request.stream and len(body) <= INLINE_B
        job = self._job = self._writer.job = JobLoop(gateway.jobs, call, fields if resumes else {})
        return job

    def _is_bulk(self) -> bool:
        return self._taken is not None and self._taken.job.bulk

    # --- endings

    def _refuse(self, fault: Fault) -> Outcome:
        self._writer.refuse(fault)
        return failed_with(fault, self._how_far())

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
            self._gateway.job_builder.learn(self._taken.asked, usage.completion_tokens)
            if self._meter.tokens and self._job is not None:
                self._gateway.stream_watch.ended(self._job.backend, usage.completion_tokens, self._meter.tokens)

    def _account(self, outcome: Outcome, usage: Usage, source: str) -> None:
        request, head, job = self._request, self._message.head, self._job
        target = head.target.decode("ascii", "replace") if head else ""
        self._gateway.record(
            Record(
                id=head.request_id if head else "",
                method=head.method if head else "",
                path=target.partition("?")[0][:256],
                endpoint=str(request.endpoint if request else Endpoint.OTHER),
                traffic_class=self._taken.job.traffic_class if self._taken else "",
                model_asked=(request.model or "") if request else "",
                model_served=self._model_served(),
                backend=job.backend if job else "",
                attempts=job.attempts if job else 0,
                status=self._writer.status,
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
        answer = self.relay
        if answer is None:
            return NO_USAGE, ""
        usage = answer.usage()
        if usage.completion_tokens is not None or not self._meter.tokens:
            return usage, str(CountSource.ENGINE_USAGE) if usage != NO_USAGE else ""
        return usage._replace(completion_tokens=self._meter.tokens), str(answer.token_source())
