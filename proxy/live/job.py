"""One job and all its attempts, until one of them has the answer that the client gets.

    next command ─▶ attempt ─▶ judged ─good──▶ the answer ──breaks off──▶ resumed elsewhere, where that is allowed
      ▲               │ late: a second one beside it; the first good first byte wins
      └──── failed, nothing sent yet

Owns the order of all this and what the scheduler is told of it. Decides nothing: where, and whether again, are its
commands.
"""

from typing import Any

from proxy.engines.base import Dialect
from proxy.engines.registry import UNKNOWN
from proxy.live import response_check as judge
from proxy.live.answer import Answer
from proxy.live.attempt import Try, corrections
from proxy.live.call import Call
from proxy.live.outstanding import Jobs, Outstanding
from proxy.live.relay import Relay
from proxy.live.ruling import heeded, tell
from proxy.live.shared_call import Share
from proxy.live.truncations import truncated
from proxy.model.commands import Dispatch, Failed, Finished, FirstByte, FirstToken, Refuse, Refused
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.faults import DECLINED, NOT_REACHED, Fault, FaultError, Kind, Source
from proxy.model.outcome import Phase
from proxy.wire.corrections import Corrections
from proxy.wire.trace_context import PREEMPTED
from proxy.wire.usage import Usage


class JobLoop(Outstanding):
    """One per job. `answer` once, then `resumed` as long as the answer breaks off, then `settle`."""

    __slots__ = ("cut_by", "phase", "reason", "settled")

    def __init__(self, jobs: Jobs, call: Call, resumable: dict[str, Any]) -> None:
        super().__init__(jobs, call, resumable)
        self.cut_by: Fault | None = None
        """Why it was ended from outside."""
        self.phase = Phase.QUEUE
        """How far its answer is."""
        self.reason = ""
        """Why it was refused, in one word."""
        self.settled = True
        """The scheduler knows the end of the job."""

    async def answer(self) -> Answer:
        """The answer that the client gets: a good one, or the last one an engine answered with an error. FaultError
        where there is none."""
        self.settled = False
        self._jobs.driver.submit(self._call.job, self)
        failed: Fault | None = None
        command = await self.next()
        while isinstance(command, Dispatch):
            self.phase = Phase.HEAD
            share = self._share
            if share is not None and share.of.id == command.attempt:
                answer = await self._shared(share)
                if answer is not None:
                    self.phase = Phase.STREAM
                    return answer
                failed = self._went_without(share)
                if failed is not None and not self._may_repeat(failed):
                    return self._given_up(failed)
                command = await self.next()
                continue
            one = await self._tried(command, None)
            if one.is_aborted and self.cut_by is None:
                one.relay.release()
                failed = None
            else:
                failed = self.cut_by or self._judged(one)
                if failed is None:
                    self.phase = Phase.STREAM
                    self._begins(one)
                    return one.relay
                failed = self._failed(one, failed)
            command = await self.next()
        self.settled = True
        if failed is not None and (said := self._said_by_engine(failed)) is not None:
            self.phase = Phase.STREAM
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
        if broken.traced is not None:
            broken.traced.end(self._jobs.clock(), fault.kind.value, broken.call.timeline)
        driver = self._jobs.driver
        self._note_metered()
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
        self._note_metered()
        driver.left(self._call.job.id)
        return None

    @property
    def relay(self) -> Relay | None:
        """The receiver of the last attempt; of one that several have, the first's."""
        if self._share is not None:
            return self._share.relay
        return None if self._try is None else self._try.relay

    @property
    def last_answer(self) -> Answer | None:
        """As far as there is one."""
        if self._share is not None:
            return self._share.answer
        return None if self._try is None else self._try.relay

    @property
    def attempt_id(self) -> int:
        """Of the last attempt; 0: there was none."""
        if self._share is not None:
            return self._share.of.id
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
        return (self._share is not None or self._try is not None) and self.dialect.says_done

    @property
    def dialect(self) -> Dialect:
        """Of the engine that has the answer."""
        one = self._share.of if self._share is not None else self._try
        return UNKNOWN if one is None else one.backend.dialect

    @property
    def corrections(self) -> Corrections | None:
        """What is put right in a whole answer; None: nothing."""
        return corrections(self._call, self.dialect)

    @property
    def resumes(self) -> int:
        """How often another backend went on with the stream."""
        continuation = None if self._try is None else self._try.relay.plan.continuation
        return continuation.attempt - 1 if continuation is not None else 0

    @property
    def hedge_said(self) -> str:
        """`won` or `lost`: what became of a second attempt; empty: there was none."""
        return "" if self.hedge_won is None else "won" if self.hedge_won else "lost"

    def truncated(self, usage: Usage) -> str:
        """What its engine left out without a word, as far as that shows; empty: nothing. Of a share nobody knows."""
        one = self._try
        return "" if one is None or self._share is not None else truncated(one, usage, self._jobs.caller)

    def fits(self, backend: str) -> bool:
        """Whether that backend could go on with its stream."""
        continuation = None if self._try is None else self._try.relay.plan.continuation
        return continuation is not None and continuation.fits(self._jobs.backends[backend].dialect)

    def cut(self, fault: Fault) -> None:
        """End now, with `fault`."""
        self.cut_by = fault
        for one in self._out:
            one.end(fault)
        if self._share is not None:
            self._share.cut()

    def leave_unlearned(self) -> None:
        """It is over: how long it took was its client's choice, and tells nothing of its backend."""
        self.settled = True
        self._jobs.driver.left(self._call.job.id)

    def settle(self, fault: Fault | None, usage: Usage, *, cut: bool = False) -> bool:
        """Give everything back, exactly once; True when the whole answer was the client's. `cut`: of a prompt cut."""
        self._call.meter.on_first = None
        if self._try is not None and self._try not in self._out:
            self._try.relay.release()
        for one in self._out:
            one.drop()
        self._out = []
        if self._share is not None:
            self._note_metered()
            self._leave()
            return fault is None
        if self.settled:
            return False
        self.settled = True
        self._note_metered()
        driver, job_id = self._jobs.driver, self._call.job.id
        is_answered = fault is None or fault.kind is Kind.INVALID
        if is_answered:
            ok = fault is None and ENDPOINTS[self.endpoint].works
            prompt, cached, output = usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens
            driver.ended(job_id, Finished(self.attempt_id, prompt, cached, output, ok, cut=cut))
        elif fault is not None and fault.source is Source.UPSTREAM:
            driver.ended(job_id, Failed(self.attempt_id, judge.blamed_for(fault, self.endpoint), False))
        else:
            driver.left(job_id)
        return fault is None

    def _note_metered(self) -> None:
        """What it is charged for, should this be its end: only events show how much of an answer there was."""
        if self._call.request.stream:
            self._call.job.metered = self._call.meter.tokens

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
        if one.traced is not None:
            one.traced.end(self._jobs.clock(), fault.kind.value, one.call.timeline)
        self._count(one, fault)
        self._out = []
        self._jobs.driver.report(Failed(one.id, fault, self._may_repeat(fault)))
        return fault

    def _count(self, one: Try, fault: Fault) -> None:
        self._worked(one.backend.name, one.relay.calls, fault)
        tell(one.backend, one, fault)

    def _worked(self, backend: str, calls: int, fault: Fault) -> None:
        if calls:
            self.asked.add(backend)
        if fault.kind not in NOT_REACHED and fault.kind not in DECLINED:
            self._calls += calls

    def _went_without(self, share: Share) -> Fault | None:
        """A call that others had too brought nothing for it; None: through no fault."""
        if self._share is share:
            self._share = None
        fault = self.cut_by or share.fault
        trace = self._call.trace
        if trace is not None and trace.attempts:
            reason = PREEMPTED if fault is None else fault.kind.value
            trace.attempts[-1].end(self._jobs.clock(), reason, self._call.timeline)
        if fault is None:
            return None
        self._worked(share.of.backend.name, share.worked, fault)
        self._try = share.of.said
        return fault

    def _given_up(self, fault: Fault) -> Answer:
        """It may not be sent again, whatever the scheduler has in mind for those who were with it. FaultError."""
        self._leave()
        said = self._said_by_engine(fault)
        if said is None:
            raise FaultError(fault)
        return said

    def _leave(self) -> None:
        """Of whatever it has a share of. What it has all of is settled for all who have it."""
        share, self._share = self._share, None
        is_waiting = share is not None and share.is_waiting
        if share is not None:
            share.leave()
        if share is None or (share.answer is None and not is_waiting):  # it has lost its share, and waits for another
            self._jobs.driver.left(self._call.job.id)
        self.settled = True

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
        if worked and self._calls >= self._jobs.attempts and not self._call.job.fallbacks:
            return False
        return judge.is_repeatable(fault, self.endpoint)

    def _judged(self, one: Try) -> Fault | None:
        """What is wrong with its answer; None: it is the client's."""
        fault, relay = heeded(one), one.relay
        lack = judge.lack_of(relay, one.backend, self._call.job)
        if lack is None:
            return fault
        self._jobs.driver.report(Refused(one.id, lack))
        return judge.fault_of_lack(lack, relay)
