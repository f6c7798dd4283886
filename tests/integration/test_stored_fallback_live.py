"""Turns that another model or another pool served, by a fallback: what follows them finds the backend that did."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.test_stored_live import ASKED, client
from tests.support.bed import Bed
from tests.support.live_proxy import Live, before
from tests.support.stateful_engine import Stateful

BY_MODEL = """
hold: {min_jobs: 0, per_in_flight: 0}
routing:
  models: [{name: large, fallback: {model: small}}]
"""
BY_POOL = """
hold: {min_jobs: 0, per_in_flight: 0}
routing:
  models: [{name: large, fallback: {pool: spare}}]
"""
DEFAULT = "routing: {default_model: large}\n"
LARGE = {**ASKED, "model": "large"}


@asynccontextmanager
async def pair(bed: Bed, tmp_path: Path, of_b: str, more: str) -> AsyncIterator[tuple[Live, list[Stateful]]]:
    """Before `a`, which has one place, and `b`, which has what `of_b` says."""
    engines = [Stateful("a"), Stateful("b")]
    with bed.backend(engines[0], models=("large",)) as one, bed.backend(engines[1], models=("small",)) as two:
        entries = f"  - {{url: '{one.url}', name: a, models: [large], kind: vllm, max_concurrency: 1, pool: first}}\n"
        entries += f"  - {{url: '{two.url}', name: b, kind: vllm, {of_b}}}\n"
        async with before(tmp_path, entries, more) as live:
            yield live, engines


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("of_b", "more", "served"),
    [
        ("models: [small], pool: first", BY_MODEL, "small"),
        ("models: [tiny], aliases: {small: tiny}, pool: first", BY_MODEL, "small"),
        ("models: [large], pool: spare", BY_POOL, "large"),
    ],
    ids=["another model", "another model, by an alias", "another pool"],
)
async def test_what_follows_goes_where_the_fallback_went(
    bed: Bed, tmp_path: Path, of_b: str, more: str, served: str, stream: bool
) -> None:
    async with pair(bed, tmp_path, of_b, more) as (live, engines), client(live) as through:
        held = await through.responses.create(model="large", input="hold", stream=True)
        await anext(aiter(held))

        async def turn(before_: str | None) -> str:
            asked = {**LARGE, "previous_response_id": before_} if before_ else LARGE
            if not stream:
                return str((await through.responses.create(**asked)).id)
            events = [event async for event in await through.responses.create(**asked, stream=True)]
            return str(events[0].response.id)

        made = await turn(None)
        assert made.startswith("resp_b")
        bed.loop.call(engines[0].go_on.set)
        await held.close()
        for _ in range(3):  # there is room for it again where it was asked for first
            made = await turn(made)
            assert made.startswith("resp_b")
        answer = await live.send(
            "POST", "/v1/responses", {**LARGE, "previous_response_id": made}, authorization="Bearer k"
        )
        assert answer.status == 200
        assert answer.headers.get("x-tidegate-model", "large") == served
        assert (await through.responses.retrieve(made)).id == made
        assert (await through.responses.cancel(made)).status == "cancelled"
        await through.responses.delete(made)
        assert (await live.send("GET", f"/v1/responses/{made}", authorization="Bearer k")).status == 404
        assert not engines[1].misses


async def test_a_model_that_is_not_where_the_conversation_is_is_told_so(bed: Bed, tmp_path: Path) -> None:
    async with pair(bed, tmp_path, "models: [small], pool: first", DEFAULT) as (live, engines), client(live) as through:
        conversation = await through.conversations.create()
        asked = {**ASKED, "model": "small", "conversation": conversation.id}
        answer = await live.send("POST", "/v1/responses", asked, authorization="Bearer k")
        assert answer.status == 400
        assert b'"param":"model"' in answer.body
        assert b'does not serve \\"small\\"' in answer.body
        assert engines[0].misses == engines[1].misses == []
