"""Random lives of requests that share calls: whoever leaves, and whatever the engine does, who stays gets exactly its
own answer, and nothing is left behind."""

import asyncio
import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from proxy.model.endpoint import Endpoint
from proxy.sim.engine.spec import PRESETS
from tests.support.array_engine import answer
from tests.support.array_server import POISON, ArrayServer, array_server
from tests.support.live_proxy import Live, SimEngine, before, running

ROUNDS = 30
WINDOW = "routing: {windows: [{endpoint: embeddings, mode: fixed, max_wait: 3ms, max_jobs: 6}]}\n"
WHOLE = "retries: {budget_ratio: 1, budget_min_per_s: 1000}\nhealth: {consecutive_failures: 100000, failure_ratio: 1}\n"


async def at_rest(live: Live) -> None:
    """No permit is out, nobody has a mailbox, nothing is shared."""
    proxy: Any = live.proxy
    async with asyncio.timeout(5):
        while True:
            counts = proxy._scheduler.counts(asyncio.get_running_loop().time())
            if not (counts.in_flight or counts.held or proxy._driver._boxes):
                return
            await asyncio.sleep(0.005)


async def one_life(live: Live, server: ArrayServer, rng: random.Random, number: int) -> None:
    """A few requests; some leave after some steps of the loop."""
    server.how = rng.choice(["well", "well", "well", "shuffled", "lost", "twice"])
    server.cap = rng.choice([1 << 30, 1 << 30, 3])
    server.names_bad = rng.random() < 0.5
    kinds = [str(number), "same", POISON] + ([] if server.how in ("lost", "twice") else ["two"])
    inputs = [input_of(rng.choice(kinds), i) for i in range(rng.randint(1, 9))]
    ids = [f"life-{number}-{i}x" for i in range(len(inputs))]
    asked = [asyncio.ensure_future(embed(live, value, name)) for value, name in zip(inputs, ids, strict=True)]
    leaving = [one for one in asked if rng.random() < 0.3]
    for one in leaving:
        for _ in range(rng.randint(0, 40)):
            await asyncio.sleep(0)
        one.cancel()
    for one, value, name in zip(asked, inputs, ids, strict=True):
        with suppress(asyncio.CancelledError):
            status, found = await one
            assert status == (400 if value == POISON else 200), (value, found)
            if status == 200:
                entries = sorted(found["data"], key=lambda entry: entry["index"])  # alone it comes as it comes
                assert entries == alone(value)["data"], name
                assert found["usage"] == alone(value)["usage"]
    await at_rest(live)


def input_of(kind: str, i: int) -> Any:
    """`two`: an array of its own, which an engine that loses entries would spoil also alone."""
    return [f"{i} a", f"{i} b"] if kind == "two" else kind if kind in ("same", POISON) else f"{kind} {i}"


async def embed(live: Live, value: Any, name: str) -> tuple[int, Any]:
    got = await live.send("POST", "/v1/embeddings", {"model": "m", "input": value}, x_request_id=name)
    return got.status, json.loads(got.body)


def alone(value: Any) -> Any:
    return answer(Endpoint.EMBEDDINGS, json.dumps({"model": "m", "input": value}).encode(), "")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_embeddings(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with array_server() as server:
        entry = f"  - {{url: '{server.url}', name: a, models: [m], kind: vllm}}\n"
        async with before(tmp_path, entry, WINDOW + WHOLE) as live:
            for number in range(ROUNDS):
                await one_life(live, server, rng, number)


@pytest.mark.parametrize("seed", [1, 2])
async def test_chats_that_are_the_same(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    engine = SimEngine("a", spec=PRESETS["fast"])
    async with running(tmp_path, "", [engine]) as live:
        expected: dict[bool, set[str]] = {True: set(), False: set()}
        for _ in range(ROUNDS):
            stream = rng.random() < 0.6
            body = {"temperature": 0, "stream": stream, "max_tokens": 24}
            asked = [asyncio.ensure_future(live.ask(body)) for _ in range(rng.randint(2, 6))]
            for one in asked[1:]:
                for _ in range(rng.randint(0, 60)):
                    await asyncio.sleep(0)
                if rng.random() < 0.4:
                    one.cancel()
            if rng.random() < 0.3:
                asked[0].cancel()
            for one in asked:
                with suppress(asyncio.CancelledError):
                    got = await one
                    assert got.status == 200
                    expected[stream].add(text_of(got.body, stream))
            await at_rest(live)
        assert all(len(texts) == 1 for texts in expected.values()), "the same text, whole, for everybody"


def text_of(body: bytes, stream: bool) -> str:
    if not stream:
        return str(json.loads(body)["choices"][0]["message"]["content"])
    assert body.endswith(b"data: [DONE]\n\n")
    events = [json.loads(line[6:]) for line in body.split(b"\n\n") if line.startswith(b"data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
