"""All attempts of one request, until one of them has the answer that the client gets.

    place ─▶ attempt ─▶ judge ─good──▶ the answer ──breaks off──▶ resumed elsewhere, where that is allowed
      ▲      (or race)    │ failed, nothing sent yet
      └───────────────────┘

Owns the attempts and what the scheduler is told of them. Decides nothing: where and whether again are its commands.
Jobs of classes that are hedged have their attempts in a `race`; all others pay nothing for it.
"""

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from proxy.core.abilities import is_believable
from proxy.engines.refusals import cannot
from proxy.live import judge
from proxy.live.attempt import Call
from proxy.live.backends import Backend
from proxy.live.race import Race
from proxy.live.relay import Relay
from proxy.model.abilities import Lack
from proxy.model.commands import Dispatch, Finished, Refuse, Refused
from proxy.model.fallback import Way
from proxy.model.faults import (
    CONTEXT_TOO_LONG,
    DECLINED,
    NOT_REACHED,
    Fault,
    FaultError,
    Kind,
    Retry,
    Source,
    internal,
    upstream,
)
from proxy.model.request import IDLE, Endpoint
from proxy.wire.continuation import Continuation
from proxy.wire.resumable import is_resumable
from proxy.wire.usage import Usage

if TYPE_CHECKING:
    from proxy.live.exchange import Gateway

_PREEMPTED = internal(Kind.QUEUE_FULL, "Another request needed the place of this one.")


