"""One request from its last byte to its outcome: understood, carried out, relayed, accounted.

    message ─▶ understand ─▶ JobLoop.answer ─▶ deliver ─▶ account
                               ▲               │ broke off, and another backend can go on
                               └───────────────┘

Owns the order of these steps and the one `finally` in which everything is given back. Decides nothing itself; the
attempts are the job's.
"""

import asyncio
import logging
from dataclasses import replace
from typing import Any, Final

from proxy.core.refusals import short_of_memory
from proxy.live.call import Call
from proxy.live.checked_account import CheckedAccount
from proxy.live.downstream.bodies import INLINE_B
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.live.job import JobLoop
from proxy.live.realtime import Early, Realtime
from proxy.live.serving import Serving
from proxy.live.short_first import Tap
from proxy.live.structured import may_be_looked_at
from proxy.model.endpoint import ENDPOINTS, Api, Endpoint
from proxy.model.faults import Fault, FaultError, Kind, downstream, internal, upstream
from proxy.model.outcome import SERVED, Outcome, Phase, failed_with
from proxy.model.request import Request
from proxy.wire import server_timing, websocket
from proxy.wire.headers import Head
from proxy.wire.prompts.expandable import ShortAnswer

_log = logging.getLogger("tidegate.exchange")
SWITCHED: Final = 101


