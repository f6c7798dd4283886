"""One try on one backend: the request as that backend shall see it, sent, until its answer is whole, flows or failed.

Owns the edits of a body (alias, usage for our books) and the two silent repeats: when a pooled connection turns out
dead, and with the client's own bytes when an engine refuses to be asked for usage. A request that must not be sent
twice, and every repeat, gets a connection of its own: nothing can turn out dead then.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.core.scheduler import Scheduler
from proxy.engines.base import Dialect
from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.live.tokenizers import Tokenizers
from proxy.live.upstream.backends import Upstream
from proxy.live.upstream.connection import UpstreamConnection
from proxy.live.upstream.deadlines import FIRST_BYTE_S
from proxy.model.abilities import Lack
from proxy.model.classes import StreamSettings
from proxy.model.commands import Dispatch, FirstToken, Remaining
from proxy.model.endpoint import ENDPOINTS
from proxy.model.faults import Fault, FaultError, Retry
from proxy.model.limits import UpstreamLimits
from proxy.model.parameters import ParameterSettings
from proxy.model.request import Job, Request
from proxy.model.timeline import Clock, Timeline
from proxy.wire import accounting, bounded, multipart, salt, splice
from proxy.wire.accounting import Undo
from proxy.wire.allowance import AllowanceHeaders
from proxy.wire.batching import Part
from proxy.wire.continuation import Continuation
from proxy.wire.corrections import Corrections
from proxy.wire.counting import Evidence
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.ratelimit_left import remaining
from proxy.wire.tap import Tap
from proxy.wire.trace_context import Trace, TracedAttempt

_REFUSED = frozenset({400, 422})
_SAID_B = 2048
_NAMELESS = re.compile(
    rb"(?i)unrecogni[sz]ed|unexpected|unknown|unsupported|not[ _](?:supported|permitted|allowed)|additional|extra"
    rb"|invalid[ _](?:json|request|argument|parameter|field|schema)|bad request"
)
"""How an engine says that it does not like a field, where it does not say which one."""


@dataclass(slots=True, init=False)
class Call:
    """What all attempts of one request share."""

    request: Request
    job: Job
    headers: list[tuple[bytes, bytes]]
    body: bytes
    settings: StreamSettings
    timeline: Timeline
    meter: Meter
    stream_options: Any = None
    """As the body has them."""
    part: Part | None = None
    """What it adds to a call of several; None: it goes alone."""
    tap: Callable[[Relay], Tap] | None = None
    """Makes what holds an answer that may be kept; None: it may not."""
    trace: Trace | None = None
    """None: there is no telemetry."""
    named: str = ""
    """Its tenant, where the configuration names it; empty: it has none, or one known by its key."""

    def __init__(
        self,
        request: Request,
        job: Job,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        settings: StreamSettings,
        timeline: Timeline,
        meter: Meter,
        stream_options: Any = None,
        part: Part | None = None,
        tap: Callable[[Relay], Tap] | None = None,
        trace: Trace | None = None,
        named: str = "",
    ) -> None:
        self.request = request
        self.job = job
        self.headers = headers
        self.body = body
        self.settings = settings
        self.timeline = timeline
        self.meter = meter
        self.stream_options = stream_options
        self.part = part
        self.tap = tap
        self.trace = trace
        self.named = named


class Try:
    """One attempt while it is carried out: what the scheduler calls by its id."""

    __slots__ = (
        "_driver",
        "backend",
        "call",
        "hedge",
        "id",
        "in_flight",
        "is_aborted",
        "number",
        "relay",
        "task",
        "traced",
    )

    def __init__(self, command: Dispatch, call: Call, backend: Upstream, relay: Relay, driver: Driver) -> None:
        self.id = command.attempt
        self.number = command.number
        self.hedge = command.hedge
        self.in_flight = command.in_flight
        self.call = call
        self.backend = backend
        self.relay = relay
        """Its receiver; a twin may take its place."""
        self.task: asyncio.Task[None] | None = None
        """None: whoever pursues the job waits for it, and for nothing else."""
        self.is_aborted = False
        """Its place was needed for another job."""
        self.traced: TracedAttempt | None = None
        self._driver = driver

    def tells_first_token(self) -> None:
        """The scheduler hears of it before the client sees it."""
        self.call.meter.on_first = self.tell_first_token

    def end(self, fault: Fault) -> None:
        """Stop it; whoever waits for it finds `fault`."""
        self.relay.on_fault(fault)
        self.relay.release()

    def drop(self) -> None:
        """Nobody waits for it any more: the engine is freed now."""
        self.relay.release()
        if self.task is not None:
            self.task.cancel()
        self.let_go()

    def let_go(self) -> None:
        """It is over. What hears of its first token knows its meter, and an ended task its holder: cycles, which only a
        full collection would find."""
        self.call.meter.on_first = None
        self.task = None

    def tell_quota(self) -> None:
        """The head of its answer may say how much of the operator's quota is left."""
        said = remaining(self.relay.headers)
        if said is not None:
            self._driver.report(Remaining(self.id, *said))

    def tell_first_token(self) -> None:
        """It has come."""
        self._driver.report(FirstToken(self.id))