class Pursuit:
    """One per job. `answer` once, then `resumed` as long as the answer breaks off, then `settle`."""

    __slots__ = (
        "_call",
        "_calls",
        "_gateway",
        "_race",
        "_resumable",
        "asked",
        "attempts",
        "backend",
        "cut_by",
        "hedge",
        "reason",
        "relay",
        "settled",
        "way",
    )

    def __init__(self, gateway: "Gateway", call: Call, resumable: dict[str, Any]) -> None:
        self._gateway = gateway
        self._call = call
        self._resumable = resumable
        """The parsed body, where another backend may have to go on with the answer; else empty."""
        self._calls = 0
        """Times the request was sent to any engine that may have worked at it."""
        self.asked: set[str] = set()
        """Backends that got it."""
        self.cut_by: Fault | None = None
        """Why it was ended from outside."""
        self.attempts = 0
        self.backend = ""
        """Of the last attempt."""
        self.relay: Relay | None = None
        """The last attempt."""
        self.reason = ""
        """Why it was refused, in one word."""
        self._race: Race | None = None
        if call.job.hedge is not None:
            self._race = Race(gateway.driver, gateway.caller, gateway.backends, self._new_relay)
        self.hedge = ""
        """`won` or `lost`: what became of a second attempt beside a late one; empty: there was none."""
        self.settled = True
        """The scheduler knows the end of the job."""
        self.way: Way | None = None
        """Served otherwise than asked for."""

    async def answer(self) -> Relay:
        """The attempt whose answer the client gets: a good one, or the last one an engine answered with an error.
        FaultError where there is none."""
        driver, job = self._gateway.driver, self._call.job
        if self._call.request.stream and self._gateway.intake.foresees:
            self._call.meter.on_first = self._on_first_token
        self.settled = False
        command = await driver.place(job, self._abort, self._race)
        while not isinstance(command, Refuse):
            if driver.is_preempted(job.id):
                command = await driver.again(job.id)
                continue
            relay = await (self._attempted(command) if self._race is None else self._raced(self._race, command))
            if driver.is_preempted(job.id) and self.cut_by is None:
                relay.release()
                continue
            backend = self._gateway.backends[relay.backend]
            fault = self.cut_by or self._judged(relay, backend)
            if fault is None:
                backend.heard()
                if self._call.meter.first_token is None or not self._gateway.intake.foresees:
                    driver.first_byte(job.id, relay.backend)
                return relay
            relay.release()
            fault = judge.blamed_for(fault, self.endpoint)
            self._count(relay, backend, fault)
            command = await driver.failed(job.id, fault, relay.backend, repeatable=self._may_repeat(fault))
            if isinstance(command, Refuse) and (said := self._said_by_engine(relay, fault)) is not None:
                self.settled = True
                return said
        self.settled = True
        self.reason = (command.reason or command.fault.kind).value
        raise FaultError(self.cut_by or command.fault)

    async def resumed(self, relay: Relay, fault: Fault) -> Relay | None:
        """The stream that goes on where `relay` broke off; None where none can or may."""
        continuation = relay.plan.continuation
        if continuation is None or self.cut_by is not None or not continuation.can_continue():
            return None
        relay.release()
        driver, job = self._gateway.driver, self._call.job
        command = await driver.failed(job.id, fault, relay.backend, repeatable=True)
        if isinstance(command, Refuse):
            self.settled = True
            return None
        backend = self._gateway.backends[command.backend]
        if continuation.fits(backend.dialect):
            self.attempts, self.backend = command.attempt, command.backend
            continuation.next_attempt()
            self.relay = self._gateway.caller.relay(self._call, backend, continuation)
            following = await self._attempt(backend)
            if following.stream is not None and not driver.is_preempted(job.id):
                driver.first_token(job.id, backend.name)
                return following
            following.release()
            self.relay = relay
        driver.left(job.id)
        self.settled = True
        return None

    @property
    def is_spent(self) -> bool:
        """Whether more than one backend had it."""
        return len(self.asked) > 1

    @property
    def model(self) -> str:
        """What serves it, by its public name."""
        return self._call.job.model

    @property
    def endpoint(self) -> Endpoint:
        """What was asked."""
        return self._call.request.endpoint

    @property
    def resumes(self) -> int:
        """How often another backend went on with the stream."""
        continuation = self.relay.plan.continuation if self.relay is not None else None
        return continuation.attempt - 1 if continuation is not None else 0

    def cut(self, fault: Fault) -> None:
        """End now, with `fault`."""
        self.cut_by = fault
        self._stop(fault)

    def settle(self, fault: Fault | None, usage: Usage) -> bool:
        """Give everything back, exactly once, whatever happened; True when the whole answer was the client's."""
        self._call.meter.on_first = None
        if self.relay is not None:
            self.relay.release()
        race, self._race = self._race, None  # it knows us
        if race is not None:
            race.close()
        if self.settled:
            return False
        self.settled = True
        driver, job = self._gateway.driver, self._call.job
        if fault is None or fault.kind is Kind.INVALID:
            ok = fault is None
            driver.finished(
                Finished(
                    job.id,
                    usage.prompt_tokens,
                    usage.cached_tokens,
                    usage.completion_tokens,
                    ok and self.endpoint not in IDLE,
                    self.backend,
                )
            )
            return ok
        if fault.source is Source.UPSTREAM:
            driver.broke(job.id, judge.blamed_for(fault, self.endpoint), self.backend)
        else:
            driver.left(job.id)
        return False

    # --- inside

    async def _attempted(self, command: Dispatch) -> Relay:
        backend = self._gateway.backends[command.backend]
        self._call.timeline.released = monotonic()
        self.attempts, self.backend = command.attempt, command.backend
        self._go_its_way(command)
        self.relay = self._new_relay(self._call, backend)
        return await self._attempt(backend)

    async def _attempt(self, backend: Backend) -> Relay:
        await self._gateway.caller.attempt(self._call, backend, self.attempts, self)
        assert self.relay is not None
        return self.relay

    async def _raced(self, race: Race, command: Dispatch) -> Relay:
        self.attempts, self.backend = command.attempt, command.backend
        self._go_its_way(command)
        lane = await race.run(self._call, command)
        relay = self.relay = lane.relay
        assert relay is not None
        self.attempts, self.backend = race.attempts, lane.backend.name
        self._calls += race.calls
        self.asked |= race.asked
        race.calls = 0
        if race.hedged:
            self.hedge = "won" if lane.hedge else "lost"
        if lane.call is not self._call:  # the client sees one request: its times are those of the attempt it gets
            ours, theirs = self._call.timeline, lane.call.timeline
            ours.connected, ours.first_byte = theirs.connected, theirs.first_byte
            self._call = replace(lane.call, timeline=ours)
        return relay

    def _go_its_way(self, command: Dispatch) -> None:
        """Served otherwise than asked for, from here on."""
        if command.way is not self.way and command.way is not None:
            self.way = command.way
            self._call = replace(self._call, job=replace(self._call.job, model=command.way.model))

    def _new_relay(self, call: Call, backend: Backend) -> Relay:
        fields, endpoint, continuation = self._resumable, call.request.endpoint, None
        if fields and is_resumable(fields, endpoint, backend.dialect):
            continuation = Continuation(fields, endpoint, backend.dialect)
        return self._gateway.caller.relay(call, backend, continuation)

    def _count(self, relay: Relay, backend: Backend, fault: Fault) -> None:
        """An attempt ended in `fault`."""
        if relay.calls:
            self.asked.add(relay.backend)
        if fault.kind in NOT_REACHED:
            backend.is_lost.set()
        elif fault.kind not in DECLINED:
            self._calls += relay.calls
        if fault.kind is Kind.RESET:
            backend.closed()
        elif relay.status:
            backend.heard()
        if fault.kind is Kind.MISCONFIGURED:
            backend.warn(fault.message)

    def _said_by_engine(self, relay: Relay, fault: Fault) -> Relay | None:
        """The error answer that the client gets as the engine wrote it: the last one, or one that lost a race."""
        if judge.hides_its_words(fault, relay.status) or fault.kind in NOT_REACHED:
            return None
        if relay.fault is None and relay.complete and relay.stream is None:
            return relay
        spare = self._race.spare if self._race is not None and self.cut_by is None else None
        if spare is not None:
            self.relay, self.backend = spare, spare.backend
        return spare

    def _may_repeat(self, fault: Fault) -> bool:
        if self.cut_by is not None:
            return False
        worked = fault.kind not in NOT_REACHED and fault.kind not in DECLINED
        if worked and self._calls >= self._gateway.attempts and not self._call.job.ways:
            return False
        return judge.is_repeatable(fault, self._call.request.endpoint)

    def _judged(self, relay: Relay, backend: Backend) -> Fault | None:
        fault = judge.fault_of(relay, backend)  # a stream that is an error all along has its status only now
        if fault is not None and fault.kind is Kind.RESET and backend.seems_nobody:
            backend.closed()
            return upstream(Kind.CONNECT, f"Nobody is behind the port of {relay.backend}: it closes probes too.")
        return self._cannot(relay, backend) or fault

    def _cannot(self, relay: Relay, backend: Backend) -> Fault | None:
        """What its engine lacks for this request, if its answer says so: others may have it."""
        if relay.status < 400 or relay.fault is not None:
            return None
        lack = cannot(relay.status, relay.body, self._call.request.endpoint, backend.dialect)
        if lack is None or not is_believable(lack, self._call.job):
            return None
        self._gateway.driver.learn(Refused(self._call.job.id, relay.backend, lack))
        text = f"Backend {relay.backend} lacks what the request needs ({lack.lack}, status {relay.status})."
        code = CONTEXT_TOO_LONG if lack.lack is Lack.CONTEXT else None
        return Fault(Source.UPSTREAM, Kind.CANNOT, text, Retry.SAFE, code=code)

    def _on_first_token(self) -> None:
        self._gateway.driver.first_token(self._call.job.id, self.backend)

    def _abort(self) -> None:
        """The attempt's place is needed for another job; it goes on elsewhere or later."""
        self._stop(_PREEMPTED)

    def _stop(self, fault: Fault) -> None:
        if self.relay is not None:
            self.relay.on_fault(fault)
            self.relay.release()
        if self._race is not None:
            self._race.end(fault)
