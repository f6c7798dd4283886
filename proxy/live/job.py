"""One job and all its attempts, until one of them has the answer that the client gets.

    next command ─▶ attempt ─▶ judged ─good──▶ the answer ──breaks off──▶ resumed elsewhere, where that is allowed
      ▲               │ late: a second one beside it; the first good first byte wins
      └──── failed, nothing sent yet

Owns the attempts that are out and what the scheduler is told of them. Decides nothing: where, whether again and who has
lost are its commands. The only attempt of a job is waited for as it is; the attempts of jobs that may be hedged are
tasks.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from proxy.live import judge
from proxy.live.answer import Answer
from proxy.live.attempt import Call, Caller, Try
from proxy.live.backends import Backend
from proxy.live.driver import Driver, Mailbox
from proxy.live.relay import Relay
from proxy.model.commands import Dispatch, Failed, Finished, FirstByte, FirstToken, Refuse, Refused
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.fallback import Way
from proxy.model.faults import DECLINED, NOT_REACHED, Fault, FaultError, Kind, Source, internal
from proxy.model.timeline import Timeline
from proxy.wire.continuation import Continuation
from proxy.wire.meter import Meter
from proxy.wire.resumable import is_resumable
from proxy.wire.usage import Usage

_PREEMPTED = internal(Kind.QUEUE_FULL, "Another request needed the place of this one.")


class Jobs:
    """What all jobs are carried out with. `foresees`: the scheduler wants to hear of first tokens; `attempts`: at most
    so many that an engine may have worked at."""

    def __init__(
        self,
        driver: Driver,
        caller: Caller,
        backends: dict[str, Backend],
        *,
        foresees: bool,
        attempts: int,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self.driver = driver
        self.caller = caller
        self.backends = backends
        self.foresees = foresees
        self.attempts = attempts
        self.loop = loop
        self.clock = clock


class JobLoop(Mailbox):
    """One per job. `answer` once, then `resumed` as long as the answer breaks off, then `settle`."""

    __slots__ = (
        "_call",
        "_calls",
        "_jobs",
        "_out",
        "_resumable",
        "_spare",
        "_try",
        "_was_hedged",
        "asked",
        "attempts",
        "backend",
        "cut_by",
        "hedge_won",
        "reason",
        "settled",
        "way",
    )

    def __init__(self, jobs: Jobs, call: Call, resumable: dict[str, Any]) -> None:
        super().__init__(jobs.loop)
        self._jobs = jobs
        self._call = call
        self._resumable = resumable
        """The parsed body, where another backend may have to go on with the answer; else empty."""
        self._out: list[Try] = []
        """Attempts that may still bring the answer: two while the first one is late."""
        self._try: Try | None = None
        """The last attempt, or the one whose answer the client gets."""
        self._calls = 0
        """Times the request was sent to any engine that may have worked at it."""
        self._spare: Try | None = None
        """An engine's own error answer beside another attempt: the client gets it when nothing better comes."""
        self._was_hedged = False
        self.hedge_won: bool | None = None
        """What became of a second attempt beside a late one; None: there was none."""
        self.asked: set[str] = set()
        """Backends that got it."""
        self.cut_by: Fault | None = None
        """Why it was ended from outside."""
        self.attempts = 0
        self.backend = ""
        """Of the last attempt."""
        self.reason = ""
        """Why it was refused, in one word."""
        self.settled = True
        """The scheduler knows the end of the job."""
        self.way: Way | None = None
        """Served otherwise than asked for."""

    async def answer(self) -> Answer:
        """The answer that the client gets: a good one, or the last one an engine answered with an error. FaultError
        where there is none."""
        self.settled = False
        self._jobs.driver.submit(self._call.job, self)
        failed: Fault | None = None
        command = await self.next()
        while isinstance(command, Dispatch):
            one = await self._tried(command, None)
            if one.is_aborted and self.cut_by is None:
                one.relay.release()
                failed = None
            else:
                failed = self.cut_by or self._judged(one)
                if failed is None:
                    self._begins(one)
                    return one.relay
                failed = self._failed(one, failed)
            command = await self.next()
        self.settled = True
        if failed is not None and (said := self._said_by_engine(failed)) is not None:
            return said
        self.reason = (command.reason or command.fault.kind).value
        raise FaultError(self.cut_by or command.fault)

    async def resumed(self, fault: Fault) -> Answer | None:
        """The stream that goes on where the answer broke off; None where none can or may."""
        broken = self._try
        continuation = None if broken is None else broken.relay.plan.continuation
        if broken is None or continuation is None or self.cut_by is not None or not continuation.can_continue():
            return None
        broken.relay.release()
        driver = self._jobs.driver
        driver.report(Failed(broken.id, fault, True))
        command = await self.next()
        self.settled = True
        if isinstance(command, Refuse):
            return None
        if continuation.fits(self._jobs.backends[command.backend].dialect):
            continuation.next_attempt()
            self.settled = False
            one = await self._tried(command, continuation)
            if one.relay.stream is not None and not one.is_aborted:
                driver.report(FirstToken(one.id))
                return one.relay
            one.relay.release()
            self._try, self.settled = broken, True
        driver.left(self._call.job.id)
        return None

    @property
    def relay(self) -> Relay | None:
        """The receiver of the last attempt."""
        return None if self._try is None else self._try.relay

    @property
    def attempt_id(self) -> int:
        """Of the last attempt; 0: there was none."""
        return 0 if self._try is None else self._try.id

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
    def says_done(self) -> bool:
        """Whether the engine that has the answer ends every stream with `[DONE]`."""
        return self._try is not None and self._try.backend.dialect.says_done

    @property
    def resumes(self) -> int:
        """How often another backend went on with the stream."""
        continuation = None if self._try is None else self._try.relay.plan.continuation
        return continuation.attempt - 1 if continuation is not None else 0

    @property
    def hedge_said(self) -> str:
        """`won` or `lost`: what became of a second attempt; empty: there was none."""
        return "" if self.hedge_won is None else "won" if self.hedge_won else "lost"

    def cut(self, fault: Fault) -> None:
        """End now, with `fault`."""
        self.cut_by = fault
        for one in self._out:
            one.end(fault)

    def settle(self, fault: Fault | None, usage: Usage) -> bool:
        """Give everything back, exactly once, whatever happened; True when the whole answer was the client's."""
        self._call.meter.on_first = None
        if self._try is not None and self._try not in self._out:
            self._try.relay.release()
        for one in self._out:
            one.drop()
        self._out = []
        if self.settled:
            return False
        self.settled = True
        driver, job_id = self._jobs.driver, self._call.job.id
        is_answered = fault is None or fault.kind is Kind.INVALID
        if is_answered:
            ok = fault is None and ENDPOINTS[self.endpoint].works
            prompt, cached, output = usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens
            driver.ended(job_id, Finished(self.attempt_id, prompt, cached, output, ok))
        elif fault is not None and fault.source is Source.UPSTREAM:
            driver.ended(job_id, Failed(self.attempt_id, judge.blamed_for(fault, self.endpoint), False))
        else:
            driver.left(job_id)
        return fault is None

    # --- commands that concern attempts that are out

    def hedge(self, command: Dispatch) -> None:
        self.attempts, self._was_hedged = command.number, True
        call = replace(self._call, meter=Meter(), timeline=Timeline(self._call.timeline.received))
        self._spawn(self._new(command, call, None))

    def stop(self, attempt_id: int) -> None:
        """It lost against the attempt beside it; or its place is needed for another job, and it goes on elsewhere."""
        for one in self._out:
            if one.id == attempt_id:
                if len(self._out) > 1:
                    self._out.remove(one)
                    one.drop()
                else:
                    one.is_aborted = True
                    one.end(_PREEMPTED)
                return

    # --- attempts

    async def _tried(self, command: Dispatch, going_on: Continuation | None) -> Try:
        """The attempt that brought the answer, or the last one that brought none."""
        self.attempts, self.backend = command.number, command.backend
        if going_on is None and command.way is not None and command.way is not self.way:
            self.way = command.way
            self._call = replace(self._call, job=replace(self._call.job, model=command.way.model))
        one = self._try = self._new(command, self._call, going_on)
        if self._call.job.hedge is None or going_on is not None:
            self._out = [one]
            await self._jobs.caller.attempt(one)
            return one
        self._out = []
        self._spawn(one)
        return self._chosen(await self._first())

    def _new(self, command: Dispatch, call: Call, going_on: Continuation | None) -> Try:
        backend, fields, endpoint = self._jobs.backends[command.backend], self._resumable, call.request.endpoint
        if going_on is None:
            call.timeline.released = self._jobs.clock()
            if fields and is_resumable(fields, endpoint, backend.dialect):
                going_on = Continuation(fields, endpoint, backend.dialect)
        one = Try(command, call, backend, self._jobs.caller.relay(call, backend, going_on), self._jobs.driver)
        if call.request.stream and (self._jobs.foresees or call.job.hedge is not None) and call.meter.tokens == 0:
            one.tells_first_token()
        return one

    def _spawn(self, one: Try) -> None:
        self._out.append(one)
        one.task = asyncio.ensure_future(self._jobs.caller.attempt(one))
        one.task.add_done_callback(self._on_done)

    def _on_done(self, _: "asyncio.Task[None]") -> None:
        self.wake()

    async def _first(self) -> Try:
        """The first of the attempts that has an answer, or the last one that failed."""
        while True:
            for one in self._out[:]:
                if one.task is None or not one.task.done() or one not in self._out:
                    continue
                one.task.result()
                if self._is_over(one):
                    one.task = None
                    return one
            await self.news()

    def _is_over(self, one: Try) -> bool:
        """Whether nobody is waited for any more. An error does not win while the other attempt lives."""
        if len(self._out) < 2:
            return True
        fault = _heeded(one)
        if fault is None and one.relay.status < 400:
            self._jobs.driver.report(FirstByte(one.id))  # the scheduler says who has lost
            return True
        one.relay.release()
        one.let_go()
        self._out.remove(one)
        self._calls += one.relay.calls
        self.asked.add(one.backend.name)
        if fault is None:
            self._spare, fault = one, judge.fault_of_answer(one.relay)
        self._jobs.driver.report(Failed(one.id, fault, True))
        return False

    def _chosen(self, one: Try) -> Try:
        self._try, self.backend = one, one.backend.name
        if self._was_hedged:
            self.hedge_won = one.hedge
        if one.call is not self._call:  # the client sees one request: its times are those of the attempt it gets
            ours, theirs = self._call.timeline, one.call.timeline
            ours.connected, ours.first_byte = theirs.connected, theirs.first_byte
            self._call = replace(one.call, timeline=ours)
        return one

    # --- what became of them

    def _begins(self, one: Try) -> None:
        """Its answer is the client's."""
        one.backend.heard()
        if self._call.meter.first_token is None or not self._jobs.foresees:
            self._jobs.driver.report(FirstByte(one.id))

    def _failed(self, one: Try, fault: Fault) -> Fault:
        """It brought no answer; what is held against its backend."""
        one.relay.release()
        fault = judge.blamed_for(fault, self.endpoint)
        self._count(one, fault)
        self._out = []
        self._jobs.driver.report(Failed(one.id, fault, self._may_repeat(fault)))
        return fault

    def _count(self, one: Try, fault: Fault) -> None:
        backend, relay = one.backend, one.relay
        if relay.calls:
            self.asked.add(backend.name)
        if fault.kind in NOT_REACHED:
            backend.is_lost.set()
        elif fault.kind not in DECLINED:
            self._calls += relay.calls
        if relay.fault is not None and relay.fault.kind is Kind.RESET:
            backend.closed()
        elif relay.status:
            backend.heard()
        if fault.kind is Kind.MISCONFIGURED:
            backend.warn(fault.message)

    def _said_by_engine(self, fault: Fault) -> Answer | None:
        """The error answer that the client gets as the engine wrote it: the last one, or one that lost a race."""
        one = self._try
        if one is None or judge.hides_its_words(fault, one.relay.status) or fault.kind in NOT_REACHED:
            return None
        if one.relay.fault is None and one.relay.complete and one.relay.stream is None:
            return one.relay
        spare = self._spare
        if spare is None or self.cut_by is not None:
            return None
        self._try, self.backend = spare, spare.backend.name
        return spare.relay

    def _may_repeat(self, fault: Fault) -> bool:
        if self.cut_by is not None:
            return False
        worked = fault.kind not in NOT_REACHED and fault.kind not in DECLINED
        if worked and self._calls >= self._jobs.attempts and not self._call.job.ways:
            return False
        return judge.is_repeatable(fault, self.endpoint)

    def _judged(self, one: Try) -> Fault | None:
        """What is wrong with its answer; None: it is the client's."""
        fault, relay = _heeded(one), one.relay
        lack = judge.lack_of(relay, one.backend, self._call.job)
        if lack is None:
            return fault
        self._jobs.driver.report(Refused(one.id, lack))
        return judge.fault_of_lack(lack, relay)


def _heeded(one: Try) -> Fault | None:
    """The judge's ruling; a stream that is an error all along becomes that error."""
    ruling = judge.ruling(one.relay, one.backend)
    if ruling.status:
        one.relay.turn_into_error(ruling.status, ruling.error)
    return ruling.fault
