"""Several embeddings in one call: what each caller gets, and what is sent when the engine does not like it."""

import asyncio
import json
from typing import Any

import pytest

from proxy.live.answer import Answer
from proxy.model.commands import Failed, Finished, Part
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError, Kind
from proxy.wire.usage import NO_USAGE
from tests.support.array_engine import answer
from tests.support.array_server import POISON, array_server
from tests.unit.live.shared_bed import LEFT, shared_bed, until

TEXTS = ["one", ["two", "three"], "four", ["five"]]


def alone(value: Any, request_id: str) -> Any:
    return answer(Endpoint.EMBEDDINGS, json.dumps({"model": "m", "input": value}).encode(), request_id)


def said(answers: list[Answer]) -> list[Any]:
    return [json.loads(one.body) for one in answers]


@pytest.mark.parametrize("how", ["well", "shuffled"])
async def test_each_gets_what_it_would_have_got_alone(how: str) -> None:
    async with array_server() as server, shared_bed(server.url, len(TEXTS)) as bed:
        server.how = how
        answers = await bed.answers(*(bed.embedding(text) for text in TEXTS))
        assert said(answers) == [alone(text, f"req-{i}x") for i, text in enumerate(TEXTS, 1)]
        assert server.sizes == [5]
        report = bed.scheduler.told(Finished)[0]
        assert isinstance(report, Finished)
        assert [part.job_id for part in report.parts] == [1, 2, 3, 4]
        assert sum(part.prompt_tokens or 0 for part in report.parts) == report.prompt_tokens
        assert report.ok


async def test_one_bad_input_is_one_callers_own_error() -> None:
    async with array_server() as server, shared_bed(server.url, 8) as bed:
        texts = [f"text {i}" for i in range(8)]
        texts[5] = POISON
        answers = await bed.answers(*(bed.embedding(text) for text in texts))
        assert [one.status for one in answers] == [200] * 5 + [400] + [200] * 2
        assert said(answers)[:5] == [alone(text, f"req-{i}x") for i, text in enumerate(texts[:5], 1)]
        assert json.loads(answers[5].body) == {"error": {"message": "not allowed"}}, "the engine's own words"
        assert sorted(server.sizes, reverse=True) == [8, 4, 4, 2, 2, 1, 1]


async def test_a_bad_input_that_is_named_costs_two_calls() -> None:
    async with array_server() as server, shared_bed(server.url, 8) as bed:
        server.names_bad = True
        texts = [f"text {i}" for i in range(8)]
        texts[5] = POISON
        answers = await bed.answers(*(bed.embedding(text) for text in texts))
        assert [one.status for one in answers].count(200) == 7
        assert server.sizes == [8, 7, 1]


async def test_all_bad_inputs_are_told_to_their_callers() -> None:
    async with array_server() as server, shared_bed(server.url, 4) as bed:
        answers = await bed.answers(*(bed.embedding(POISON) for _ in range(4)))
        assert [one.status for one in answers] == [400] * 4
        report = bed.scheduler.told()[-1]
        assert isinstance(report, Finished)
        assert not report.ok


async def test_an_engine_that_says_500_to_bad_inputs() -> None:
    async with array_server() as server, shared_bed(server.url, 2, "llama_cpp") as bed:
        server.poison_status = 500
        good, bad = bed.embedding("a"), bed.embedding(POISON)
        first = asyncio.ensure_future(good.answer())
        second = asyncio.ensure_future(bad.answer())
        assert (await first).status == 200
        assert (await second).status == 500
        good.settle(None, NO_USAGE)
        bad.settle(LEFT, NO_USAGE)


@pytest.mark.parametrize(("tells", "cap"), [(True, 3), (False, None)])
async def test_a_cap_is_told_to_the_scheduler_which_sends_fewer(tells: bool, cap: int | None) -> None:
    async with array_server() as server, shared_bed(server.url, 6) as bed:
        server.cap, server.tells_cap = 3, tells
        answers = await bed.answers(*(bed.embedding(f"text {i}") for i in range(6)))
        assert [one.status for one in answers] == [200] * 6
        assert server.sizes == [6, 3, 3]
        report = bed.scheduler.told(Failed)[0]
        assert isinstance(report, Failed)
        assert (report.too_many, report.cap, report.repeatable) == (True, cap, True)


@pytest.mark.parametrize("how", ["lost", "twice"])
async def test_an_answer_that_cannot_be_told_apart_is_asked_for_one_by_one(how: str) -> None:
    async with array_server() as server, shared_bed(server.url, 3) as bed:
        server.how = how
        texts = ["a", "b", "c"]
        answers = await bed.answers(*(bed.embedding(text) for text in texts))
        assert said(answers) == [alone(text, f"req-{i}x") for i, text in enumerate(texts, 1)]
        assert server.sizes == [3, 1, 1, 1]


@pytest.mark.parametrize("how", ["fails", "dies", "busy"])
async def test_when_it_fails_the_scheduler_says_who_goes_again(how: str) -> None:
    async with array_server() as server, shared_bed(server.url, 3) as bed:
        server.how, server.is_once = how, True
        jobs = [bed.embedding(text) for text in ("a", "b", "c")]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        answers = await asyncio.gather(*asked)
        assert said(answers) == [alone(text, f"req-{i}x-2") for i, text in enumerate(("a", "b", "c"), 1)]
        for job in jobs:
            job.settle(None, NO_USAGE)


