"""Engines that are not alike behind one name, and names that are one model: what is found out, and who gets what."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from proxy.model.commands import Load
from tests.engines_captures.reading import capture
from tests.support.live_proxy import Live, before
from tests.support.patience import eventually
from tests.support.route_engine import RouteEngine, listed, model, route_engine

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
LONG = "word " * 2700


def said(name: str) -> web.Response:
    """What a real engine said."""
    found = capture(name)
    return web.Response(status=found.status, body=found.body, content_type="application/json")


def good(fields: dict[str, Any]) -> web.Response:
    message = {"role": "assistant", "content": "hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    prompt = len(json.dumps(fields["messages"])) // 5
    usage = {"prompt_tokens": prompt, "completion_tokens": 1, "total_tokens": prompt + 1}
    body = {"id": "c", "object": "chat.completion", "model": fields["model"], "choices": [choice], "usage": usage}
    return web.json_response(body)


async def vllm_chat(request: web.Request) -> web.Response:
    """2,048 tokens, and no tool parser."""
    fields = await request.json()
    if fields.get("tools"):
        return said("vllm/chat_tools_auto")
    if len(json.dumps(fields["messages"])) > 8192:
        return said("vllm/err_context_chat")
    return good(fields)


async def llama_chat(request: web.Request) -> web.Response:
    return good(await request.json())


async def llama_no_embeddings(_: web.Request) -> web.Response:
    return said("llama.cpp/embeddings")


async def embeddings(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "model": "m"})


def vllm(**more: Any) -> dict[str, Any]:
    entry = model("m", **more)
    no_route = (404, '{"detail":"Not Found"}')
    return {"/v1/models": listed(entry), "/v1/chat/completions": vllm_chat, "/v1/embeddings": no_route}


def llama(**more: Any) -> dict[str, Any]:
    entry = model("m", "llamacpp", **more)
    return {
        "/v1/models": listed(entry),
        "/v1/chat/completions": llama_chat,
        "/v1/embeddings": llama_no_embeddings,
        "/props": {"total_slots": 2},
    }


def embedder() -> dict[str, Any]:
    return {**llama(), "/v1/chat/completions": (501, ""), "/v1/embeddings": embeddings}


@asynccontextmanager
async def proxy_before(tmp_path: Path, more: str = "", **engines: RouteEngine) -> AsyncIterator[Live]:
    entries = "".join(f"  - {{url: '{engine.url}', name: {name}}}\n" for name, engine in engines.items())
    async with before(tmp_path, entries, more) as live:
        yield live


def chat(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 4, "stream": False, **more}


ROUND_ROBIN = "routing: {policy: round_robin}\n"


@pytest.mark.parametrize("more", [ROUND_ROBIN, ""])
async def test_a_long_prompt_goes_to_the_engine_that_told_its_context(tmp_path: Path, more: str) -> None:
    short, long = vllm(max_model_len=2048), llama(meta={"n_ctx": 8192})
    async with route_engine(short) as a, route_engine(long) as b, proxy_before(tmp_path, more, a=a, b=b) as live:
        answers = [await live.ask(chat(LONG)) for _ in range(8)]
        assert {(answer.status, answer.route["backend"]) for answer in answers} == {(200, "b")}
        assert "a" in {(await live.ask(chat())).route["backend"] for _ in range(8)}


async def test_what_an_engine_refuses_another_one_serves_and_it_is_not_asked_again(tmp_path: Path) -> None:
    async with (
        route_engine(vllm()) as a,
        route_engine(llama()) as b,
        route_engine(embedder()) as c,
        proxy_before(tmp_path, ROUND_ROBIN, a=a, b=b, c=c) as live,
    ):
        scheduler = live.proxy._scheduler
        for body, places in (
            (chat(), {"a", "b"}),
            (chat(tools=TOOLS), {"b"}),
            (chat(LONG), {"b"}),
        ):
            first = [await live.ask(body) for _ in range(9)]
            assert {answer.status for answer in first} == {200}, "refused here, served there"
            answers = [await live.ask(body) for _ in range(6)]
            assert {answer.status for answer in answers} == {200}
            assert {answer.route["backend"] for answer in answers} == places
        request = {"model": "m", "input": "x"}
        answers = [await live.send("POST", "/v1/embeddings", request) for _ in range(12)]
        assert {answer.status for answer in answers} == {200}
        assert {answer.route["backend"] for answer in answers} == {"c"}
        counts = scheduler.counts(monotonic())
        assert (counts.retries, counts.ejections) == (0, 0)
        _, told = await live.explain(chat(tools=TOOLS))
        removed = {c["backend"]: c["removed_by"] for c in told["decision"]["candidates"]}
        assert removed["a"] == removed["c"] == "unable"
        assert scheduler.counts(monotonic()).in_flight == 0


async def test_the_only_engine_says_itself_what_it_cannot(tmp_path: Path) -> None:
    async with route_engine(vllm()) as a, proxy_before(tmp_path, a=a) as live:
        for _ in range(4):
            answer = await live.ask(chat(tools=TOOLS))
            assert answer.status == 400
            assert answer.body == capture("vllm/chat_tools_auto").body
        assert (await live.ask(chat())).status == 200


# ---- names


def ollama(*names: str, owner: str = "library") -> dict[str, Any]:
    async def answer(request: web.Request) -> web.Response:
        fields = await request.json()
        asked = fields["model"]
        if asked in names or f"{asked}:latest" in names:
            return good(fields)
        return web.json_response({"error": {"message": f'model "{asked}" not found'}}, status=404)

    return {
        "/v1/models": listed(*(model(name, owner) for name in names)),
        "/v1/chat/completions": answer,
        "/api/version": {"version": "0.33.0"},
        "/api/ps": {"models": []},
    }


@pytest.mark.parametrize("owner", ["library", "mike"])
async def test_the_implicit_tag_of_ollama(tmp_path: Path, owner: str) -> None:
    async with (
        route_engine(ollama("llama3.2:latest", "qwen3:8b", owner=owner)) as o,
        proxy_before(tmp_path, o=o) as live,
    ):
        for name in ("llama3.2", "llama3.2:latest", "qwen3:8b"):
            answer = await live.ask(chat(model=name))
            assert answer.status == 200, answer.body
            assert json.loads(answer.body)["model"] == name, "as asked"
            found = await live.send("GET", f"/v1/models/{name}")
            assert (found.status, json.loads(found.body)["id"]) == (200, name)
        assert (await live.ask(chat(model="qwen3"))).status == 404
        assert (await live.send("GET", "/v1/models/qwen3")).status == 404
        all_of_them = json.loads((await live.send("GET", "/v1/models")).body)["data"]
        assert [entry["id"] for entry in all_of_them] == ["llama3.2:latest", "qwen3:8b"]


NAMES = """
routing:
  models:
    - name: llama3.2
      fallback: {model: qwen3}
  tenants:
    - tenant: "{tenant}"
      models: ["llama3.2", "gpt:latest"]
  rules:
    - when: {model: [llama3.2]}
      class: bulk
