"""The attempts of one job that are out: one, or two while the first is late.

    start ─▶ attempt ──good──────────────────────────▶ the one that is chosen; whoever is beside it is dropped at once
               │ late: hedge ─▶ another beside it ──┘
               └─failed─▶ the other one goes on; the last one is chosen whatever it brought

Owns them, from the command that starts one to the choice. The only attempt of a job is waited for as it is; attempts of
jobs that may be hedged are tasks. That there is a second one, where it goes and who has lost are commands of the
scheduler, which holds both permits.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final

from proxy.live import response_check as judge
from proxy.live.answer import Answer
from proxy.live.attempt import Caller, Try
from proxy.live.call import Call
from proxy.live.driver import Driver, Mailbox
from proxy.live.fan_out import Room
from proxy.live.merged_call import MergedCall
from proxy.live.ruling import heeded
from proxy.live.shared_call import Share, SharedCall
from proxy.live.single_flight import SingleFlight
from proxy.live.upstream.backends import Upstream
from proxy.model.commands import Abort, Command, Dispatch, Failed, FirstByte
from proxy.model.fallback import FallbackStep
from proxy.model.faults import Kind, internal
from proxy.model.timeline import Clock, Timeline
from proxy.model.windows import Company
from proxy.wire.accounting import Undo
from proxy.wire.continuation import Continuation
from proxy.wire.meter import Meter
from proxy.wire.resumable import is_resumable
from proxy.wire.trace_context import LOST, PREEMPTED, TracedAttempt

BEGINNINGS_B: Final = 64 << 20
"""Of all streams that others may join."""
_PREEMPTED: Final = internal(Kind.QUEUE_FULL, "Another request needed the place of this one.")


class Jobs:
    """What all jobs are carried out with. `foresees`: the scheduler wants to hear of first tokens; `attempts`: at most
    so many that an engine may have worked at."""

    def __init__(
        self,
        driver: Driver,
        caller: Caller,
        backends: dict[str, Upstream],
        *,
        foresees: bool,
        attempts: int,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self.driver = driver
        self.caller = caller
        self.backends = backends
        self.foresees = foresees
        self.attempts = attempts
        self.loop = loop
        self.clock = clock
        self.shared: dict[int, SharedCall] = {}
        """Calls that are out and that several jobs may have, by their attempts."""
        self.room = Room(BEGINNINGS_B)

    def otherwise(self, caller: Caller, *, foresees: bool, attempts: int) -> "Jobs":
        """The same under another configuration. Calls that are out are joined from either."""
        jobs = Jobs(
            self.driver,
            caller,
            self.backends,
            foresees=foresees,
            attempts=attempts,
            loop=self.loop,
            clock=self.clock,
        )
        jobs.shared, jobs.room = self.shared, self.room
        return jobs


class Outstanding(Mailbox):
    """One per job."""

    __slots__ = (
        "_call",
        "_calls",
        "_jobs",
        "_out",
        "_resumable",
        "_share",
        "_spare",
        "_try",
        "_was_hedged",
        "asked",
        "attempts",
        "backend",
        "company",
        "hedge_won",
        "in_flight",
        "way",
    )

    def __init__(self, jobs: Jobs, call: Call, resumable: dict[str, Any]) -> None:
        super().__init__(jobs.loop)
        self._jobs = jobs
        self._call = call
        self._resumable = resumable
        """The parsed body, where another backend may have to go on with the answer; else empty."""
        self._out: list[Try] = []
        """Attempts that may still bring the answer."""
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
        self.attempts = 0
        self.backend = ""
        """Of the last attempt."""
        self.in_flight = 0
        """Permits of that backend that were out when it was sent there, its own included."""
        self.way: FallbackStep | None = None
        """Served otherwise than asked for."""
        self._share: Share | None = None
        """Of a call that others have too."""
        self.company: Company | None = None
        """With whom it was sent; None: alone, without having waited for anybody."""

    def put(self, command: Command) -> None:
        if isinstance(command, Dispatch):
            if command.hedge:
                pass
            elif len(command.jobs) > 1 or self._call.job.same is not None:
                if not self._takes_part(command):
                    return
            elif command.gathered is not None:
                self.company = company_of(command, self._call.job.id)
        elif isinstance(command, Abort) and self._share is not None and self._share.of.id == command.attempt:
            self._share.of.abort()
        super().put(command)

    def ask_only(self, body: bytes, inputs: list[Any]) -> None:
        """Engines get this body, which holds fewer inputs than the client's; before the first is asked."""
        call = self._call
        part = None if call.part is None else call.part._replace(inputs=inputs)
        items = call.job.items if part is None else len(inputs)
        self._call = replace(call, body=body, part=part, job=replace(call.job, items=items, same=None))

    def hedge(self, command: Dispatch) -> None:
        self.attempts, self._was_hedged = command.number, True
        call = replace(self._call, meter=Meter(), timeline=Timeline(self._call.timeline.received))
        self._spawn(self._new(command, call, None))

    def stop(self, attempt_id: int) -> None:
        """It lost against the attempt beside it; or its place is needed for another job, and it goes on elsewhere."""
        for one in self._out:
            if one.id == attempt_id:
                if one.traced is not None:
                    reason = LOST if len(self._out) > 1 else PREEMPTED
                    one.traced.end(self._jobs.clock(), reason, one.call.timeline)
                if len(self._out) > 1:
                    self._out.remove(one)
                    one.drop()
                else:
                    one.is_aborted = True
                    one.end(_PREEMPTED)
                return

    def _takes_part(self, command: Dispatch) -> bool:
        """It has a share of a call from the moment on that it is told; False: it comes too late, and is a new job that
        shares nothing."""
        jobs = self._jobs
        self._goes(command)
        if self._call.trace is not None:
            self._traced(command)
        out = jobs.shared.get(command.attempt)
        joins = out is not None and len(command.jobs) == 1
        if out is None:
            out = self._new_call(command)
        share = self._share = out.take(self._call)
        if share is None:
            job = replace(self._call.job, same=None)
            self._call = replace(self._call, job=job)
            jobs.driver.left(job.id)
            jobs.driver.submit(job, self)
            return False
        self.company = company_of(command, share.job_id, joins=joins)
        return True

    def _new_call(self, command: Dispatch) -> SharedCall:
        jobs, backend = self._jobs, self._jobs.backends[command.backend]
        if len(command.jobs) > 1:
            return MergedCall(command, backend, jobs.caller, jobs.driver, jobs.loop, jobs.shared)
        return SingleFlight(
            command, backend, jobs.caller, jobs.driver, jobs.loop, jobs.shared, jobs.foresees, jobs.room
        )

    async def _shared(self, share: Share) -> Answer | None:
        """What it gets of a call that others have too; None: nothing, what follows is the scheduler's to say."""
        line, now = self._call.timeline, self._jobs.clock()
        self._released(line, now)
        await share.ready
        line.connected = line.connected or now
        line.first_byte = line.first_byte or self._jobs.clock()
        return share.answer

    def _traced(self, command: Dispatch) -> TracedAttempt | None:
        """What is told of this attempt in its trace; None: it has none."""
        trace = self._call.trace
        if trace is None:
            return None
        return trace.sent(
            command.backend,
            command.number,
            self._jobs.clock(),
            hedge=command.hedge,
            held_s=command.held_s,
            ttft_s=command.ttft_s,
            in_flight=command.in_flight,
            way="" if command.way is None else command.way.said,
        )

    def _released(self, line: Timeline, now: float) -> None:
        line.released = now
        company = self.company
        if company is not None and company.waited_s is not None:
            line.gathered = max(line.understood or line.received, now - company.waited_s)

    def _goes(self, command: Dispatch) -> None:
        """Where, and as what."""
        self.attempts, self.backend, self.in_flight = command.number, command.backend, command.in_flight
        if command.way is not None and command.way is not self.way:
            self.way = command.way
            self._call = replace(self._call, job=replace(self._call.job, model=command.way.model))

    async def _tried(self, command: Dispatch, going_on: Continuation | None) -> Try:
        """The attempt that brought the answer, or the last one that brought none."""
        if going_on is None:
            self._goes(command)
        else:
            self.attempts, self.backend, self.in_flight = command.number, command.backend, command.in_flight
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
            self._released(call.timeline, self._jobs.clock())
            if fields and is_resumable(fields, endpoint, backend.dialect):
                going_on = Continuation(fields, endpoint, backend.dialect)
        one = Try(command, call, backend, self._jobs.caller.relay(call, backend, going_on), self._jobs.driver)
        if call.trace is not None:
            one.traced = self._traced(command)
        flows = call.request.stream or one.relay.plan.undo is Undo.STREAM
        if flows and (self._jobs.foresees or call.job.hedge is not None) and call.meter.tokens == 0:
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
        fault = heeded(one)
        if fault is None and one.relay.status < 400:
            self._jobs.driver.report(FirstByte(one.id))  # the scheduler says who has lost
            return True
        one.relay.release()
        one.let_go()
        if one.traced is not None:
            one.traced.end(self._jobs.clock(), fault.kind.value if fault is not None else LOST, one.call.timeline)
        self._out.remove(one)
        self._calls += one.relay.calls
        self.asked.add(one.backend.name)
        if fault is None:
            self._spare, fault = one, judge.fault_of_answer(one.relay)
        self._jobs.driver.report(Failed(one.id, fault, True))
        return False

    def _chosen(self, one: Try) -> Try:
        self._try, self.backend, self.in_flight = one, one.backend.name, one.in_flight
        if self._was_hedged:
            self.hedge_won = one.hedge
        if one.call is not self._call:  # the client sees one request: its times are those of the attempt it gets
            ours, theirs = self._call.timeline, one.call.timeline
            ours.connected, ours.first_byte = theirs.connected, theirs.first_byte
            ours.last_byte = theirs.last_byte
            self._call = replace(one.call, timeline=ours)
        return one


def company_of(command: Dispatch, job_id: int, *, joins: bool = False) -> Company:
    """With whom one of the jobs of a command goes."""
    gathered, jobs = command.gathered, command.jobs
    place = jobs.index(job_id)
    if gathered is None:
        return Company(len(jobs), place == 0 and not joins, joins=joins)
    return Company(len(jobs), place == 0, gathered.closed, gathered.waits_s[place])
