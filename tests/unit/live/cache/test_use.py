"""The order of one request: from memory, from whoever makes it, or from an engine; and what is kept of that."""

import asyncio
import json

import pytest

from proxy.model.cache import ClassCacheSettings
from proxy.model.classes import ClassSettings
from proxy.model.faults import FaultError, Kind
from tests.unit.live.cache.desk import WHOLE, Desk
from tests.unit.live.test_job import BAD, bed

GOOD = (200, WHOLE)


async def test_a_good_answer_is_kept_and_given_again() -> None:
    async with bed(GOOD, BAD) as one:
        desk = Desk(one)
        assert (await desk.asked())[0] == "miss"
        use, job = desk.begin()
        answer = await use.answer(job)
        assert (use.said, answer.backend) == ("hit", "cache")
        told = json.loads(answer.body)
        assert told["id"] != "chatcmpl-first"
        assert told["created"] > 1700000000
        assert answer.usage().prompt_tokens == 3
        assert use.headers() == [(b"x-tidegate-cache", b"hit"), (b"age", b"0")]
        desk.end(use, job)
        assert (one.counts.finished, one.counts.in_flight) == (1, 0), "no hit reaches the scheduler"


async def test_what_was_not_served_is_not_kept() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        use, job = desk.begin()
        await use.answer(job)
        desk.end(use, job, is_served=False, has_left=True)
        assert (await desk.asked())[0] == "miss"
        assert desk.cache.view().entries == 1


async def test_what_was_asked_before_a_bump_is_not_kept_after_it() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        use, job = desk.begin()
        await use.answer(job)
        desk.cache.bump("m", "")
        desk.end(use, job)
        assert desk.cache.view().entries == 0


async def test_an_engine_that_says_that_it_is_another_one_voids_what_the_old_one_said() -> None:
    answers = [(200, json.dumps({**json.loads(WHOLE), "system_fingerprint": f"fp-{number}"})) for number in (1, 2)]
    async with bed(*answers) as one:
        desk = Desk(one)
        assert (await desk.asked())[0] == "miss"
        assert (await desk.asked())[0] == "hit"
        for name in one.engines:  # all of them are new now
            desk.versions.answered(name, "m", "fp-2")
        assert (await desk.asked())[0] == "miss"
        assert (await desk.asked())[0] == "hit"


async def test_whoever_insists_on_memory_gets_it_or_nothing() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        with pytest.raises(FaultError) as raised:
            await desk.asked(cache_control=b"only-if-cached")
        assert raised.value.fault.kind is Kind.NOT_KEPT
        await desk.asked()
        assert (await desk.asked(cache_control=b"only-if-cached"))[0] == "hit"


async def test_a_form_that_cannot_be_made_of_it_is_asked_for() -> None:
    odd = json.loads(WHOLE)
    odd["choices"][0]["message"]["audio"] = {"data": "x"}
    async with bed((200, json.dumps(odd)), GOOD) as one:
        desk = Desk(one)
        assert (await desk.asked())[0] == "miss"
        assert (await desk.asked())[0] == "hit"
        assert (await desk.asked(stream=True))[0] == "miss"


async def test_one_leads_and_the_others_get_its_answer() -> None:
    async with bed(GOOD, BAD) as one:
        desk = Desk(one)
        leader, job = desk.begin()
        await leader.answer(job)
        others = [desk.begin() for _ in range(5)]
        waiting = [asyncio.ensure_future(use.answer(theirs)) for use, theirs in others]
        await asyncio.sleep(0)
        desk.end(leader, job)
        answers = await asyncio.gather(*waiting)
        assert [use.said for use, _ in others] == ["coalesced"] * 5
        assert len({json.loads(answer.body)["id"] for answer in answers}) == 5
        for use, theirs in others:
            desk.end(use, theirs)
        assert one.counts.finished == 1


async def test_of_other_tenants_nobody_waits() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        leader, job = desk.begin()
        await leader.answer(job)
        assert (await asyncio.wait_for(desk.asked(key=b"b"), 5))[0] == "miss"
        desk.end(leader, job)


async def test_a_shared_memory_tells_nothing() -> None:
    async with bed(GOOD, BAD) as one:
        desk = Desk(one, classes=(ClassSettings(name="interactive", cache=ClassCacheSettings(scope="shared")),))
        await desk.asked()
        use, job = desk.begin(key=b"b")
        await use.answer(job)
        assert use.said == "hit"
        assert use.headers() == []
        desk.end(use, job)


async def test_which_requests_are_its_business() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        use, job = desk.begin()
        use2, job2 = desk.begin(temperature=0, x={"a": 1})
        assert use.tap is not None
        assert use2.tap is not None
        desk.end(use, job, is_served=False)
        desk.end(use2, job2, is_served=False)
        use3, job3 = desk.begin(temperature=1)
        assert (use3.tap, use3.said) == (None, "bypass")
        desk.end(use3, job3, is_served=False)


async def test_what_is_held_of_answers_under_way_is_given_back() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        before = desk.cache._memory.taps.left_b
        use, job = desk.begin()
        await use.answer(job)
        assert desk.cache._memory.taps.left_b < before
        desk.end(use, job)
        assert desk.cache._memory.taps.left_b == before


async def test_a_bump_of_a_prompt_voids_what_was_answered_to_it() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)

        async def asked(version: str) -> str:
            use, job = desk.begin()
            use.prompt_version = version
            await use.answer(job)
            desk.end(use, job)
            return use.said

        assert [await asked(version) for version in ("support@3", "support@3", "")] == ["miss", "hit", "miss"]
        desk.cache.bump("", "support")
        assert [await asked(version) for version in ("support@3", "")] == ["miss", "hit"]