"""


async def test_rules_tenants_and_aliases_by_any_spelling(tmp_path: Path) -> None:
    async with route_engine(ollama("llama3.2:latest", "qwen3:latest", "x:latest")) as o:
        entry = f"  - {{url: '{o.url}', name: o, aliases: {{gpt: llama3.2}}}}\n"
        async with before(tmp_path, entry, NAMES.replace("{tenant}", "5e884898")) as live:
            key = {"authorization": "Bearer password"}
            for name in ("llama3.2", "llama3.2:latest"):
                answer = await live.ask(chat(model=name), **key)
                assert answer.status == 200, answer.body
                assert answer.route["class"] == "bulk"
            for name in ("gpt", "gpt:latest"):
                answer = await live.ask(chat(model=name), **key)
                assert answer.status == 200, answer.body
                assert json.loads(answer.body)["model"] == "llama3.2", "what the alias stands for"
            assert (await live.ask(chat(model="x"), **key)).status == 404
            assert (await live.ask(chat(model="x"))).status == 200, "of another tenant"


# ---- sleep and silence


class Sleeper:
    """vLLM that can be put to sleep: it takes requests then, and leaves them alone."""

    def __init__(self) -> None:
        self.awake = asyncio.Event()
        self.awake.set()

    def routes(self) -> dict[str, Any]:
        return {"/v1/models": listed(model("m")), "/v1/chat/completions": self.chat, "/metrics": self.metrics}

    async def chat(self, request: web.Request) -> web.Response:
        await self.awake.wait()
        return good(await request.json())

    async def metrics(self, _: web.Request) -> web.Response:
        text = (
            f'vllm:num_requests_running 0\nvllm:engine_sleep_state{{sleep_state="awake"}} {int(self.awake.is_set())}\n'
        )
        return web.Response(text=text)


@pytest.mark.parametrize("policy", ["round_robin", "goodput"])
async def test_a_sleeping_engine_gets_no_requests_until_it_wakes(tmp_path: Path, policy: str) -> None:
    sleeper, other = Sleeper(), Sleeper()
    more = f"routing: {{policy: {policy}, scrape: 2s}}\n"
    async with (
        route_engine(sleeper.routes()) as a,
        route_engine(other.routes()) as b,
        proxy_before(tmp_path, more, a=a, b=b) as live,
    ):
        fleet = live.proxy._scheduler._fleet
        sleeper.awake.clear()
        swallowed = [asyncio.ensure_future(live.ask(chat())) for _ in range(4)]
        await asyncio.to_thread(eventually, lambda: fleet.by_name["a"].asleep, "it is known to sleep")
        answers = await asyncio.gather(*swallowed)
        assert {(answer.status, answer.route["backend"]) for answer in answers} == {(200, "b")}, "taken back"
        assert {(await live.ask(chat())).route["backend"] for _ in range(6)} == {"b"}
        sleeper.awake.set()
        await asyncio.to_thread(eventually, lambda: not fleet.by_name["a"].asleep, "it is known to be awake")
        both = await asyncio.gather(*(live.ask(chat()) for _ in range(12)))
        assert {answer.route["backend"] for answer in both} == {"a", "b"}


async def test_requests_wait_for_the_only_engine_to_wake(tmp_path: Path) -> None:
    sleeper = Sleeper()
    async with route_engine(sleeper.routes()) as a, proxy_before(tmp_path, "routing: {scrape: 0}\n", a=a) as live:
        driver, scheduler = live.proxy._driver, live.proxy._scheduler
        driver.report(Load("a", asleep=True))
        waiting = asyncio.ensure_future(live.ask(chat()))
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).held == 1, "it is held")
        assert a.asked["/v1/chat/completions"] == 0
        driver.report(Load("a", asleep=False))
        assert (await waiting).status == 200


async def _silent_stream(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    for _ in range(20):
        event = {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}
        await answer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        await asyncio.sleep(0.01)
    await asyncio.sleep(60.0)
    return answer


@pytest.mark.parametrize("policy", ["round_robin", "goodput"])
async def test_a_stream_that_a_stopped_engine_left_open_ends_in_seconds(tmp_path: Path, policy: str) -> None:
    routes = {"/v1/models": listed(model("m")), "/v1/chat/completions": _silent_stream}
    more = f"routing: {{policy: {policy}}}\nhealth: {{probe_interval: 1s}}\n"
    async with route_engine(routes) as a, proxy_before(tmp_path, more, a=a) as live:
        stream = asyncio.ensure_future(live.ask(chat(stream=True)))
        await asyncio.to_thread(eventually, lambda: a.asked["/v1/chat/completions"] == 1, "it is on its way")
        began = monotonic()
        a.stop_listening()
        answer = await stream
        assert 2.0 < monotonic() - began < 15.0
        assert answer.body.count(b"word ") == 20
        assert b'"error"' in answer.body.splitlines()[-2]


async def test_a_silent_stream_of_an_engine_that_is_there_goes_on(tmp_path: Path) -> None:
    routes = {"/v1/models": listed(model("m")), "/v1/chat/completions": _silent_stream}
    more = "health: {probe_interval: 1s}\nlimits: {upstream: {idle: 6s}}\n"
    async with route_engine(routes) as a, proxy_before(tmp_path, more, a=a) as live:
        began = monotonic()
        answer = await live.ask(chat(stream=True))
        assert monotonic() - began > 5.5, "only the configured limit ends it"
        assert b'"error"' in answer.body
