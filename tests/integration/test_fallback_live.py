"""Another model or pool instead of a refusal, over sockets: what the engine gets, and where the client is told."""

import asyncio
import json
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from tests.support.live_proxy import CHAT, Answer, Live, SimEngine, running
from tests.support.patience import eventually

OPTIONS = """
headers: {forward: ['x-sim-*']}
hold: {min_jobs: 0, per_in_flight: 0}
routing:
  scrape: 0
  models:
    - name: large
      fallback: {model: small}
classes:
  - name: chat
    fallback: {pool: spare}
"""
ENGINES = (
    SimEngine("a", "first", ("large", "m"), options="max_concurrency: 1"),
    SimEngine("b", "first", ("tiny-7b",), options="aliases: {small: tiny-7b}"),
    SimEngine("c", "spare", ("m",), options="max_concurrency: 1"),
)


async def beside_a_slow_one(live: Live, body: dict[str, Any], *others: dict[str, Any], **headers: str) -> list[Answer]:
    """`body` sent while a request is on its way that takes the only permit; `others` after it, at once."""
    slow = asyncio.ensure_future(live.ask(body, x_sim_delay_ms="700", **headers))
    scheduler = live.proxy._scheduler
    await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 1, "it has the permit")
    return [*[await live.ask(other, **headers) for other in others], await slow]


async def test_another_model(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        for stream in (False, True):
            body = {"model": "large", "stream": stream}
            instead, asked = await beside_a_slow_one(live, body, body)
            assert (asked.status, asked.route["backend"]) == (200, "a")
            assert "fallback" not in asked.route
            assert "x-tidegate-model" not in asked.headers
            assert instead.status == 200
            assert (instead.route["backend"], instead.route["fallback"]) == ("b", "model:small")
            assert instead.headers["x-tidegate-model"] == "small"
            assert b'"model":"tiny-7b"' in instead.body.replace(b": ", b":"), "as the engine itself says"
        assert live.asked_of("b")["model"] == "tiny-7b", "rewritten as aliases are"
        told = await live.metrics()
        assert 'tidegate_fallbacks_total{class="interactive",to="model:small"} 2.0' in told
        assert 'tidegate_requests_total{backend="b",class="interactive"' in told
        counts = live.proxy._scheduler.counts(monotonic())
        assert (counts.offered, counts.finished, counts.refused, counts.in_flight) == (4, 4, 0, 0)


async def test_another_pool_and_a_refusal_when_that_is_full_too(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        body = {"model": "m"}
        for _ in range(3):
            assert (await live.ask(body, x_tidegate_class="chat")).route["backend"] == "a", "the spare one is kept"
        instead, _ = await beside_a_slow_one(live, body, body, x_tidegate_class="chat")
        assert (instead.status, instead.route["backend"], instead.route["fallback"]) == (200, "c", "pool:spare")
        assert "x-tidegate-model" not in instead.headers
        slow = asyncio.ensure_future(live.ask(body, x_sim_delay_ms="700", x_tidegate_class="chat"))
        scheduler = live.proxy._scheduler
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 1, "one permit is out")
        slower = asyncio.ensure_future(live.ask(body, x_sim_delay_ms="700", x_tidegate_class="chat"))
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 2, "both permits are")
        refused = await live.ask(body, x_tidegate_class="chat")
        assert refused.status == 429
        assert "fallback" not in refused.route
        assert int(refused.headers["retry-after"]) >= 1
        assert {(await slow).status, (await slower).status} == {200}
        assert 'tidegate_fallbacks_total{class="chat",to="pool:spare"} 2.0' in await live.metrics()


async def test_a_body_without_a_name_to_replace_keeps_its_model(tmp_path: Path) -> None:
    options = OPTIONS.replace("routing:", "routing:\n  default_model: large")
    async with running(tmp_path, options, ENGINES) as live:
        slow = asyncio.ensure_future(live.ask({"model": "large"}, x_sim_delay_ms="500"))
        scheduler = live.proxy._scheduler
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 1, "it has the permit")
        url = f"{live.proxy.listen_url}/v1/chat/completions"
        unnamed = {name: value for name, value in CHAT.items() if name != "model"}
        async with aiohttp.ClientSession() as session, session.post(url, json=unnamed) as answer:
            assert answer.status == 429
        assert (await slow).status == 200


async def test_explained(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        status, told = await live.explain({**CHAT, "model": "m"}, x_tidegate_class="chat")
        assert status == 200
        assert told["fallbacks"] == ["pool:spare"]
        assert told["require"] == ["pool!=spare"]
        assert (told["decision"]["outcome"], told["decision"]["fallback"]) == ("dispatch", None)
        assert {c["backend"]: c["removed_by"] for c in told["decision"]["candidates"]} == {"a": None, "c": "labels"}
        assert json.dumps(told)
