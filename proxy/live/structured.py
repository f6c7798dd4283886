"""Answers of classes that validate: looked at when they are there, and asked for once more where they are wrong.

Owns what is remembered of one such request, and when it may be repaired. Streams are looked at after their end: nothing
of them is held back.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from proxy.core.jobs.retry_budget import RetryBudget
from proxy.live.answer import Answer
from proxy.live.checker import Checker
from proxy.live.job_builder import BuiltJob
from proxy.live.timings import Timing
from proxy.model.limits import RetrySettings
from proxy.model.request import Request
from proxy.model.structured import WRONG, Finding, Verdict
from proxy.model.timeline import Clock
from proxy.obs.structured_metrics import StructuredMetrics
from proxy.wire import codings, structured
from proxy.wire.usage import NO_USAGE, Usage

SAID: Final = b"x-tidegate-structured"
"""Of an answer: the verdict, and what became of a repair."""
_MOST_LATER: Final = 64
"""Streams that wait to be looked at."""


class Checked:
    """One request whose answer is looked at."""

    __slots__ = ("form", "is_kept", "said", "spent", "timing")

    def __init__(self, form: bytes) -> None:
        self.form = form
        self.said = ""
        """What was found; empty: nothing yet."""
        self.spent: Usage = NO_USAGE
        """Tokens of the answer that the client did not get."""
        self.is_kept = True
        """Its answer may be given to others."""
        self.timing: Timing | None = None
        """Where it is told."""


class StructuredAnswers:
    """One per proxy. `budget`: of repairs."""

    def __init__(self, checker: Checker, metrics: StructuredMetrics, budget: RetryBudget, clock: Clock) -> None:
        self._checker = checker
        self._metrics = metrics
        self._budget = budget
        self._clock = clock
        self._later: set[asyncio.Task[None]] = set()

    def begins(self, taken: BuiltJob, request: Request, fields: Mapping[str, Any]) -> Checked | None:
        """A request came. None: its answer is not looked at."""
        if taken.classified.traffic_class.validate is None:
            return None
        form = structured.form(request.endpoint, fields)
        if form is None:
            return None
        self._budget.request(self._clock())
        return Checked(form)

    async def look(self, checked: Checked, answer: Answer, model: str) -> Finding:
        """At a whole answer."""
        return await self._look(checked.form, answer.body, model, is_stream=False)

    def look_later(self, checked: Checked, events: bytes, model: str) -> None:
        """At a stream that has ended; `events`: empty where it was too long to be remembered."""
        if not events or len(self._later) >= _MOST_LATER:
            verdict = Verdict.BUSY if events else Verdict.TOO_LARGE
            self._metrics.found(model, verdict, 0.0)
            self._tell(checked, verdict.value)
            return
        task = asyncio.ensure_future(self._look_at_stream(checked, events, model))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def may_repair(self, taken: BuiltJob, finding: Finding, answer: Answer) -> str | None:
        """The text to be repaired. None: nothing is to be done, or may be."""
        settings = taken.classified.traffic_class.validate
        if settings is None or not settings.repair or finding.verdict not in WRONG:
            return None
        text = structured.text_of(answer.body)
        if text is None:
            return None
        if not self._budget.take(self._clock()):
            self._metrics.repaired(taken.job.model, "no_budget")
            return None
        return text

    def repaired(self, model: str, *, well: bool) -> None:
        """What came of it."""
        self._metrics.repaired(model, "repaired" if well else "failed")

    def configure(self, retries: RetrySettings, *, is_on: bool) -> None:
        """As another configuration has it. `is_on`: any class validates: the process of checks is to be there."""
        self._budget.configure(retries)
        self._checker.switch(is_on=is_on)

    async def close(self) -> None:
        """End all of it."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        await self._checker.close()

    async def _look(self, form: bytes, answer: bytes, model: str, *, is_stream: bool) -> Finding:
        began = self._clock()
        finding = await self._checker.check(form, answer, is_stream=is_stream)
        self._metrics.found(model, finding.verdict, self._clock() - began)
        return finding

    async def _look_at_stream(self, checked: Checked, events: bytes, model: str) -> None:
        finding = await self._look(checked.form, events, model, is_stream=True)
        self._tell(checked, finding.verdict.value)

    @staticmethod
    def _tell(checked: Checked, said: str) -> None:
        checked.said = said
        if checked.timing is not None:
            checked.timing.verdict = said


def may_be_looked_at(answer: Answer) -> bool:
    """A good answer that is all there, and not packed."""
    if answer.status != 200 or answer.events is not None or not answer.complete:
        return False
    return not codings.coding_of(answer.headers)
