"""Requests that go together, over sockets: what clients get, what the engine is asked, what is told of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.model.endpoint import Endpoint
from proxy.sim.engine.arrays import ArrayCost
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings
from tests.support.array_engine import answer
from tests.support.array_server import POISON, ArrayServer, array_server
from tests.support.live_proxy import Answer, Live, before

PATH = "/v1/embeddings"
FIXED = "routing: {windows: [{endpoint: embeddings, mode: fixed, max_wait: 200ms, max_jobs: 8}]}\n"


@asynccontextmanager
async def arrays(tmp_path: Path, more: str = FIXED, key: bool = False) -> AsyncIterator[tuple[ArrayServer, Live]]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(array_server())
        entry = f"  - {{url: '{server.url}', name: a, models: [m], kind: vllm}}\n"
        yield server, await stack.enter_async_context(before(tmp_path, entry, more))


async def embed(live: Live, value: Any, request_id: str, **fields: Any) -> Answer:
    return await live.send("POST", PATH, {"model": "m", "input": value, **fields}, x_request_id=request_id)


def alone(value: Any, request_id: str) -> Any:
    body = json.dumps({"model": "m", "input": value}).encode()
    return answer(Endpoint.EMBEDDINGS, body, request_id)


async def test_a_full_window_is_one_call_and_each_gets_its_own(tmp_path: Path) -> None:
    async with arrays(tmp_path) as (server, live):
        answers = await asyncio.gather(*(embed(live, f"text {i}", f"req-{i}x") for i in range(8)))
        assert server.sizes == [8]
        assert [json.loads(one.body) for one in answers] == [alone(f"text {i}", f"req-{i}x") for i in range(8)]
        assert all(one.headers["x-request-id"] == f"req-{i}x" for i, one in enumerate(answers))
        assert [one.route["batch"] for one in answers] == ["8"] * 8
        assert all(one.route["waited"].endswith("ms") for one in answers)


async def test_what_differs_is_not_merged(tmp_path: Path) -> None:
    async with arrays(tmp_path) as (server, live):
        answers = await asyncio.gather(*(embed(live, "text", f"r{i}", dimensions=i) for i in range(1, 4)))
        assert [one.status for one in answers] == [200] * 3
        assert server.sizes == [1, 1, 1]


async def test_tenants_are_kept_apart_where_the_operator_says_so(tmp_path: Path) -> None:
    apart = FIXED.replace("max_jobs: 8", "max_jobs: 2, across_tenants: false")
    async with arrays(tmp_path, apart) as (server, live):
        asks = [
            live.send("POST", PATH, {"model": "m", "input": f"{key} {i}"}, authorization=f"Bearer {key}")
            for i in range(2)
            for key in ("one", "two")
        ]
        answers = await asyncio.gather(*asks)
        assert [one.status for one in answers] == [200] * 4
        assert server.sizes == [2, 2]


async def test_one_bad_input_among_good_ones(tmp_path: Path) -> None:
    async with arrays(tmp_path) as (_, live):
        texts = [POISON if i == 3 else f"text {i}" for i in range(8)]
        answers = await asyncio.gather(*(embed(live, text, f"r{i}") for i, text in enumerate(texts)))
        assert [one.status for one in answers] == [400 if text == POISON else 200 for text in texts]
        assert "not allowed" in answers[3].body.decode()


async def test_a_cap_is_learned_and_kept(tmp_path: Path) -> None:
    async with arrays(tmp_path) as (server, live):
        server.cap = 3
        for again in range(3):
            answers = await asyncio.gather(*(embed(live, f"text {again} {i}", f"r{i}") for i in range(8)))
            assert [one.status for one in answers] == [200] * 8
        assert [size for size in server.sizes if size > 3] == [8]


@pytest.mark.parametrize("how", ["single", "lost"])
async def test_an_engine_that_takes_no_arrays_is_sent_none_any_more(tmp_path: Path, how: str) -> None:
    async with arrays(tmp_path) as (server, live):
        server.how = how
        for again in range(5):
            answers = await asyncio.gather(*(embed(live, f"text {again} {i}", f"r{i}") for i in range(8)))
            assert [one.status for one in answers] == [200] * 8
        assert set(server.sizes[-16:]) == {1}


@pytest.mark.parametrize("how", ["lost", "twice", "shuffled"])
async def test_an_engine_that_mixes_up_its_answers(tmp_path: Path, how: str) -> None:
    async with arrays(tmp_path) as (server, live):
        server.how = how
        answers = await asyncio.gather(*(embed(live, f"text {i}", f"req-{i}x") for i in range(8)))
        found = [json.loads(one.body)["data"] for one in answers]
        assert found == [alone(f"text {i}", "")["data"] for i in range(8)]


async def test_an_engine_that_dies_with_the_batch(tmp_path: Path) -> None:
    async with array_server() as dying, array_server() as good:
        dying.how = "dies"
        entries = "".join(
            f"  - {{url: '{one.url}', name: {name}, models: [m], kind: vllm}}\n"
            for name, one in (("a", dying), ("b", good))
        )
        more = FIXED + "retries: {budget_ratio: 1, budget_min_per_s: 100}\n"
        async with before(tmp_path, entries, more) as live:
            for again in range(32):  # either may get the first batches
                answers = await asyncio.gather(*(embed(live, f"text {again} {i}", f"req-{i}x") for i in range(8)))
                assert [one.status for one in answers] == [200] * 8
                found = [json.loads(one.body)["data"] for one in answers]
                assert found == [alone(f"text {again} {i}", "")["data"] for i in range(8)]
                if again >= 3 and dying.sizes:
                    break
        assert dying.sizes
        assert set(dying.sizes) == {8}, "those that died with it went to the other one"
        assert good.sizes.count(1) == 8 * (again + 1 - good.sizes.count(8)), "each alone"


async def test_a_caller_that_leaves_harms_nobody(tmp_path: Path) -> None:
    async with arrays(tmp_path) as (server, live):
        server.gate.clear()
        asked = [asyncio.ensure_future(embed(live, f"text {i}", f"req-{i}x")) for i in range(8)]
        await server.arrived.wait()
        asked[0].cancel()
        await asyncio.gather(asked[0], return_exceptions=True)
        server.gate.set()
        answers = await asyncio.gather(*asked[1:])
        assert [json.loads(one.body) for one in answers] == [alone(f"text {i}", f"req-{i}x") for i in range(1, 8)]
        assert server.sizes == [8]


async def test_when_all_callers_leave_the_engine_is_freed(tmp_path: Path) -> None:
    async with arrays(tmp_path) as (server, live):
        server.gate.clear()
        asked = [asyncio.ensure_future(embed(live, f"text {i}", f"r{i}")) for i in range(8)]
        await server.arrived.wait()
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        async with asyncio.timeout(5):
            while server.left != 1:
                await asyncio.sleep(0.001)


async def test_identical_requests_have_one_attempt(tmp_path: Path) -> None:
    async with arrays(tmp_path, "") as (server, live):
        server.gate.clear()
        asked = [asyncio.ensure_future(embed(live, "text", f"req-{i}x")) for i in range(6)]
        await server.arrived.wait()
        server.gate.set()
        answers = await asyncio.gather(*asked)
        assert server.sizes == [1]
        assert [json.loads(one.body) for one in answers] == [alone("text", f"req-{i}x") for i in range(6)]


@pytest.mark.parametrize("mode", ["window: off", "window: {share_identical: false, mode: adaptive}"])
async def test_what_is_off_is_off(tmp_path: Path, mode: str) -> None:
    async with arrays(tmp_path, f"classes: [{{name: interactive, {mode}}}]\n") as (server, live):
        answers = await asyncio.gather(*(embed(live, "text", f"r{i}") for i in range(4)))
        assert [one.status for one in answers] == [200] * 4
        assert server.sizes == [1] * 4
        assert all("batch" not in one.route for one in answers)


@pytest.mark.parametrize("rule", ["max_wait: 0", "max_jobs: 1", "max_wait: 10m, max_jobs: 4"])
async def test_odd_windows(tmp_path: Path, rule: str) -> None:
    more = f"routing: {{windows: [{{endpoint: embeddings, mode: fixed, {rule}}}]}}\n"
    async with arrays(tmp_path, more) as (server, live):
        answers = await asyncio.gather(*(embed(live, f"text {i}", f"r{i}") for i in range(4)))
        assert [one.status for one in answers] == [200] * 4
        assert sum(server.sizes) == 4


async def test_many_single_texts_before_a_modelled_engine(tmp_path: Path) -> None:
    cost = ArrayCost(call_s=4e-3, input_s=0.3e-3, input_s2=6.5e-6, cap=6)
    sim = SimServer(SimSettings(name="a", models=("m",), arrays=cost))
    await sim.start()
    try:
        entry = f"  - {{url: '{sim.url}', name: a, models: [m], kind: vllm}}\n"
        async with before(tmp_path, entry) as live:
            answers = await asyncio.gather(*(embed(live, f"text {i}", f"r{i}") for i in range(120)))
            assert [one.status for one in answers] == [200] * 120
            vectors = [json.loads(one.body)["data"][0]["embedding"] for one in answers]
            again = await embed(live, "text 77", "again")
            assert json.loads(again.body)["data"][0]["embedding"] == vectors[77]
            calls = len(sim.recorder.as_json())
            assert calls < 60, "most of them went together"
    finally:
        await sim.stop()


async def test_what_windows_were_is_told(tmp_path: Path) -> None:
    async with arrays(tmp_path) as (_, live):
        await asyncio.gather(*(embed(live, f"text {i}", f"r{i}") for i in range(8)))
        await embed(live, "alone", "r9")
        lines = (await live.metrics()).splitlines()
        labels = 'backend="a",class="interactive",endpoint="embeddings"'

        def value(name: str, more: str = "") -> float:
            return float(next(line for line in lines if line.startswith(f"{name}{{{labels}{more}}}")).split()[-1])

        assert value("tidegate_window_seconds_count") == 9
        assert value("tidegate_window_seconds_sum") >= 0.2
        assert value("tidegate_batch_jobs_bucket", ',le="1.0"') == 1
        assert value("tidegate_batch_jobs_bucket", ',le="8.0"') == 2
        assert value("tidegate_batch_jobs_sum") == 9
        assert value("tidegate_windows_closed_total", ',reason="full"') == 1
        assert value("tidegate_windows_closed_total", ',reason="age"') == 1
        assert value("tidegate_calls_saved_total", ',how="merged"') == 7
        tokens = [alone(f"text {i}", "")["usage"]["total_tokens"] for i in range(8)]
        assert value("tidegate_merged_tokens_total") == sum(tokens)


LONG = "routing: {windows: [{endpoint: embeddings, mode: fixed, max_wait: 10m}]}\n"


async def test_a_deadline_leaves_its_window_early_and_takes_the_others_along(tmp_path: Path) -> None:
    async with arrays(tmp_path, LONG) as (server, live):
        first = asyncio.ensure_future(embed(live, "patient", "r1"))
        await held(live, 1)
        body = {"model": "m", "input": "urgent"}
        second = await live.send("POST", PATH, body, x_request_deadline_ms="900")
        assert (second.status, (await first).status) == (200, 200)
        assert server.sizes == [2]


async def test_a_drain_closes_open_windows(tmp_path: Path) -> None:
    async with arrays(tmp_path, LONG + "drain: {readiness: 0, streams: 5s}\n") as (server, live):
        asked = [asyncio.ensure_future(embed(live, f"text {i}", f"req-{i}x")) for i in range(3)]
        await held(live, 3)
        await live.proxy.stop()
        answers = await asyncio.gather(*asked)
        assert [json.loads(one.body) for one in answers] == [alone(f"text {i}", f"req-{i}x") for i in range(3)]
        assert server.sizes == [3]


async def held(live: Live, count: int) -> None:
    """Until so many requests wait here."""
    async with asyncio.timeout(5):
        while f"tidegate_held_jobs {count}.0" not in await live.metrics():
            await asyncio.sleep(0.005)
