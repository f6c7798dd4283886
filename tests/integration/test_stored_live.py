"""Conversations that engines keep: every turn and every operation finds the engine that has it, and nobody else's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.integration.test_reconfigured_live import without
from tests.support.bed import Bed
from tests.support.live_proxy import Answer, Live, before
from tests.support.stateful_engine import Stateful

ASKED = {"model": "fake-model", "input": "hello"}
TURNS = 18
TENANTS = """
auth: keys
tenants:
  - {tenant: a, keys: [{digest: "sha256:%s"}]}
  - {tenant: b, keys: [{digest: "sha256:%s"}]}
"""


@asynccontextmanager
async def house(
    bed: Bed, tmp_path: Path, names: str = "ab", more: str = "", options: str = ""
) -> AsyncIterator[tuple[Live, list[Stateful]]]:
    """A proxy before stateful engines of these names, in turn."""
    engines = [Stateful(name) for name in names]
    first, *others = engines
    with bed.backend(first) as one, bed.backend(others[0] if others else first) as two:
        urls = [one.url, two.url][: len(engines)]
        entries = "".join(
            f"  - {{url: '{url}', name: {engine.name}, models: [fake-model], kind: vllm{options}}}\n"
            for engine, url in zip(engines, urls, strict=True)
        )
        async with before(tmp_path, entries, f"routing: {{policy: round_robin}}\n{more}") as live:
            yield live, engines


def client(live: Live, key: str = "k") -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=False)
    return openai.AsyncOpenAI(base_url=f"{live.proxy.listen_url}/v1", api_key=key, max_retries=0, http_client=http)


def is_unknown(answer: Answer, code: str = "response_not_found") -> bool:
    return answer.status == 404 and f'"code":"{code}"'.encode() in answer.body


async def create(live: Live, **more: Any) -> str:
    answer = await live.send("POST", "/v1/responses", {**ASKED, **more})
    assert answer.status == 200, answer.body
    found: str = json.loads(answer.body)["id"]
    return found


@pytest.mark.parametrize("stream", [False, True])
async def test_every_turn_finds_the_engine_of_the_one_before(bed: Bed, tmp_path: Path, stream: bool) -> None:
    async with house(bed, tmp_path) as (live, engines), client(live) as through:
        conversations: list[str | None] = [None] * 3  # of two engines in turn, each would get every other one
        for _ in range(TURNS):
            for number, before_ in enumerate(conversations):
                asked = {**ASKED, "previous_response_id": before_} if before_ else ASKED
                if stream:
                    events = [event async for event in await through.responses.create(**asked, stream=True)]
                    made = events[0].response.id
                    assert [event.type for event in events][-1] == "response.completed"
                else:
                    made = (await through.responses.create(**asked)).id
                assert before_ is None or made[5] == before_[5]
                conversations[number] = made
        assert not engines[0].misses
        assert not engines[1].misses
        assert {name[5] for name in conversations if name} == {"a", "b"}


async def test_thirty_operations_find_their_engine(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path) as (live, engines), client(live) as through:
        for _ in range(5):
            made = await through.responses.create(**ASKED, background=True)
            assert (await through.responses.retrieve(made.id)).status == "queued"
            assert (await through.responses.cancel(made.id)).status == "cancelled"
            assert (await through.responses.retrieve(made.id)).status == "cancelled"
            assert (await through.responses.input_items.list(made.id)).data == []
            await through.responses.delete(made.id)
            with pytest.raises(openai.NotFoundError, match="not found"):
                await through.responses.retrieve(made.id)
        for _ in range(5):
            conversation = await through.conversations.create()
            turn = await through.responses.create(**ASKED, conversation=conversation.id)
            assert turn.id[5] == conversation.id[5]
            assert (await through.conversations.retrieve(conversation.id)).id == conversation.id
            assert (await through.conversations.items.list(conversation.id)).data == []
            await through.conversations.delete(conversation.id)
        assert not engines[0].misses
        assert not engines[1].misses


async def test_a_stream_can_be_cancelled_by_its_id_while_it_flows(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path) as (live, engines), client(live) as through:
        for _ in range(4):
            async with await through.responses.create(model="fake-model", input="hold", stream=True) as stream:
                made = (await anext(aiter(stream))).response.id
                assert (await through.responses.cancel(made)).status == "cancelled"
        assert not engines[0].misses
        assert not engines[1].misses


UNKNOWN = ["resp_forged", "x" * 257, "x" * 6000, "%F0%9F%8C%8A", "resp_a1%2Fcancel"]


@pytest.mark.parametrize("name", UNKNOWN, ids=range(len(UNKNOWN)))
async def test_ids_of_nobody_are_not_found_and_no_engine_is_asked(bed: Bed, tmp_path: Path, name: str) -> None:
    async with house(bed, tmp_path) as (live, engines):
        await create(live)
        for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")]:
            assert is_unknown(await live.send(method, f"/v1/responses/{name}{path}"))
        answer = await live.send("POST", "/v1/responses", {**ASKED, "previous_response_id": name})
        assert is_unknown(answer, "previous_response_not_found")
        assert b'"param":"previous_response_id"' in answer.body
        assert is_unknown(await live.send("GET", f"/v1/conversations/{name}/items"), "conversation_not_found")
        assert not engines[0].misses
        assert not engines[1].misses


@pytest.mark.parametrize("named", [7, "", [], {"id": 3}])
async def test_what_is_no_id_is_refused(bed: Bed, tmp_path: Path, named: Any) -> None:
    async with house(bed, tmp_path) as (live, _):
        for field in ("previous_response_id", "conversation"):
            assert (await live.send("POST", "/v1/responses", {**ASKED, field: named})).status == 400


async def test_an_id_of_another_tenant_is_as_if_absent(bed: Bed, tmp_path: Path) -> None:
    more = TENANTS % (sha256(b"key-a" * 8).hexdigest(), sha256(b"key-b" * 8).hexdigest())
    async with house(bed, tmp_path, "a", more) as (live, engines):
        async with client(live, "key-a" * 8) as mine, client(live, "key-b" * 8) as other:
            made = await mine.responses.create(**ASKED)
            with pytest.raises(openai.NotFoundError) as theirs:
                await other.responses.retrieve(made.id)
            with pytest.raises(openai.NotFoundError) as nobodys:
                await other.responses.retrieve("resp_a2")
            assert str(theirs.value).replace(made.id, "") == str(nobodys.value).replace("resp_a2", "")
            own = await other.conversations.create()
            with pytest.raises(openai.NotFoundError):
                await other.responses.create(**ASKED, previous_response_id=made.id)
            with pytest.raises(openai.NotFoundError):
                await mine.responses.create(**ASKED, previous_response_id=made.id, conversation=own.id)
            with pytest.raises(openai.NotFoundError):
                await other.responses.delete(made.id)
            assert (await mine.responses.retrieve(made.id)).id == made.id
        assert not engines[0].misses


async def test_an_owner_that_a_reload_took_away_is_not_found_at_once(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path) as (live, _):
        made = {name[5]: name for name in [await create(live) for _ in range(4)]}
        without(live, "a")
        await asyncio.sleep(0)
        assert (await live.send("GET", f"/v1/responses/{made['b']}")).status == 200
        assert is_unknown(await live.send("GET", f"/v1/responses/{made['a']}"))
        answer = await live.send("POST", "/v1/responses", {**ASKED, "previous_response_id": made["a"]})
        assert is_unknown(answer, "previous_response_not_found")


async def test_the_only_engine_is_asked_for_what_is_older_than_the_proxy(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path, "a") as (live, engines):
        engines[0].kept["resp_old"] = {"id": "resp_old", "object": "response"}
        assert (await live.send("GET", "/v1/responses/resp_old")).status == 200
        assert (await live.send("GET", "/v1/responses/resp_none")).status == 404
        assert engines[0].misses == ["resp_none"]


async def test_what_is_not_stored_is_not_remembered(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path) as (live, _):
        assert is_unknown(await live.send("GET", f"/v1/responses/{await create(live, store=False)}"))


async def test_background_is_bulk_and_asking_for_it_needs_no_room(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path, "a", options=", max_concurrency: 1") as (live, engines), client(live) as through:
        made = await create(live, background=True)
        held = await through.responses.create(model="fake-model", input="hold", stream=True)
        await anext(aiter(held))
        answer = await asyncio.wait_for(live.send("GET", f"/v1/responses/{made}"), 5.0)
        assert answer.status == 200
        classes = {line for line in (await live.metrics()).splitlines() if 'endpoint="responses"' in line}
        assert any('class="bulk"' in line for line in classes), classes
        bed.loop.call(engines[0].go_on.set)
        await held.close()


async def test_asking_what_became_of_it_costs_nobody_anything(bed: Bed, tmp_path: Path) -> None:
    """Neither a place of the backend, nor a request of the tenant's quota, nor tokens."""
    key = "key-a" * 8
    limited = TENANTS % (sha256(key.encode()).hexdigest(), sha256(b"key-b" * 8).hexdigest())
    limited = limited.replace("{tenant: a,", "{tenant: a, requests_per_minute: 2,")
    async with house(bed, tmp_path, "a", limited) as (live, _), client(live, key) as through:
        made = await through.responses.create(**ASKED, background=True)
        for _ in range(10):
            assert (await through.responses.retrieve(made.id)).status == "queued"
        assert (await through.responses.cancel(made.id)).status == "cancelled"
        await through.conversations.create()
        answer = await live.send("GET", f"/v1/responses/{made.id}", authorization=f"Bearer {key}")
        assert answer.headers["x-ratelimit-remaining-requests"] == "1"
        await through.responses.create(**ASKED)
        with pytest.raises(openai.RateLimitError):
            await through.responses.create(**ASKED)
        assert (await through.responses.retrieve(made.id)).id == made.id
        told = [line for line in (await live.metrics()).splitlines() if line.startswith("tidegate_tokens_total")]
        assert any(line.endswith('direction="completion"} 2.0') for line in told), told