class Caller:
    """Makes attempts."""

    def __init__(
        self,
        scheduler: Scheduler,
        tokenizers: Tokenizers,
        limits: UpstreamLimits,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        parameters: Mapping[str, ParameterSettings] | None = None,
    ) -> None:
        """`parameters`: fields of requests for a model, by its name, that are changed for all backends."""
        self._scheduler = scheduler
        self.tokenizers = tokenizers
        self.limits = limits
        self._loop = loop
        self._clock = clock
        self._allowance = AllowanceHeaders(limits.events)
        self.parameters = parameters or {}

    def relay(self, call: Call, backend: Upstream, continuation: Continuation | None = None, pieces: int = 1) -> Relay:
        """The receiver of an attempt, whose answer may be `pieces` times as large as others."""
        plan = self._plan(call, backend, continuation)
        most_b = self.limits.answer_buffer * pieces
        relay = Relay(backend.name, plan, most_b, call.timeline, call.meter, self._loop, self._clock)
        if call.tap is not None:
            relay.tap = call.tap(relay)
        return relay

    def name_of(self, job: Job, backend: Upstream) -> str:
        """A backend's own name of the model of a job."""
        return self._scheduler.upstream_model(backend.name, job.model)

    async def attempt(self, one: Try) -> None:
        """On return its relay, or a twin that took its place, can be judged."""
        await self._attempt(one, one.number)

    async def _attempt(self, one: Try, number: int) -> None:
        call, backend, relay = one.call, one.backend, one.relay
        request = call.request
        attempt_id = request.id if number < 2 else f"{request.id}-{number}"  # vLLM wants ids unique in flight
        headers = call.headers if call.trace is None else call.trace.told(call.headers, one.traced)
        body, more = self._body(call, backend, relay.plan), None
        if not request.json and request.model is not None:
            more = self._form(call, backend)
        message = backend.message(request.method, request.target, attempt_id, headers, body, more)
        pooled = backend.pool.take_idle() if number == 1 and ENDPOINTS[request.endpoint].repeatable else None
        if pooled is not None:
            await self._send(relay, pooled, message, call)
            if relay.fault is None or relay.fault.retry is not Retry.REUSED_CONNECTION_ONLY:
                if relay.plan.undo is not Undo.NOTHING and _minds_usage(relay, call, backend):
                    await self._without_usage(one, relay)
                return
            # the engine had closed the pooled connection: once more, on a new one
            relay = one.relay = self.relay(call, backend, relay.plan.continuation)
            relay.calls = 1
        try:
            connection = await backend.pool.connect()
        except FaultError as error:
            relay.fault = error.fault
            return
        await self._send(relay, connection, message, call)
        if relay.plan.undo is not Undo.NOTHING and _minds_usage(relay, call, backend):
            await self._without_usage(one, relay)

    async def _without_usage(self, one: Try, relay: Relay) -> None:
        """Ask again with the client's own bytes."""
        call, backend = one.call, one.backend
        model = call.job.model
        sure = relay.status in _REFUSED and _is_about_usage(relay.body)
        relay.release()
        backend.took_usage(model, False)
        twin = one.relay = self.relay(call, backend, relay.plan.continuation)
        await self._attempt(one, 0)
        if not sure and (twin.status >= 400 or not twin.status):  # the request is wrong, or the engine is ill
            backend.forget_usage(model)
        twin.calls += relay.calls

    async def _send(self, relay: Relay, connection: UpstreamConnection, message: bytes, call: Call) -> None:
        if relay.fault is not None:  # cut while it was connecting
            connection.abort()
            return
        relay.connection = connection
        relay.calls += 1
        call.timeline.connected = self._clock()
        connection.send(message, relay, max(FIRST_BYTE_S, call.request.client_timeout_s or 0.0))
        await relay.ready

    def _body(self, call: Call, backend: Upstream, plan: StreamPlan) -> bytes:
        request, body = call.request, call.body
        if not request.json:
            return body
        if plan.continuation is not None:
            body = plan.continuation.body(body)
        name = self.name_of(call.job, backend)
        if request.model is not None and name != request.model:
            body = splice.replace_value(body, "model", name)
        if backend.parameters is not None or self.parameters:
            of_model = self.parameters.get(call.job.model)
            body = backend.with_parameters(body, of_model, generates=ENDPOINTS[request.endpoint].generates)
        dialect, most = backend.dialect, backend.max_answer
        if (dialect.strips or most is not None) and ENDPOINTS[request.endpoint].generates:
            body = bounded.for_engine(body, dialect.strips, call.job.max_tokens, most)
        if request.endpoint in dialect.streams_unless_told and not request.stream:
            body = bounded.whole(body)
        if backend.salts_cache and backend.dialect.salts_cache and ENDPOINTS[request.endpoint].generates:
            body = salt.salted(body, call.headers, call.named)
        if plan.undo is not Undo.NOTHING:
            continuous = _adds_continuous(call, backend, plan.continuation)
            body = accounting.with_usage(body, call.stream_options, continuous=continuous)
        return body

    def _form(self, call: Call, backend: Upstream) -> tuple[memoryview, bytes, memoryview] | None:
        """A form upload with the model as the engine calls it; None: it stays as it came."""
        name = self.name_of(call.job, backend)
        if name == call.request.model:
            return None
        types = [value for key, value in call.headers if key.lower() == b"content-type"]
        return multipart.with_model(types[0], call.body, name) if types else None

    def _plan(self, call: Call, backend: Upstream, continuation: Continuation | None) -> StreamPlan:
        evidence = None
        if call.settings.granularity != "engine" and ENDPOINTS[call.request.endpoint].rechunked:
            model = self.name_of(call.job, backend)
            evidence = Evidence(
                self.tokenizers.estimator(model),
                self.tokenizers.ready(model),
                one_token_per_event=backend.dialect.one_token_per_event,
            )
        return StreamPlan(
            call.settings,
            self.limits.event,
            undo=_undo(call, backend, continuation),
            continuation=continuation,
            evidence=evidence,
            continuous=_adds_continuous(call, backend, continuation),
            api=ENDPOINTS[call.request.endpoint].api,
            allowance=self._allowance,
            may_call=Lack.TOOLS in call.job.needs,
            corrections=corrections(call, backend.dialect),
        )


