"""Two proxies with one second level, a real redis-server: what one was told, the other finds; and one that restarts."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import Any

import openai
import pytest

from proxy.live import shared_owners
from tests.integration.test_reconfigured_live import without
from tests.integration.test_stored_live import ASKED, TENANTS, client, create, is_unknown
from tests.support.bed import Bed
from tests.support.live_proxy import Live, before
from tests.support.redis_server import RedisServer, needs_redis, redis_server
from tests.support.stateful_engine import Stateful

KEY_A, KEY_B = "key-a" * 8, "key-b" * 8
NAMED = TENANTS % (sha256(KEY_A.encode()).hexdigest(), sha256(KEY_B.encode()).hexdigest())


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def houses(
    bed: Bed, tmp_path: Path, redis: RedisServer | None, more: str = ""
) -> AsyncIterator[tuple[Live, Live, list[Stateful]]]:
    """Two proxies before two engines, each of which they ask in turn."""
    engines = [Stateful("a"), Stateful("b")]
    with bed.backend(engines[0]) as one, bed.backend(engines[1]) as two:
        entries = "".join(
            f"  - {{url: '{engine.url}', name: {name}, models: [fake-model], kind: vllm}}\n"
            for name, engine in (("a", one), ("b", two))
        )
        second = "" if redis is None else f"cache: {{remote: '{redis.url}'}}\n"
        options = f"routing: {{policy: round_robin}}\n{second}{more}"
        for name in ("first", "second"):
            (tmp_path / name).mkdir(exist_ok=True)
        async with (
            before(tmp_path / "first", entries, options) as first,
            before(tmp_path / "second", entries, options) as other,
        ):
            yield first, other, engines


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine may be busy: what is tried here is who is asked."""
    monkeypatch.setattr(shared_owners, "LOOK_S", 10.0)


async def told(*lives: Live) -> None:
    """All that these proxies have to tell is told; this machine may be busy."""
    for live in lives:
        second = live.proxy._owners._second()
        assert second is not None
        for _ in range(1000):
            if second.is_idle:
                break
            await asyncio.sleep(0.01)
        assert second.is_idle


async def found(live: Live, where: str) -> float:
    text = await live.metrics()
    lines = [line for line in text.splitlines() if line.startswith(f'tidegate_stored_lookups_total{{found="{where}"')]
    return float(lines[0].rsplit(" ", 1)[1]) if lines else 0.0


