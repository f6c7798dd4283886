"""Of requests whose answer must have a form: the check before the client has it, and the one call that may repair it.

    answer ─▶ look ─wrong─▶ its job is settled ─▶ another job, asked with what was wrong ─▶ look ─▶ the better one

Owns that order. Both jobs are counted and learned from; the client sees one answer.
"""

from dataclasses import replace

from proxy.live.account import Account
from proxy.live.answer import Answer
from proxy.live.call import Call
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.live.job import JobLoop
from proxy.live.job_builder import BuiltJob
from proxy.live.serving import Serving
from proxy.live.structured import SAID, Checked, may_be_looked_at
from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.outcome import Outcome
from proxy.model.structured import Verdict
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.structured import asked_again
from proxy.wire.usage import NO_USAGE


class CheckedAccount(Account):
    """One per request."""

    __slots__ = ("_serving",)

    def __init__(self, connection: ClientConnection, message: Message, serving: Serving) -> None:
        super().__init__(serving.accounts, connection, message, serving.response_headers)
        self._serving = serving

    async def _looked_at(self, checked: Checked, job: JobLoop, answer: Answer) -> tuple[JobLoop, Answer]:
        """The answer that the client gets, and whose it is: what an engine brought, or what it says when it is asked
        once more."""
        structured, taken, line = self._serving.structured, self._taken, self._timeline
        assert structured is not None
        assert taken is not None
        line.answered = self._accounts.clock()
        finding = await structured.look(checked, answer, taken.job.model)
        checked.said = finding.verdict.value
        checked.is_kept = finding.verdict is Verdict.VALID
        text = structured.may_repair(taken, finding, answer)
        if text is not None:
            began = self._accounts.clock()
            better = await self._asked_again(checked, taken, answer, asked_again(taken.body, text, finding.error))
            line.repaired_s = self._accounts.clock() - began
            structured.repaired(taken.job.model, well=better is not None)
            checked.said = "valid; repair=done" if better is not None else checked.said + "; repair=failed"
            if better is None:
                self._job = self._writer.job = job
            else:
                job, answer = better
        line.checked = self._accounts.clock()
        self._writer.taken = replace(taken, said=(*taken.said, (SAID, checked.said.encode())))
        return job, answer

    async def _asked_again(
        self, checked: Checked, taken: BuiltJob, answer: Answer, body: bytes
    ) -> tuple[JobLoop, Answer] | None:
        """By a job of its own, after the one before has ended. None: that brought nothing better."""
        structured, usage, now, first = self._serving.structured, answer.usage(), self._accounts.clock(), self._job
        assert structured is not None
        assert first is not None
        assert self._message.head is not None
        if first.settle(None, usage) and usage.completion_tokens is not None:
            self._accounts.job_builder.learn(taken.asked, usage.completion_tokens)
        checked.is_kept, checked.spent = False, usage
        call = Call(
            request=replace(taken.request, body_bytes=len(body)),
            job=self._serving.job_builder.again(taken, body),
            headers=self._message.head.forward,
            body=body,
            settings=taken.classified.traffic_class.stream,
            timeline=Timeline(now),
            meter=Meter(),
            trace=self._trace,
        )
        if self._trace is not None:
            self._trace.end_open(now, self._timeline)
        job = self._job = self._writer.job = JobLoop(self._serving.jobs, call, {})
        try:
            second = await job.answer()
        except FaultError as error:
            job.settle(error.fault, NO_USAGE)
            checked.spent = NO_USAGE
            return None
        if may_be_looked_at(second):
            finding = await structured.look(checked, second, taken.job.model)
            if finding.verdict is Verdict.VALID:
                return job, second
            checked.spent = second.usage()
            job.settle(None, checked.spent)
        else:
            checked.spent = NO_USAGE
            job.settle(downstream(Kind.LEFT, "Nobody wants it any more."), NO_USAGE)
        return None

    def _look_later(self, outcome: Outcome) -> None:
        """At a stream that the client has had to its end."""
        checked, tap, taken, structured = self._checked, self._writer.tap, self._taken, self._serving.structured
        if checked is None or tap is None or structured is None or taken is None or outcome.fault is not None:
            return
        if not self._timeline.is_from_memory:
            structured.look_later(checked, tap.events(), taken.job.model)