class Exchange(CheckedAccount):
    """One request and its answer."""

    __slots__ = ()

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
            self.settle(outcome)
            if self._checked is not None:
                self._look_later(outcome)

    def cut(self, fault: Fault) -> None:
        """End now, with `fault` where the client can still be told: the drain's last resort."""
        if self._job is not None:
            self._job.cut(fault)
        if self._use is not None and self._use.replay is not None:
            self._use.replay.give_up(fault)

    def fits(self, backend: str) -> bool:
        """Whether that backend could go on with its stream."""
        return self._job is not None and self._job.fits(backend)

    # --- the steps

    async def _serve(self) -> Outcome:
        message, serving = self._message, self._serving
        parser, own, short_first = serving.parser, serving.own, serving.short_first
        if message.fault is not None:
            if message.fault.kind is Kind.UPGRADE and message.head is not None and serving.realtime is not None:
                return await self._tunnelled(serving.realtime, message.head, message.body)
            raise FaultError(message.fault)
        head = message.head
        assert head is not None
        parser.check_hops(head)
        if head.method == "OPTIONS":
            return self._writer.respond(*own.options(head))
        if serving.batches is not None:
            outcome = await serving.batches.answer(head, message, self._writer, self._connection)
            if outcome is not None:
                return outcome
        found = parser.route(head)
        answered = own.to(head, found, message.body)
        if answered is not None:
            return self._writer.respond(*answered)
        body = message.body
        short: ShortAnswer | None = None
        if found.item or (short_first.is_on and found.endpoint is Endpoint.CHAT):
            short, head, body = short_first.goes_on(head, found.item, body)
        parser.check_room(head, body)
        if parser.takes_long(head, body):
            request, fields, body, charge_b = await parser.parse_apart(head, found, body)
            self._charge_b += charge_b
        else:
            request, fields = parser.parse(head, found, body)
        if short is not None:
            request = replace(request, expands=True, prompt_version=short.prompt_version)
        model = ""
        endpoint = request.endpoint
        if (
            endpoint is Endpoint.RESPONSES
            or endpoint is Endpoint.STORED
            or (endpoint is Endpoint.MESSAGES and "thread" in fields)
        ):
            head, model = await self._placed(head, request, fields)
        job = self._open(head, request, fields, body, model)
        answer = await self._writer.with_pings(job.answer() if self._use is None else self._use.answer(job))
        self._meter = answer.meter
        if self._use is not None and self._use.replay is not None:
            self._timeline.is_from_memory = True
        elif self._checked is not None and may_be_looked_at(answer):
            job, answer = await self._looked_at(self._checked, job, answer)
        outcome = await self._writer.deliver(job, answer)
        if self._taken is not None and self._taken.first is not None:
            short_first.keep(outcome, head, self._taken, answer, self._writer.tap)
        return outcome

    async def _placed(self, head: Head, request: Request, fields: dict[str, Any]) -> tuple[Head, str]:
        """The head with the backend that has what it goes on from, and the model that served that there."""
        stored = self._serving.stored
        if stored is None:
            return head, ""
        self._request = request
        placed = self._writer.placed = await stored.place(head, request, fields)
        return placed.head, placed.model

    def _open(self, head: Head, request: Request, fields: dict[str, Any], body: bytes, model: str) -> JobLoop:
        """The job of a request, ready to be carried out; the parsed body is kept only where a resume may need it.
        `model`: of what it goes on from; empty: of nothing."""
        self._request = request
        timeline, writer, serving = self._timeline, self._writer, self._serving
        stages = head.fields.get(server_timing.HEADER)
        if stages is not None:
            timeline.reported = server_timing.parse(stages)
        taken = self._taken = writer.taken = serving.job_builder.take(
            head, request, fields, timeline.received, body, model
        )
        self._request = request = taken.request
        body = taken.body
        serving.job_builder.prompts.saw(taken.job, request, fields)
        if taken.first is not None and request.stream:
            writer.tap = Tap(self._connection)
        settings = taken.classified.traffic_class.stream
        if settings.ping and request.stream and ENDPOINTS[request.endpoint].api is not Api.OLLAMA:
            writer.ping_s = settings.ping  # a comment is no line of JSON
        options = fields.get("stream_options")
        call = Call(
            request=request,
            job=taken.job,
            headers=head.forward,
            body=body,
            settings=settings,
            timeline=timeline,
            meter=self._meter,
            stream_options=options,
            part=taken.part,
            trace=self._trace,
            named=head.tenant,
        )
        if serving.cache is not None:
            use = self._use = writer.cached = serving.cache.use(head, request, taken, fields, body)
            call.tap = use.tap
        resumes = settings.resume and request.stream and len(body) <= INLINE_B
        job = self._job = writer.job = JobLoop(serving.jobs, call, fields if resumes else {})
        timeline.understood = serving.jobs.clock()
        if serving.structured is not None and taken.classified.traffic_class.validate is not None:
            self._checked = serving.structured.begins(taken, request, fields)
            if self._checked is not None and request.stream and writer.tap is None:
                writer.tap = Tap(self._connection)
        if taken.job.bulk and serving.parser.refuses_bulk():
            raise FaultError(short_of_memory())
        return job

    async def _tunnelled(self, realtime: Realtime, head: Head, asked: bytes) -> Outcome:
        """A handshake: a tunnel to one engine, or that engine's own answer."""
        self._serving.parser.check_hops(head)
        request = self._request = realtime.request(head)
        whose = realtime.enter(head)
        early = Early(self._connection, asked)
        try:
            job = self._open(head, request, {}, b"", "")
            answer = await (job.answer() if self._use is None else self._use.answer(job))
            self._meter = answer.meter
            relay = job.relay
            if relay is None or answer.status != SWITCHED:
                return await self._writer.deliver(job, answer)
            headers = websocket.answered(relay.headers)
            if not headers:
                text = f"Backend {relay.backend} switched protocols without accepting the handshake."
                raise FaultError(upstream(Kind.NONSENSE, text))
            self._writer.switch(headers, answer.meter)
            try:
                return await realtime.carry(self._connection, relay, early, head.request_id)
            finally:
                job.leave_unlearned()
        finally:
            self._connection.tunnel = None
            realtime.leave(whose)

    # --- endings

    def _refuse(self, fault: Fault) -> Outcome:
        if self._taken is not None:
            fault = self._serving.job_builder.told(fault, self._taken.job)
        self._writer.refuse(fault)
        return failed_with(fault, self._how_far())

    def _left(self) -> Outcome:
        stalled = self._connection.stalled
        kind, text = (Kind.WRITE_STALL, "The client took no bytes.") if stalled else (Kind.LEFT, "The client left.")
        return failed_with(downstream(kind, text), self._how_far())

    def _how_far(self) -> Phase:
        if self._use is not None and self._use.replay is not None:
            return Phase.STREAM
        return Phase.READ if self._job is None else self._job.phase


class Exchanges:
    """The edge's handler: one exchange per message, and which of them run."""

    def __init__(self, serving: Serving, running: set[Exchange]) -> None:
        self.serving = serving
        """By what requests are served that come from now on."""
        self.running = running

    async def handle(self, connection: ClientConnection, message: Message) -> None:
        """Answer one request, and go on with the connection."""
        exchange = Exchange(connection, message, self.serving)
        self.running.add(exchange)
        try:
            await exchange.run()
        finally:
            self.running.discard(exchange)
            connection.finished()
