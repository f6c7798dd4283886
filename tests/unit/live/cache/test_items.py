"""Embeddings: what is there is not asked for again, and the client sees one answer."""

import json
from typing import Any

import pytest
from aiohttp import web

from proxy.model.faults import FaultError, Kind
from tests.support.route_engine import route_engine
from tests.unit.live.cache.desk import Desk
from tests.unit.live.test_job import Bed

EMBEDDINGS = "/v1/embeddings"


class Embedder:
    """An engine that counts letters."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.padding = 0
        self.breaks = False

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        inputs = (await request.json())["input"]
        inputs = [inputs] if isinstance(inputs, str) else inputs
        self.asked.append(inputs)
        if self.breaks:
            return web.json_response({"data": []})
        data = [
            {"object": "embedding", "index": place, "embedding": [float(len(text))] + [0.25] * self.padding}
            for place, text in enumerate(inputs)
        ]
        tokens = sum(map(len, inputs))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return web.json_response({"object": "list", "model": "m", "data": data, "usage": usage})


@pytest.fixture
async def desk() -> Any:
    embedder = Embedder()
    async with route_engine({EMBEDDINGS: embedder}) as engine:
        bed = Bed({"a": engine})
        desk = Desk(bed)
        yield desk, embedder
        for backend in bed.backends.values():
            backend.pool.close()


async def embedded(desk: Desk, inputs: Any) -> tuple[str, list[float], int]:
    how, answer = await desk.asked(target=EMBEDDINGS, input=inputs)
    told = json.loads(answer.body)
    assert [entry["index"] for entry in told["data"]] == list(range(len(told["data"])))
    return how, [entry["embedding"][0] for entry in told["data"]], told["usage"]["prompt_tokens"]


async def test_only_what_is_missing_is_asked_for(desk: Any) -> None:
    one, engine = desk
    assert await embedded(one, ["a", "bbb"]) == ("miss", [1.0, 3.0], 4)
    assert await embedded(one, ["bbb", "cc", "a", "cc"]) == ("miss", [3.0, 2.0, 1.0, 2.0], 8)
    assert await embedded(one, "cc") == ("hit", [2.0], 2)
    assert await embedded(one, ["cc", "a"]) == ("hit", [2.0, 1.0], 3)
    assert engine.asked == [["a", "bbb"], ["cc", "cc"]]


async def test_large_answers_too(desk: Any) -> None:
    one, engine = desk
    engine.padding = 30_000
    texts = [f"text {number:02}" for number in range(12)]
    assert (await embedded(one, texts[:2]))[0] == "miss"
    how, vectors, _ = await embedded(one, texts)
    assert (how, vectors) == ("miss", [7.0] * 12)
    assert [len(asked) for asked in engine.asked] == [2, 10]
    assert (await embedded(one, texts))[0] == "hit"


async def test_what_is_no_answer_is_none_of_the_client(desk: Any) -> None:
    one, engine = desk
    await embedded(one, ["a"])
    engine.breaks = True
    use, job = one.begin(target=EMBEDDINGS, input=["a", "b"])
    with pytest.raises(FaultError) as raised:
        await use.answer(job)
    assert raised.value.fault.kind is Kind.NONSENSE
    one.end(use, job, is_served=False)


async def test_another_parameter_is_another_vector(desk: Any) -> None:
    one, engine = desk
    await embedded(one, ["a"])
    how, _ = await one.asked(target=EMBEDDINGS, input=["a"], dimensions=2)
    assert how == "miss"
    assert len(engine.asked) == 2
