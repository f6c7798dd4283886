"""Which answers are looked at, which are repaired, and what is told of streams afterwards."""

import asyncio
from typing import Any, cast

import orjson
import pytest

from proxy.core.jobs.retry_budget import RetryBudget
from proxy.core.tenancy.classify import Classified, RequestTraits, TrafficClass
from proxy.live.checker import Checker
from proxy.live.job_builder import BuiltJob
from proxy.live.replay import Replay
from proxy.live.structured import Checked, StructuredAnswers, may_be_looked_at
from proxy.live.timings import Timing
from proxy.model.classes import NOTHING_PROMISED, ClassSettings
from proxy.model.endpoint import Endpoint
from proxy.model.limits import RetrySettings
from proxy.model.request import Job, Request
from proxy.model.structured import Finding, ValidateSettings, Verdict
from proxy.obs.labels import Labels
from proxy.obs.structured_metrics import StructuredMetrics
from proxy.wire.usage import NO_USAGE
from tests.unit.obs.records import record
from tests.unit.obs.test_structured_metrics import samples

ASKED = {"response_format": {"type": "json_object"}}
REQUEST = Request("r", "POST", "/v1/chat/completions", Endpoint.CHAT, "m", json=True)


class Desk:
    """What is looked at is found to be what the test says."""

    def __init__(self, verdict: Verdict = Verdict.VALID, budget: float = 1.0) -> None:
        self.verdict, self.seen = verdict, list[tuple[bytes, bytes, bool]]()
        self.metrics = StructuredMetrics(Labels(("m",), 8))
        retries = RetryBudget(RetrySettings(budget_ratio=0.0, budget_min_per_s=budget / 10))
        self.answers = StructuredAnswers(cast(Checker, self), self.metrics, retries, lambda: 100.0)

    async def check(self, spec: bytes, answer: bytes, *, is_stream: bool = False) -> Finding:
        self.seen.append((spec, answer, is_stream))
        return Finding(self.verdict, "what")

    async def start(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """Nor to end."""


def taken(settings: ValidateSettings) -> BuiltJob:
    classified = Classified(TrafficClass(ClassSettings(name="c", validate_=settings)), "default")
    traits = RequestTraits("chat.completions", "m", "", False, "", "", None, 1, True, ())
    return BuiltJob(Job(1, "m"), classified, traits, NOTHING_PROMISED, REQUEST, b"{}")


CHECKS = taken(ValidateSettings(answers=True))
REPAIRS = taken(ValidateSettings(answers=True, repair=True))


def whole(text: str = "no") -> Replay:
    return Replay(orjson.dumps({"choices": [{"message": {"content": text}}]}), NO_USAGE)


def test_only_classes_that_validate_and_answers_that_must_have_a_form() -> None:
    answers = Desk().answers
    begun = answers.begins(CHECKS, REQUEST, ASKED)
    assert begun is not None
    assert begun.form == b'{"any":true}'
    assert answers.begins(CHECKS, REQUEST, {}) is None
    assert answers.begins(taken(ValidateSettings(repair=True)), REQUEST, ASKED) is None


@pytest.mark.parametrize(
    ("built", "verdict", "text"),
    [
        (REPAIRS, Verdict.NOT_JSON, "no"),
        (REPAIRS, Verdict.MISMATCH, "no"),
        (CHECKS, Verdict.MISMATCH, None),
        *((REPAIRS, verdict, None) for verdict in Verdict if verdict not in (Verdict.NOT_JSON, Verdict.MISMATCH)),
    ],
)
def test_what_may_be_repaired(built: BuiltJob, verdict: Verdict, text: str | None) -> None:
    assert Desk().answers.may_repair(built, Finding(verdict), whole()) == text


def test_repairs_have_a_budget_and_what_cannot_be_repaired_costs_nothing_of_it() -> None:
    desk = Desk(budget=2.0)
    wrong = Finding(Verdict.MISMATCH)
    assert desk.answers.may_repair(REPAIRS, wrong, Replay(b"no answer", NO_USAGE)) is None
    found = [desk.answers.may_repair(REPAIRS, wrong, whole()) for _ in range(4)]
    assert found == ["no", "no", None, None]
    assert samples(desk.metrics)["repairs_total", "m", "no_budget"] == 2


async def test_a_stream_is_looked_at_afterwards_and_told_where_its_time_is() -> None:
    desk = Desk(Verdict.MISMATCH)
    checked = Checked(b"form")
    checked.timing = Timing(record(), 1000.0)
    desk.answers.look_later(checked, b"events", "m")
    await asyncio.to_thread(lambda: None)
    async with asyncio.timeout(5):
        while not checked.said:
            await asyncio.sleep(0)
    assert desk.seen == [(b"form", b"events", True)]
    assert checked.timing.verdict == "mismatch"
    too_long = Checked(b"form")
    desk.answers.look_later(too_long, b"", "m")
    assert too_long.said == "too_large"
    await desk.answers.close()


async def test_only_so_many_streams_wait_to_be_looked_at() -> None:
    desk = Desk()
    many = [Checked(b"form") for _ in range(100)]
    for checked in many:
        desk.answers.look_later(checked, b"events", "m")
    assert [one.said for one in many].count("busy") == 36
    await desk.answers.close()


def test_which_answers_can_be_looked_at() -> None:
    good = whole()
    assert may_be_looked_at(good)
    for name, value in (("status", 500), ("complete", False), ("headers", [(b"Content-Encoding", b"gzip")])):
        bad: Any = whole()
        setattr(bad, name, value)
        assert not may_be_looked_at(bad)