async def test_attempts_are_counted_for_each_of_them() -> None:
    async with array_server() as server, shared_bed(server.url, 2) as bed:
        server.how = "fails"
        jobs = [bed.embedding("a"), bed.embedding("b")]
        for job in jobs:
            job._calls = 2
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        for one, job in zip(asked, jobs, strict=True):
            with pytest.raises(FaultError) as refused:
                await one
            assert refused.value.fault.kind is Kind.ERROR_STATUS
            job.settle(refused.value.fault, NO_USAGE)
        assert len(server.sizes) == 1


async def test_one_that_leaves_harms_nobody() -> None:
    async with array_server() as server, shared_bed(server.url, 3) as bed:
        server.gate.clear()
        jobs = [bed.embedding(text) for text in ("a", "b", "c")]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        await server.arrived.wait()
        asked[0].cancel()
        jobs[0].settle(LEFT, NO_USAGE)
        server.gate.set()
        answers = await asyncio.gather(*asked[1:])
        assert said(answers) == [alone("b", "req-2x"), alone("c", "req-3x")]
        for job in jobs[1:]:
            job.settle(None, NO_USAGE)
        assert (server.left, bed.scheduler.left) == (0, [1])


async def test_when_all_have_left_the_engine_is_freed() -> None:
    async with array_server() as server, shared_bed(server.url, 2) as bed:
        server.gate.clear()
        jobs = [bed.embedding(text) for text in ("a", "b")]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        await server.arrived.wait()
        for one, job in zip(asked, jobs, strict=True):
            one.cancel()
            job.settle(LEFT, NO_USAGE)
        await until(lambda: server.left == 1)
        assert bed.scheduler.left == [1, 2]


async def test_one_that_leaves_with_its_answer_is_accounted_when_the_others_have_theirs() -> None:
    async with array_server() as server, shared_bed(server.url, 2) as bed:
        first, bad = bed.embedding("a"), bed.embedding(POISON)
        asked = [asyncio.ensure_future(first.answer()), asyncio.ensure_future(bad.answer())]
        await server.arrived.wait()
        got = await asked[0]
        server.gate.clear()
        first.settle(None, got.usage())
        server.gate.set()
        assert (await asked[1]).status == 400
        bad.settle(LEFT, NO_USAGE)
        report = bed.scheduler.told(Finished)[0]
        assert isinstance(report, Finished)
        assert report.parts[0] == Part(1, got.usage().prompt_tokens, None)
        assert 1 not in bed.scheduler.left


async def test_a_call_that_loses_its_place_is_made_again() -> None:
    async with array_server() as server, shared_bed(server.url, 2) as bed:
        server.gate.clear()
        jobs = [bed.embedding(text) for text in ("a", "b")]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        await server.arrived.wait()
        bed.driver._carry_out(bed.scheduler.preempt())
        server.gate.set()
        answers = await asyncio.gather(*asked)
        assert said(answers) == [alone("a", "req-1x"), alone("b", "req-2x")]
        for job in jobs:
            job.settle(None, NO_USAGE)
        assert server.sizes == [2, 2]


async def test_the_drain_cuts_those_that_wait() -> None:
    async with array_server() as server, shared_bed(server.url, 2) as bed:
        server.gate.clear()
        jobs = [bed.embedding(text) for text in ("a", "b")]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        await server.arrived.wait()
        for one, job in zip(asked, jobs, strict=True):
            job.cut(LEFT)
            with pytest.raises(FaultError):
                await one
            job.settle(LEFT, NO_USAGE)
        await until(lambda: server.left == 1)


async def test_company_is_told() -> None:
    async with array_server() as server, shared_bed(server.url, 2) as bed:
        jobs = [bed.embedding(text) for text in ("a", "b")]
        await bed.answers(*jobs)
        company = [job.company for job in jobs]
        assert [(one.jobs, one.leads, one.waited_s) for one in company if one is not None] == [
            (2, True, 0.0),
            (2, False, 0.001),
        ]


async def test_what_is_said_of_no_input_is_said_once_and_to_everybody() -> None:
    async with array_server() as server, shared_bed(server.url, 4) as bed:
        server.poison_status = 403
        jobs = [bed.embedding(text) for text in ("a", POISON, "b", "c")]
        answers = await asyncio.gather(*(job.answer() for job in jobs))
        assert [one.status for one in answers] == [403] * 4
        assert server.sizes == [4]
        for job in jobs:
            job.settle(LEFT, NO_USAGE)


async def test_one_that_left_while_the_others_are_asked_again_is_nobodys_stand_in() -> None:
    async with array_server() as server, shared_bed(server.url, 2) as bed:
        server.how = "lost"
        server.gate.clear()
        first, second = bed.embedding("a"), bed.embedding("b")
        asked = [asyncio.ensure_future(first.answer()), asyncio.ensure_future(second.answer())]
        await server.arrived.wait()
        asked[0].cancel()
        first.settle(LEFT, NO_USAGE)
        server.gate.set()
        assert json.loads((await asked[1]).body) == alone("b", "req-2x")
        second.settle(None, NO_USAGE)
        report = bed.scheduler.told(Finished)[0]
        assert isinstance(report, Finished)
        assert [part.job_id for part in report.parts] == [2]
