"""One try on one backend: the request as that backend shall see it, sent, until its answer is whole, flows or failed.

Owns the edits of a body (alias, and what `additions` asks for) and the silent repeats: when a pooled connection turns
out dead, and with the client's own bytes when an engine minds what we added. A request that must not be sent
twice, and every repeat, gets a connection of its own: nothing can turn out dead then.
"""

import asyncio
from collections.abc import Mapping

from proxy.core.scheduler import Scheduler
from proxy.engines.base import Dialect
from proxy.live.additions import REFUSED, adds_continuous, is_about_usage, minds_usage, undo
from proxy.live.call import Call
from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.live.tokenizers import Tokenizers
from proxy.live.upstream.backends import Upstream
from proxy.live.upstream.connection import UpstreamConnection
from proxy.live.upstream.deadlines import FIRST_BYTE_S
from proxy.live.whole_of_stream import WholeOfStream
from proxy.model.abilities import Lack
from proxy.model.commands import Dispatch, FirstToken, Remaining
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.faults import Fault, FaultError, Retry
from proxy.model.limits import UpstreamLimits
from proxy.model.parameters import ParameterSettings
from proxy.model.request import Job
from proxy.model.timeline import Clock
from proxy.model.whole_answers import AS_OPENAI
from proxy.wire import accounting, bounded, multipart, salt, splice, streamed_whole, websocket
from proxy.wire.accounting import Undo
from proxy.wire.allowance import AllowanceHeaders
from proxy.wire.continuation import Continuation
from proxy.wire.corrections import Corrections
from proxy.wire.counting import Evidence
from proxy.wire.plan import StreamPlan
from proxy.wire.ratelimit_left import remaining
from proxy.wire.trace_context import TracedAttempt


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
        self.relay.progress.on_first = self.tell_first_token

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
        self.relay.progress.on_first = None
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
        if plan.undo is Undo.STREAM:
            whole = backend.streams_whole(call.job.model, call.request.endpoint) or AS_OPENAI
            return WholeOfStream(
                backend.name,
                plan,
                most_b,
                call.timeline,
                call.meter,
                self._loop,
                self._clock,
                call.request.endpoint,
                whole,
            )
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
        body, more, target = self._body(call, backend, relay.plan), None, request.target
        if not request.json and request.model is not None:
            if request.endpoint is Endpoint.REALTIME:
                target = websocket.with_model(target, self.name_of(call.job, backend))
            else:
                more = self._form(call, backend)
        message = backend.message(request.method, target, attempt_id, headers, body, more)
        pooled = backend.pool.take_idle() if number == 1 and ENDPOINTS[request.endpoint].repeatable else None
        if pooled is not None:
            await self._send(relay, pooled, message, call)
            if relay.fault is None or relay.fault.retry is not Retry.REUSED_CONNECTION_ONLY:
                if relay.plan.undo is not Undo.NOTHING:
                    await self._as_it_came(one, relay)
                return
            # the engine had closed the pooled connection: once more, on a new one
            relay = self._twin(one, relay)
            relay.calls = 1
        try:
            connection = await backend.pool.connect()
        except FaultError as error:
            relay.fault = error.fault
            return
        connection.switches = request.endpoint is Endpoint.REALTIME
        await self._send(relay, connection, message, call)
        if relay.plan.undo is not Undo.NOTHING:
            await self._as_it_came(one, relay)

    async def _as_it_came(self, one: Try, relay: Relay) -> None:
        """Once more, without what we asked beyond the client, where that was in vain."""
        call, backend = one.call, one.backend
        if isinstance(relay, WholeOfStream) and relay.is_made_whole is not None:
            backend.streamed_whole(call.job.model, call.request.endpoint, fits=relay.is_made_whole)
        if isinstance(relay, WholeOfStream) and relay.is_unfit:
            call.has_whole_form = True
            relay.release()
            self._twin(one, relay).calls = relay.calls
            await self._attempt(one, 0)
        elif minds_usage(relay, call, backend):
            await self._without_usage(one, relay)

    def _twin(self, one: Try, relay: Relay) -> Relay:
        """A receiver that takes its place."""
        twin = one.relay = self.relay(one.call, one.backend, relay.plan.continuation)
        if twin.progress is not relay.progress:
            twin.progress.on_first, relay.progress.on_first = relay.progress.on_first, None
        return twin

    async def _without_usage(self, one: Try, relay: Relay) -> None:
        """Ask again with the client's own bytes."""
        call, backend = one.call, one.backend
        model = call.job.model
        sure = relay.status in REFUSED and is_about_usage(relay.body)
        relay.release()
        backend.took_usage(model, False)
        twin = self._twin(one, relay)
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
            body = _with_model(body, name)
        if backend.parameters is not None or self.parameters:
            of_model = self.parameters.get(call.job.model)
            body = backend.with_parameters(body, of_model, generates=ENDPOINTS[request.endpoint].generates)
        dialect, most = backend.dialect, backend.max_answer
        if (dialect.strips or most is not None) and ENDPOINTS[request.endpoint].generates:
            places = ENDPOINTS[request.endpoint].limits_at
            body = bounded.for_engine(body, dialect.strips, call.job.max_tokens, most, places)
        if request.endpoint in dialect.streams_unless_told and not request.stream:
            body = bounded.whole(body)
        if backend.salts_cache and backend.dialect.salts_cache and ENDPOINTS[request.endpoint].generates:
            body = salt.salted(body, call.headers, call.named)
        if plan.undo is Undo.STREAM:
            whole = backend.streams_whole(call.job.model, request.endpoint) or AS_OPENAI
            body = streamed_whole.streamed(body, request.endpoint, whole)
        elif plan.undo is not Undo.NOTHING:
            continuous = adds_continuous(call, backend, plan.continuation)
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
            undo=undo(call, backend, continuation),
            continuation=continuation,
            evidence=evidence,
            continuous=adds_continuous(call, backend, continuation),
            api=ENDPOINTS[call.request.endpoint].api,
            allowance=self._allowance,
            may_call=Lack.TOOLS in call.job.needs,
            corrections=corrections(call, backend.dialect),
        )


def _with_model(body: bytes, name: str) -> bytes:
    """Where Ollama's clients write `name` for it, `model` goes before that."""
    changed = splice.replace_value(body, "model", name)
    return changed if changed != body else splice.with_first(body, "model", name)


def corrections(call: Call, dialect: Dialect) -> Corrections | None:
    """What is put right in an answer of such an engine; None: nothing."""
    reasons, both = dialect.finish_reasons, call.settings.reasoning_field == "both"
    if not (reasons or both or dialect.zero_usage):
        return None
    endpoint = call.request.endpoint
    zeros = endpoint in dialect.zero_usage
    if not (reasons or both or zeros) or not ENDPOINTS[endpoint].rechunked or endpoint is Endpoint.MESSAGES:
        return None
    return Corrections(reasons, both=both, zeros=zeros)