@needs_redis
@pytest.mark.parametrize("stream", [False, True])
async def test_eighteen_turns_that_change_the_proxy_each_time(
    bed: Bed, tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    patient(monkeypatch)
    async with houses(bed, tmp_path, redis) as (one, other, engines), client(one) as first, client(other) as second:
        conversations: list[str | None] = [None, None, None]
        through = cycle([first, second])
        for _ in range(18):
            for number, before_ in enumerate(conversations):
                asked: dict[str, Any] = {**ASKED, "previous_response_id": before_} if before_ else ASKED
                if stream:
                    events = [event async for event in await next(through).responses.create(**asked, stream=True)]
                    made = events[0].response.id
                else:
                    made = (await next(through).responses.create(**asked)).id
                assert before_ is None or made[5] == before_[5]
                conversations[number] = made
                await told(one, other)
        assert engines[0].misses == engines[1].misses == []
        assert await found(other, "second_level") > 10
        assert {name[5] for name in conversations if name} == {"a", "b"}


@needs_redis
async def test_thirty_operations_each_through_the_other_proxy(
    bed: Bed, tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    async with houses(bed, tmp_path, redis) as (one, other, engines), client(one) as first, client(other) as second:
        through = cycle([first, second, second, first])
        for _ in range(5):
            made = await next(through).responses.create(**ASKED, background=True)
            await told(one, other)
            assert (await next(through).responses.retrieve(made.id)).status == "queued"
            assert (await next(through).responses.cancel(made.id)).status == "cancelled"
            assert (await next(through).responses.input_items.list(made.id)).data == []
            conversation = await next(through).conversations.create()
            await told(one, other)
            turn = await next(through).responses.create(**ASKED, conversation=conversation.id)
            assert turn.id[5] == conversation.id[5]
            assert (await next(through).conversations.items.list(conversation.id)).data == []
            await next(through).responses.delete(made.id)
            await next(through).conversations.delete(conversation.id)
            for client_ in (first, second):
                with pytest.raises(openai.NotFoundError):
                    await client_.responses.retrieve(made.id)
        assert await found(one, "unanswered") == await found(other, "unanswered") == 0
        # of what was deleted a proxy that knew it asks its engine, which says so itself
        assert all(name.startswith("resp_") for name in engines[0].misses + engines[1].misses)


@needs_redis
async def test_ids_of_other_tenants_are_as_absent_through_either_proxy(
    bed: Bed, tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    async with houses(bed, tmp_path, redis, NAMED) as (one, other, engines):
        async with client(one, KEY_A) as mine, client(other, KEY_B) as theirs, client(other, KEY_A) as also_mine:
            made = await mine.responses.create(**ASKED)
            await told(one)
            for _ in range(2):
                with pytest.raises(openai.NotFoundError, match="not found"):
                    await theirs.responses.retrieve(made.id)
                assert (await also_mine.responses.retrieve(made.id)).id == made.id
            with pytest.raises(openai.NotFoundError):
                await theirs.responses.create(**ASKED, previous_response_id=made.id)
            with pytest.raises(openai.NotFoundError):
                await theirs.responses.delete(made.id)
            assert (await mine.responses.retrieve(made.id)).id == made.id
        assert engines[0].misses == engines[1].misses == []


@needs_redis
async def test_an_owner_that_a_reload_took_away_is_absent_wherever_it_is_known_from(
    bed: Bed, tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    async with houses(bed, tmp_path, redis) as (one, other, _):
        made = {name[5]: name for name in [await create(one) for _ in range(4)]}
        await told(one)
        without(other, "a")
        assert (await other.send("GET", f"/v1/responses/{made['b']}")).status == 200
        assert is_unknown(await other.send("GET", f"/v1/responses/{made['a']}"))
        answer = await other.send("POST", "/v1/responses", {**ASKED, "previous_response_id": made["a"]})
        assert is_unknown(answer, "previous_response_not_found")
        assert (await one.send("GET", f"/v1/responses/{made['a']}")).status == 200


@needs_redis
async def test_forged_and_huge_ids_are_unknown_and_ask_no_engine(
    bed: Bed, tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    async with houses(bed, tmp_path, redis) as (one, _, engines):
        for name in ("resp_forged", "x" * 256, "x" * 6000, "tidegate:owner:*", "%00"):
            answer = await one.send("GET", f"/v1/responses/{name}")
            assert is_unknown(answer) or answer.status == 400
        assert engines[0].misses == engines[1].misses == []


@needs_redis
async def test_away_wiped_and_back_it_is_as_if_it_had_not_been(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    with redis_server() as server:
        async with houses(bed, tmp_path, server) as (one, other, _):
            early = await create(one)
            await told(one)
            server.stop()
            late = [await create(one) for _ in range(3)]
            for name in (early, *late):
                assert (await one.send("GET", f"/v1/responses/{name}")).status == 200, "it knows by itself"
            assert is_unknown(await other.send("GET", f"/v1/responses/{late[0]}")), "nobody told it"
            assert await found(other, "unanswered") == 1
            server.start()  # with nothing in it

            async def reached(name: str) -> bool:
                return (await other.send("GET", f"/v1/responses/{name}")).status == 200

            for name in late:  # they waited to be told
                for _ in range(100):
                    if await reached(name):
                        break
                    await asyncio.sleep(0.1)
                else:
                    pytest.fail("the other proxy was never told")
            assert not await reached(early), "what was told before is lost with what was in it"


@needs_redis
async def test_frozen_it_costs_an_unknown_id_milliseconds_and_others_nothing(bed: Bed, tmp_path: Path) -> None:
    with redis_server() as server:
        async with houses(bed, tmp_path, server) as (one, other, _):
            made = await create(one)
            await told(one)
            server.freeze()
            try:
                for _ in range(5):
                    assert is_unknown(await other.send("GET", "/v1/responses/resp_forged"))
                    assert (await one.send("GET", f"/v1/responses/{made}")).status == 200
                    await create(one)
            finally:
                server.thaw()
            assert await found(other, "unanswered") == 5


async def test_a_restart_keeps_who_has_what(bed: Bed, tmp_path: Path) -> None:
    state = f"state: '{tmp_path}/state.json'\n"
    async with houses(bed, tmp_path, None, NAMED + state) as (one, _, engines):
        async with client(one, KEY_A) as mine:
            made = [(await mine.responses.create(**ASKED)).id for _ in range(4)]
        assert one.proxy._keeper is not None
        await one.proxy._keeper.write()
        written = (tmp_path / "state.json").read_text()
        assert made[0] not in written
        kept = [dict(engine.kept) for engine in engines]
        async with houses(bed, tmp_path, None, NAMED + state) as (later, _, others):
            for engine, before_ in zip(others, kept, strict=True):
                engine.kept.update(before_)
            async with client(later, KEY_A) as mine, client(later, KEY_B) as theirs:
                for name in made:
                    with pytest.raises(openai.NotFoundError):
                        await theirs.responses.retrieve(name)
                    assert (await mine.responses.retrieve(name)).id == name
                    assert (await mine.responses.create(**ASKED, previous_response_id=name)).id[5] == name[5]
            assert others[0].misses == others[1].misses == []
    assert json.loads(written)["tidegate_state"] == 1
