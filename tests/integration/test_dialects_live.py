"""Engines that do not write as OpenAI does, as clients see them through the proxy: each quirk by its name.

What was captured of real engines is replayed; TGI, SGLang and Ollama are scripted after their sources.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.engines_captures.reading import capture
from tests.integration.test_unlike_engines import chat, said
from tests.support.live_proxy import Answer, before
from tests.support.route_engine import RouteEngine, listed, model, route_engine

CHAT, TEXT, EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
TGI_LIST = listed({"id": "m", "object": "model", "created": 0, "owned_by": "m"})
HF_LIST = listed({"id": "m", "object": "model", "created": 0, "owned_by": "x", "status": {"value": "loaded"}})
TOO_LONG_TGI = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 and 100"
TOO_LONG_SGLANG = "The input (5000 tokens) is longer than the model's context length (4096 tokens)."
TOO_LONG_OLLAMA = "the prompt is longer than the context length currently available"


def flat_tgi(message: str = TOO_LONG_TGI) -> web.Response:
    return web.json_response({"error": message, "error_type": "validation"}, status=422)


def of_sglang() -> web.Response:
    told = {"object": "error", "message": TOO_LONG_SGLANG, "type": "BadRequestError", "param": None, "code": 400}
    return web.json_response(told, status=400)


def of_ollama() -> web.Response:
    error = {"message": TOO_LONG_OLLAMA, "type": "invalid_request_error", "param": None, "code": None}
    return web.json_response({"error": error}, status=400)


def events(*payloads: Any) -> web.Response:
    lines = [f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in payloads]
    return web.Response(text="".join(lines), content_type="text/event-stream")


class Script:
    """An engine that gives one answer, and remembers what it was asked."""

    def __init__(self, models: dict[str, Any], path: str, answer: Any) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._answer = answer
        self.routes: dict[str, Any] = {"/v1/models": models, path: self._say}

    async def _say(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        made: web.StreamResponse = self._answer()
        return made


async def asked(
    tmp_path: Path, script: Script, body: Any, path: str = CHAT, *, entry: str = "", more: str = "", **headers: str
) -> Answer:
    """What a client gets for it."""
    async with route_engine(script.routes) as engine:
        line = f"  - {{url: '{engine.url}', name: a{entry}}}\n"
        async with before(tmp_path, line, more) as live:
            return await live.send("POST", path, body, **headers)


@pytest.mark.parametrize(
    ("kind", "path", "answer"),
    [
        ("vllm", CHAT, lambda: said("vllm/err_context_chat")),
        ("llama_cpp", CHAT, lambda: said("llama.cpp/err_context_chat")),
        ("llama_cpp", EMBED, lambda: said("llama.cpp/emb_too_long")),
        ("tgi", CHAT, flat_tgi),
        ("sglang", CHAT, of_sglang),
        ("ollama", CHAT, of_ollama),
    ],
)
async def test_a_context_that_is_too_short_is_the_same_error_of_every_engine(
    tmp_path: Path, kind: str, path: str, answer: Any
) -> None:
    long = "word " * 4000
    body = chat(long) if path == CHAT else {"model": "m", "input": long}
    got = await asked(tmp_path, Script(listed(model("m")), path, answer), body, path, entry=f", kind: {kind}")
    error = json.loads(got.body)["error"]
    assert (got.status, error["code"]) == (400, "context_length_exceeded")
    assert error["message"] in json.dumps(json.loads(answer().body)), "the engine's own words"


async def test_tgi_says_it_inside_a_stream(tmp_path: Path) -> None:
    first = {"error": {"message": TOO_LONG_TGI, "http_status_code": 422}}
    script = Script(TGI_LIST, CHAT, lambda: events(first, "[DONE]"))
    got = await asked(tmp_path, script, chat("word " * 4000, stream=True))
    assert (got.status, json.loads(got.body)["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize(
    ("kind", "name"), [("transformers", "transformers-serve/err_unknown_model"), ("vllm", "vllm/err_unknown_model")]
)
async def test_a_model_that_is_not_there(tmp_path: Path, kind: str, name: str) -> None:
    script = Script(listed(model("m")), CHAT, lambda: said(name))
    got = await asked(tmp_path, script, chat(), entry=f", kind: {kind}, models: any")
    assert (got.status, json.loads(got.body)["error"]["code"]) == (404, "model_not_found")


async def test_a_500_for_what_the_client_wrote(tmp_path: Path) -> None:
    script = Script(listed(model("m", "llamacpp")), CHAT, lambda: said("llama.cpp/err_bad_json"))
    got = await asked(tmp_path, script, chat())
    assert got.status == 400
    assert json.loads(got.body)["error"]["message"].startswith("[json.exception.parse_error.101]")


@pytest.mark.parametrize("name", ["vllm/chat_tools_auto", "llama.cpp/err_no_messages", "vllm/err_temperature_range"])
async def test_an_error_that_is_right_stays_as_it_is(tmp_path: Path, name: str) -> None:
    script = Script(listed(model("m")), CHAT, lambda: said(name))
    got = await asked(tmp_path, script, chat(tools=[{"type": "function", "function": {"name": "f"}}]))
    assert (got.status, got.body) == (capture(name).status, capture(name).body)


async def test_transformers_never_says_done_and_the_client_gets_it(tmp_path: Path) -> None:
    found = capture("transformers-serve/chat_stream")
    script = Script(HF_LIST, CHAT, lambda: web.Response(body=found.body, content_type="text/event-stream"))
    got = await asked(tmp_path, script, chat(stream=True))
    assert got.body == found.body + b"data: [DONE]\n\n", "and its usage, which it always tells"


async def test_transformers_cut_short_is_not_done(tmp_path: Path) -> None:
    found = capture("transformers-serve/chat_stream").body
    cut = found[: found.index(b"data: ", 200)]
    script = Script(HF_LIST, CHAT, lambda: web.Response(body=cut, content_type="text/event-stream"))
    got = await asked(tmp_path, script, chat(stream=True))
    assert b"[DONE]" not in got.body
    assert b'"error"' in got.body


async def test_transformers_is_asked_for_no_endless_answer_and_no_field_that_it_refuses(tmp_path: Path) -> None:
    def answer() -> web.Response:
        return web.json_response(json.loads(capture("transformers-serve/chat").body))

    script = Script(HF_LIST, CHAT, answer)
    body = chat(max_tokens=100_000, priority=3, cache_salt="x", temperature=0)
    assert (await asked(tmp_path, script, body)).status == 200
    assert (await asked(tmp_path, script, body, entry=", max_tokens: 9")).status == 200
    assert (await asked(tmp_path, script, chat(max_completion_tokens=50))).status == 200
    first, second, third = script.bodies
    assert first.pop("stream") is True, "it stops for who left only while it streams"
    assert {name: first[name] for name in body if name in first} == first
    assert sorted(set(body) - set(first)) == ["cache_salt", "priority", "stream"]
    assert (first["max_tokens"], second["max_tokens"]) == (4096, 9)
    assert (third["max_tokens"], third["max_completion_tokens"]) == (4, 50)


async def test_a_response_of_transformers_in_one_piece_is_asked_for_as_a_stream(tmp_path: Path) -> None:
    script = Script(HF_LIST, "/v1/responses", lambda: said("transformers-serve/responses"))
    got = await asked(tmp_path, script, {"model": "m", "input": "hi", "max_output_tokens": 9}, "/v1/responses")
    assert got.status == 200
    assert script.bodies == [{"model": "m", "input": "hi", "max_output_tokens": 9, "stream": True}]


def tgi_chunk(text: str, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "id": "", "model": "m", "choices": [choice], "usage": None}


async def test_tgi_stops_at_a_stop_sequence_as_others_do(tmp_path: Path) -> None:
    quoted = 'it says "finish_reason":"stop_sequence"'
    script = Script(TGI_LIST, CHAT, lambda: events(tgi_chunk(quoted), tgi_chunk("", "stop_sequence"), "[DONE]"))
    got = await asked(tmp_path, script, chat(stream=True))
    assert [json.loads(line[6:])["choices"][0]["finish_reason"] for line in _data(got)[:-1]] == [None, "stop"]
    assert json.loads(_data(got)[0][6:])["choices"][0]["delta"]["content"] == quoted
    message = {"role": "assistant", "content": quoted}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop_sequence"}], "model": "m"}
    got = await asked(tmp_path, Script(TGI_LIST, CHAT, lambda: web.json_response(whole)), chat())
    assert json.loads(got.body)["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]


def _data(answer: Answer) -> list[str]:
    return [line for line in answer.body.decode().splitlines() if line.startswith("data: ")]


def ollama_text(text: str, reason: str | None = None) -> dict[str, Any]:
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    choice = {"index": 0, "text": text, "finish_reason": reason}
    return {"id": "cmpl-1", "object": "text_completion", "model": "m:7b", "choices": [choice], "usage": usage}


async def test_ollama_counts_zeros_until_the_end_and_the_client_hears_none(tmp_path: Path) -> None:
    real = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    last = {**ollama_text(""), "choices": [], "usage": real}
    script = Script(
        listed(model("m:7b", "library")),
        TEXT,
        lambda: events(ollama_text("a"), ollama_text("b", "stop"), last, "[DONE]"),
    )
    body = {"model": "m:7b", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
    got = await asked(tmp_path, script, body, TEXT)
    assert [json.loads(line[6:])["usage"] for line in _data(got)[:-1]] == [None, None, real]


async def test_ollama_that_breaks_inside_a_stream_says_nothing_and_the_proxy_does(tmp_path: Path) -> None:
    def chunk(delta: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return {"id": "chatcmpl-7", "object": "chat.completion.chunk", "model": "m:7b", "choices": [choice]}

    broken = events(chunk({"role": "assistant", "content": "hi"}), chunk({"content": ""}))
    script = Script(listed(model("m:7b", "library")), CHAT, lambda: broken)
    got = await asked(tmp_path, script, {**chat(stream=True), "model": "m:7b"})
    assert json.loads(_data(got)[-1][6:])["error"]["code"] == "backend_cut"


BOTH = "classes: [{name: interactive, stream: {reasoning_field: both}}]\n"


@pytest.mark.parametrize(("own", "other"), [("reasoning", "reasoning_content"), ("reasoning_content", "reasoning")])
async def test_thoughts_come_under_both_names_where_that_is_wanted(tmp_path: Path, own: str, other: str) -> None:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}

    def stream() -> web.Response:
        return events(chunk({own: "hm"}), chunk({own: None, "content": "yes"}), chunk({}, "stop"), "[DONE]")

    got = await asked(tmp_path, Script(listed(model("m")), CHAT, stream), chat(stream=True), more=BOTH)
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in _data(got)[:-1]]
    assert deltas == [{own: "hm", other: "hm"}, {own: None, "content": "yes"}, {}]
    plain = await asked(tmp_path, Script(listed(model("m")), CHAT, stream), chat(stream=True))
    assert other.encode() + b'":' not in plain.body

    def whole() -> web.Response:
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes", own: "hm"}, "finish_reason": "stop"}
        return web.json_response({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]})

    got = await asked(tmp_path, Script(listed(model("m")), CHAT, whole), chat(), more=BOTH)
    assert json.loads(got.body)["choices"][0]["message"][other] == "hm"


@pytest.mark.parametrize(
    ("kind", "models", "status"),
    [
        ("transformers", HF_LIST, 503),
        ("tgi", TGI_LIST, 503),
        ("vllm", listed(model("m")), 503),
        ("sglang", listed(model("m", "sglang")), 503),
    ],
)
async def test_an_engine_that_lists_its_models_and_says_that_it_is_unwell_gets_nothing(
    tmp_path: Path, kind: str, models: dict[str, Any], status: int
) -> None:
    ill = Script(models, CHAT, lambda: web.Response(status=500, text="Internal Server Error"))
    ill.routes["/health"] = (status, "")
    good = Script(listed(model("m", "x")), CHAT, lambda: said("vllm/chat"))
    async with route_engine(ill.routes) as a, route_engine(good.routes) as b:
        entries = _entry(a, f"a, kind: {kind}") + _entry(b, "b")
        async with before(tmp_path, entries, "routing: {policy: round_robin}\n") as live:
            got = [await live.ask(chat()) for _ in range(6)]
    assert {(answer.status, answer.route["backend"]) for answer in got} == {(200, "b")}
    assert ill.bodies == []


def _entry(engine: RouteEngine, name: str) -> str:
    return f"  - {{url: '{engine.url}', name: {name}}}\n"
