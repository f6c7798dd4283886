"""One request whose answer is looked at: both of its jobs are settled, and both answers counted, whatever comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from proxy.core.jobs.retry_budget import RetryBudget
from proxy.core.tenancy.classify import Classifier
from proxy.live.checker import Checker
from proxy.live.structured import StructuredAnswers
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.limits import RetrySettings
from proxy.model.outcome import SERVED
from proxy.model.structured import Finding, ValidateSettings, Verdict
from proxy.obs.labels import Labels
from proxy.obs.record import Record
from proxy.obs.structured_metrics import StructuredMetrics
from tests.unit.live.test_exchange import House, house, post

BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}}'


class Strict(Checker):
    """Finds only `{}` to be right."""

    async def check(self, spec: bytes, answer: bytes, *, is_stream: bool = False) -> Finding:
        return Finding(Verdict.VALID if b'"{}"' in answer else Verdict.NOT_JSON, "no")


def said(text: str) -> web.Response:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return web.json_response({"choices": [choice], "usage": usage})


@asynccontextmanager
async def repairing(*answers: str | int) -> AsyncIterator[House]:
    texts = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        text = texts.pop(0)
        if text == "hang":
            await asyncio.sleep(60)
        return web.Response(status=text, text="{}") if isinstance(text, int) else said(text)

    async with house(answer) as one:
        settings = ClassSettings(name="interactive", validate_=ValidateSettings(answers=True, repair=True))
        one.builder._classifier = Classifier(with_built_in((settings,)), [], None)
        budget = RetryBudget(RetrySettings())
        one.serving.structured = StructuredAnswers(
            Strict(one.clock), StructuredMetrics(Labels((), 0)), budget, one.clock
        )
        yield one


async def told(one: House) -> tuple[Record, bytes]:
    _, transport = one.client(post(BODY))
    return await one.told(), transport.written


async def test_the_second_answer_is_the_clients_and_both_are_counted() -> None:
    async with repairing("wrong", "{}") as one:
        record, written = await told(one)
        assert record.outcome is SERVED
        assert b"x-tidegate-structured: valid; repair=done\r\n" in written
        assert json.loads(written.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == "{}"
        assert (record.usage.prompt_tokens, record.usage.completion_tokens) == (14, 6)


async def test_a_second_one_that_is_wrong_too_is_counted_and_not_given() -> None:
    async with repairing("wrong", "as wrong") as one:
        record, written = await told(one)
        assert b"x-tidegate-structured: not_json; repair=failed\r\n" in written
        assert json.loads(written.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == "wrong"
        assert (record.outcome, record.usage.completion_tokens) == (SERVED, 6)


async def test_one_that_fails_changes_nothing() -> None:
    async with repairing("wrong", 400) as one:
        record, written = await told(one)
        assert written.startswith(b"HTTP/1.1 200 ")
        assert (record.outcome, record.usage.completion_tokens) == (SERVED, 3)


async def test_who_leaves_meanwhile_leaves_no_job() -> None:
    async with repairing("wrong", "hang") as one:
        connection, _ = one.client(post(BODY))
        await one.asked(2)
        connection.connection_lost(None)
        record = await one.told()
        assert (record.outcome.verdict.value, record.usage.completion_tokens) == ("cancelled", 3)


async def test_what_is_right_is_asked_for_once() -> None:
    async with repairing("{}") as one:
        record, written = await told(one)
        assert b"x-tidegate-structured: valid\r\n" in written
        assert (record.attempts, record.usage.completion_tokens) == (1, 3)
