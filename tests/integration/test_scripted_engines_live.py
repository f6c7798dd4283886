"""TGI, SGLang and Ollama as their sources say they speak, where no real one runs: each quirk by its name.

What of errors and ends is put right stands in test_dialects_live.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.test_odd_engines_live import FAST, SOON, until
from tests.integration.test_unlike_engines import chat, good
from tests.support.live_proxy import Answer, Live, before
from tests.support.route_engine import RouteEngine, listed, model, route_engine

CHAT = "/v1/chat/completions"
OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}
QUEUE_FULL = {
    "object": "error",
    "message": "The request queue is full.",
    "type": "ServiceUnavailable",
    "param": None,
    "code": 503,
}
OLLAMA_BUSY = {
    "error": {
        "message": "server busy, please try again.  maximum pending requests exceeded",
        "type": "api_error",
        "param": None,
        "code": None,
    }
}
TGI = {"/v1/models": listed({"id": "m", "object": "model", "created": 0, "owned_by": "m"})}
SGLANG = {"/v1/models": listed(model("m", "sglang"))}
OLLAMA = {"/v1/models": listed(model("m", "library"))}
ROUND_ROBIN = FAST.replace("routing: {", "routing: {policy: round_robin, ") + SOON
Say = Callable[[web.Request], Any]


def says(status: int, body: Any) -> Say:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


def streams(*payloads: Any) -> Say:
    async def answer(_: web.Request) -> web.Response:
        lines = [f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in payloads]
        return web.Response(text="".join(lines), content_type="text/event-stream")

    return answer


async def served(request: web.Request) -> web.Response:
    return good(await request.json())


def tgi_delta(text: str, reason: str | None = None) -> dict[str, Any]:
    """It names the role each time, and has no id."""
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": text},
        "logprobs": None,
        "finish_reason": reason,
    }
    base = {"object": "chat.completion.chunk", "id": "", "created": 1, "model": "m", "system_fingerprint": "3.3.6"}
    return {**base, "choices": [choice], "usage": None}


@asynccontextmanager
async def in_front(tmp_path: Path, routes: dict[str, Any], more: str = "", options: str = FAST) -> AsyncIterator[Live]:
    """A proxy before one such engine, which it knows."""
    async with route_engine(routes) as engine:
        line = f"  - {{url: '{engine.url}', name: a}}\n"
        async with before(tmp_path, line, options + SOON + more) as live:
            await until(live, lambda one: bool(one["engine"]["kind"]))
            yield live


async def alone(tmp_path: Path, routes: dict[str, Any], body: dict[str, Any], path: str = CHAT) -> Answer:
    """What a client gets of one such engine."""
    async with in_front(tmp_path, routes) as live:
        return await live.send("POST", path, body)


async def beside(tmp_path: Path, routes: dict[str, Any], body: dict[str, Any]) -> tuple[list[Answer], RouteEngine]:
    """What six clients get of it and a sound one, in turns."""
    sound = {"/v1/models": listed(model("m")), CHAT: served}
    async with route_engine(routes) as a, route_engine(sound) as b:
        lines = f"  - {{url: '{a.url}', name: a}}\n  - {{url: '{b.url}', name: b}}\n"
        async with before(tmp_path, lines, ROUND_ROBIN) as live:
            await until(live, lambda one: bool(one["engine"]["kind"]))
            await until(live, lambda one: bool(one["engine"]["kind"]), "b")
            return [await live.ask(body) for _ in range(6)], a


@pytest.mark.parametrize(
    ("engine", "refusal", "status"),
    [
        pytest.param(TGI, says(429, OVERLOADED), 429, id="tgi"),
        pytest.param(SGLANG, says(503, QUEUE_FULL), 503, id="sglang"),
        pytest.param(OLLAMA, says(503, OLLAMA_BUSY), 503, id="ollama"),
    ],
)
async def test_an_engine_that_is_full_says_so_in_openais_words_and_others_are_asked(
    tmp_path: Path, engine: dict[str, Any], refusal: Say, status: int
) -> None:
    got = await alone(tmp_path, {**engine, CHAT: refusal}, chat())
    error = json.loads(got.body)["error"]
    assert (got.status, isinstance(error["message"], str)) == (status, True)
    assert "retry-after" in got.headers
    assert got.headers.get("x-should-retry") != "false", "a retry may help"
    answers, full = await beside(tmp_path, {**engine, CHAT: refusal}, chat())
    assert {(one.status, one.route["backend"]) for one in answers} == {(200, "b")}
    assert full.asked[CHAT] < 6


async def test_tgi_that_is_full_says_so_inside_a_stream_and_another_one_serves_it(tmp_path: Path) -> None:
    """It takes its seat behind a 200, and says 422 whatever the cause."""
    told = {"error": {"message": "Model is overloaded", "http_status_code": 422}}
    routes = {**TGI, CHAT: streams(told, "[DONE]")}
    got = await alone(tmp_path, routes, chat(stream=True))
    assert got.status == 503
    assert "overloaded" in json.loads(got.body)["error"]["message"].lower()
    answers, _ = await beside(tmp_path, routes, chat(stream=True))
    assert {one.route["backend"] for one in answers} == {"b"}


async def test_tgi_whose_generation_failed_is_to_blame_and_another_one_serves_it(tmp_path: Path) -> None:
    failed = {"error": "Request failed during generation: CUDA out of memory", "error_type": "generation"}
    answers, _ = await beside(tmp_path, {**TGI, CHAT: says(424, failed)}, chat())
    assert {(one.status, one.route["backend"]) for one in answers} == {(200, "b")}


async def test_tgi_streams_pass_as_they_are_but_for_the_usage_that_we_asked_for(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    extra = {**tgi_delta(""), "choices": [], "usage": usage}
    events = (tgi_delta("a"), tgi_delta("b", "stop"), extra, "[DONE]")
    got = await alone(tmp_path, {**TGI, CHAT: streams(*events)}, chat(stream=True))
    told = [json.loads(line[6:]) for line in got.body.decode().split("\n\n") if line.startswith("data: {")]
    assert [one["choices"][0]["delta"] for one in told] == [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    assert all("usage" not in one and one["id"] == "" for one in told)
    assert got.body.endswith(b"data: [DONE]\n\n")
    wanted = chat(stream=True, stream_options={"include_usage": True})
    asked = await alone(tmp_path, {**TGI, CHAT: streams(*events)}, wanted)
    assert json.loads(asked.body.decode().split("\n\n")[2][6:])["usage"] == usage


async def test_tgi_tells_its_times_in_heads_and_clients_get_them(tmp_path: Path) -> None:
    async def timed(request: web.Request) -> web.Response:
        answer = good(await request.json())
        answer.headers.update({"x-queue-time": "3", "x-time-per-token": "9", "x-compute-type": "gpu", "x-secret": "s"})
        return answer

    got = await alone(tmp_path, {**TGI, CHAT: timed}, chat())
    assert (got.headers["x-queue-time"], got.headers["x-time-per-token"]) == ("3", "9")
    assert "x-secret" not in got.headers


async def test_tgi_tells_its_context_and_longer_requests_go_elsewhere(tmp_path: Path) -> None:
    info = {"model_id": "m", "max_total_tokens": 512, "max_concurrent_requests": 128, "version": "3.3.6", "sha": "x"}
    async with route_engine({**TGI, CHAT: served, "/info": info}) as engine:
        line = f"  - {{url: '{engine.url}', name: a}}\n"
        async with before(tmp_path, line, FAST) as live:
            told = await until(live, lambda one: one["context_tokens"] == 512)
            assert (told["engine"]["kind"], told["engine"]["version"]) == ("tgi", "3.3.6")
            assert told["seats"] is None, "what is above its limit is refused, and does not wait"
    answers, short = await beside(tmp_path, {**TGI, CHAT: served, "/info": info}, chat())
    assert {one.status for one in answers} == {200}
    assert short.asked[CHAT] > 0


async def test_sglang_that_fails_inside_a_stream_goes_on_to_done_and_the_client_hears_one_error(tmp_path: Path) -> None:
    first = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    delta = {"index": 0, "delta": {"role": "assistant", "content": "so far"}, "finish_reason": None}
    told = {
        "error": {"object": "error", "message": "KV cache pool is full", "type": "InternalServerError", "code": 500}
    }
    routes = {**SGLANG, CHAT: streams({**first, "choices": [delta]}, told, "[DONE]")}
    got = await alone(tmp_path, routes, chat(stream=True))
    assert b"so far" in got.body
    assert got.body.count(b'data: {"error"') == 1
    assert not got.body.endswith(b"data: [DONE]\n\n"), "never a silent full stop"


async def test_sglang_tells_load_and_precision_where_its_metrics_are_off(tmp_path: Path) -> None:
    rank = {"num_running_reqs": 2, "num_waiting_reqs": 1, "token_usage": 0.25, "max_total_num_tokens": 9000}
    loads = {"version": "0.5.23", "loads": [{**rank, "max_running_requests": 16}], "accelerator": "H100"}
    settings = {"dtype": "auto", "quantization": "fp8", "kv_cache_dtype": "fp8_e5m2", "attention_backend": "fa3"}
    routes = {**SGLANG, CHAT: served, "/v1/loads": loads, "/server_info": {"version": "0.5.23", **settings}}
    async with route_engine(routes) as engine:
        line = f"  - {{url: '{engine.url}', name: a}}\n"
        async with before(tmp_path, line, FAST) as live:
            told = await until(live, lambda one: one["engine"]["running"] == 2 and one["engine"]["precision"] == "fp8")
            facts = told["engine"]
            assert (facts["waiting"], told["seats"], facts["attention"], facts["gpu"]) == (1, 16, "fa3", "H100")


async def test_ollama_gives_a_call_of_a_tool_in_one_delta_and_its_names_for_answers_repeat(tmp_path: Path) -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    base = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    base["system_fingerprint"] = "fp_ollama"
    delta = {"role": "assistant", "content": "", "tool_calls": [call]}
    events = (
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    routes = {**OLLAMA, CHAT: streams(*events, "[DONE]")}
    for _ in range(2):
        got = await alone(tmp_path, routes, chat(stream=True))
        assert got.body == b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in events) + b"data: [DONE]\n\n"


def several_models(capabilities: dict[str, list[str]]) -> dict[str, Any]:
    """An Ollama with models of which one is loaded, by its source: what it lists, and tells of each."""
    levels = {"small:latest": "Q4_K_M", "exact:7b": "F16"}
    digests = [
        {"name": name, "digest": f"{at}" * 8, "details": {"quantization_level": level}}
        for at, (name, level) in enumerate(levels.items())
    ]

    async def show(request: web.Request) -> web.Response:
        name = (await request.json())["model"]
        info = {"general.architecture": "llama", "llama.context_length": 8192 if name == "exact:7b" else 131072}
        told = {"model_info": info, "parameters": "num_ctx 4096" if name == "small:latest" else ""}
        return web.json_response({**told, "capabilities": capabilities[name]})

    loaded = {"name": "small:latest", "context_length": 2048, "details": {"quantization_level": "Q4_K_M"}}
    return {
        "/v1/models": listed(*(model(name, "library") for name in levels)),
        "/api/tags": {"models": digests},
        "/api/ps": {"models": [loaded]},
        "/api/version": {"version": "0.33.0"},
        "/api/show": show,
        CHAT: served,
    }


ALL = {"small:latest": ["completion", "tools", "vision"], "exact:7b": ["completion", "tools", "vision"]}


async def test_ollama_with_models_of_several_precisions_serves_each_where_its_own_is_required(tmp_path: Path) -> None:
    """One is loaded, which says nothing of the other."""
    rules = "rules: [{when: {}, require: {precision: fp16}}]"
    options = FAST.replace("routing: {", f"routing: {{{rules}, ")
    async with in_front(tmp_path, several_models(ALL), options=options) as live:
        async with asyncio.timeout(30):
            while (await live.ask(chat() | {"model": "exact:7b"})).status != 200:
                await asyncio.sleep(0.1)
        got = await live.ask(chat() | {"model": "small"})
        assert got.status == 503
        assert "precision fp16" in json.loads(got.body)["error"]["message"]


async def test_ollama_tells_contexts_of_what_it_has_not_loaded_and_what_models_cannot(tmp_path: Path) -> None:
    """Requests that need more go to another backend at once: nobody is asked in vain."""
    without = ALL | {"exact:7b": ["completion"]}
    routes, sound = several_models(without), several_models(ALL)
    async with route_engine(routes) as a, route_engine(sound) as b:
        lines = f"  - {{url: '{a.url}', name: a}}\n  - {{url: '{b.url}', name: b}}\n"
        async with before(tmp_path, lines, ROUND_ROBIN) as live:
            async with asyncio.timeout(30):
                while len(live.proxy._backends["a"].cards) < 2 or a.asked["/api/ps"] < 3:
                    await asyncio.sleep(0.05)
            assert live.proxy._backends["a"].contexts == {"small:latest": 2048, "exact:7b": 8192}
            tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
            answers = [await live.ask(chat(tools=tools) | {"model": "exact:7b"}) for _ in range(4)]
    assert {(one.status, one.route["backend"]) for one in answers} == {(200, "b")}
    assert a.asked["/api/show"] == 2