def corrections(call: Call, dialect: Dialect) -> Corrections | None:
    """What is put right in an answer of such an engine; None: nothing."""
    reasons, both = dialect.finish_reasons, call.settings.reasoning_field == "both"
    if not (reasons or both or dialect.zero_usage):
        return None
    endpoint = call.request.endpoint
    zeros = endpoint in dialect.zero_usage
    if not (reasons or both or zeros) or not ENDPOINTS[endpoint].rechunked:
        return None
    return Corrections(reasons, both=both, zeros=zeros)


def _undo(call: Call, backend: Upstream, continuation: Continuation | None) -> Undo:
    """What we ask of the engine beyond what the client asks, and so must take out again."""
    request = call.request
    if not request.stream or request.continuous_usage_asked or request.endpoint not in backend.dialect.usage_on_request:
        return Undo.NOTHING
    if not backend.tells_usage(call.job.model):
        return Undo.NOTHING
    if not request.usage_asked:
        return Undo.ALL
    return Undo.CONTINUOUS if _adds_continuous(call, backend, continuation) else Undo.NOTHING


def _adds_continuous(call: Call, backend: Upstream, continuation: Continuation | None) -> bool:
    """Token borders and exact continuations need it; else it would only make every event longer."""
    needed = call.settings.granularity == "token" or continuation is not None
    return needed and backend.dialect.continuous_usage


def _minds_usage(relay: Relay, call: Call, backend: Upstream) -> bool:
    """Whether the engine may have refused what we asked of it, and not what the client asked: it names it, or it names
    nothing and has not served a request that asked so."""
    model, status = call.job.model, relay.status
    if status == 200:
        if not backend.has_told_usage(model):
            backend.took_usage(model, True)
        return False
    if status < 400 or not relay.complete:
        return False
    if _is_about_usage(relay.body):
        return True
    return (
        status in _REFUSED and not backend.has_told_usage(model) and _NAMELESS.search(relay.body[:_SAID_B]) is not None
    )


def _is_about_usage(body: bytes) -> bool:
    """Whether an error names what we asked for."""
    return b"stream_options" in body or b"include_usage" in body or b"continuous_usage_stats" in body
