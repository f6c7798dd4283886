"""The simulated backend over real sockets: vLLM's wire format, the faults on demand, and the test instruments."""

import asyncio
import base64
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest

from proxy.sim.engine.spec import FAST, LOW_LATENCY, EngineKind
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings

MODELS = ("tiny", "org/other")
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "temperature": 0, "max_tokens": 8}
SLOW = replace(LOW_LATENCY, step_s=0.05)
TOOL = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {
            "type": "object",
            "properties": {"tz": {"type": "string", "enum": ["utc", "cet"]}, "n": {"type": "integer"}},
            "required": ["tz"],
        },
    },
}


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    server = SimServer(SimSettings(models=MODELS, spec=FAST))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def slow() -> AsyncIterator[SimServer]:
    server = SimServer(SimSettings(models=MODELS, spec=SLOW))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
async def client(sim: SimServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="any", max_retries=0) as client:
        yield client


async def post(
    http: aiohttp.ClientSession, sim: SimServer, body: Any, path: str = "/v1/chat/completions", **headers: str
) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.post(sim.url + path, json=body, headers=named) as response:
        return response.status, await response.read()


def events(stream: bytes) -> list[Any]:
    blocks = [block for block in stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n\n") if block]
    data = ["\n".join(line[6:] for line in block.split("\n") if line.startswith("data: ")) for block in blocks]
    return [json.loads(one) if one != "[DONE]" else one for one in data if one]


def text_of(chunks: list[Any]) -> str:
    found = [c["choices"][0]["delta"].get("content") for c in chunks if c != "[DONE]" and c.get("choices")]
    return "".join(piece or "" for piece in found)


async def until(true: Callable[[], bool], limit_s: float = 3.0) -> None:
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.005)


# the wire format


async def test_a_stream_looks_like_vllms(http: aiohttp.ClientSession, sim: SimServer) -> None:
    async with http.post(f"{sim.url}/v1/chat/completions", json={**HELLO, "stream": True}) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["x-request-id"]
        found = events(await response.read())
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert found[-1] == "[DONE]"
    content = found[1:-1]
    assert len(content) == 8, "one event per token"
    assert [chunk["choices"][0]["finish_reason"] for chunk in content] == [None] * 7 + ["length"]
    assert not any("usage" in chunk for chunk in content)
    assert len({chunk["id"] for chunk in found[:-1]}) == 1


async def test_same_prompt_same_text_streamed_or_not_here_or_there(http: aiohttp.ClientSession, sim: SimServer) -> None:
    other = SimServer(SimSettings(name="other", models=MODELS))
    await other.start()
    try:
        whole = json.loads((await post(http, sim, HELLO))[1])["choices"][0]["message"]["content"]
        again = json.loads((await post(http, other, HELLO))[1])["choices"][0]["message"]["content"]
        streamed = text_of(events((await post(http, sim, {**HELLO, "stream": True}))[1]))
        warm = [json.loads((await post(http, sim, {**HELLO, "temperature": 1}))[1]) for _ in range(2)]
    finally:
        await other.stop()
    assert whole == again == streamed
    assert len({one["choices"][0]["message"]["content"] for one in warm}) == 2


async def test_usage_only_when_asked_for_and_in_every_event_when_asked_for(
    http: aiohttp.ClientSession, sim: SimServer
) -> None:
    asked = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    found = events((await post(http, sim, asked))[1])
    assert found[-2]["choices"] == []
    used = found[-2]["usage"]
    assert used["completion_tokens"] == 8
    assert used["total_tokens"] == used["prompt_tokens"] + 8
    asked["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    found = events((await post(http, sim, asked))[1])
    assert [chunk["usage"]["completion_tokens"] for chunk in found[:-2]] == list(range(9))


async def test_cached_tokens_of_a_prompt_seen_before(client: openai.AsyncOpenAI) -> None:
    seen = []
    for _ in range(2):
        answer = await client.completions.create(model="tiny", prompt="x" * 400, max_tokens=1, temperature=0)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        seen.append((answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens))
    assert seen == [(100, 0), (100, 96)]


async def test_a_required_tool_is_called_in_deltas_that_make_valid_json(client: openai.AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    tools: Any = [TOOL]
    stream = await client.chat.completions.create(
        model="tiny", messages=messages, tools=tools, tool_choice="required", stream=True, temperature=0
    )
    calls, finish = [], None
    async for chunk in stream:
        calls += chunk.choices[0].delta.tool_calls or []
        finish = chunk.choices[0].finish_reason or finish
    assert [call.id is not None for call in calls] == [True] + [False] * (len(calls) - 1)
    assert calls[0].function is not None
    assert calls[0].function.name == "get_time"
    arguments = json.loads("".join(call.function.arguments or "" for call in calls if call.function))
    assert arguments["tz"] in {"utc", "cet"}
    assert finish == "tool_calls"
    whole = await client.chat.completions.create(
        model="tiny", messages=messages, tools=tools, tool_choice="required", temperature=0
    )
    assert whole.choices[0].message.content is None
    [call] = whole.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == arguments


async def test_structured_output_is_valid(client: openai.AsyncOpenAI) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"a": {"type": "boolean"}, "b": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
        "required": ["a", "b"],
        "$defs": {"item": {"type": "integer", "minimum": 3, "maximum": 4}},
    }
    answer = await client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "hi"}],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    value = json.loads(answer.choices[0].message.content or "")
    assert isinstance(value["a"], bool)
    assert set(value["b"]) <= {3, 4}


async def test_logprobs_cover_every_token(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**HELLO, logprobs=True, top_logprobs=2)
    assert answer.choices[0].logprobs is not None
    content = answer.choices[0].logprobs.content or []
    assert "".join(token.token for token in content) == answer.choices[0].message.content
    assert all(len(token.top_logprobs) == 2 and token.logprob < 0 for token in content)
    text = await client.completions.create(model="tiny", prompt="a", logprobs=1, max_tokens=3, temperature=0)
    assert text.choices[0].logprobs is not None
    assert len(text.choices[0].logprobs.tokens or []) == text.usage.completion_tokens  # type: ignore[union-attr]


async def test_prompt_arrays_token_ids_and_n_make_choices_in_order(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="tiny", prompt=["one", "two"], n=2, max_tokens=3, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 2
    ids = await client.completions.create(model="tiny", prompt=[[1, 2, 3], [4]], max_tokens=2)
    assert ids.usage is not None
    assert (len(ids.choices), ids.usage.prompt_tokens) == (2, 4)
    stream = await client.completions.create(model="tiny", prompt=["one", "two"], max_tokens=3, stream=True)
    seen = [chunk.choices[0].index async for chunk in stream]
    assert sorted(seen) == [0, 0, 0, 1, 1, 1]
    assert seen != sorted(seen), "choices interleave"


async def test_stop_sequences_end_an_answer(client: openai.AsyncOpenAI) -> None:
    full = await client.completions.create(model="tiny", prompt="a", max_tokens=50, temperature=0)
    stop = full.choices[0].text[9:12]
    cut = await client.completions.create(model="tiny", prompt="a", max_tokens=50, temperature=0, stop=[stop])
    assert cut.choices[0].text == full.choices[0].text[: full.choices[0].text.find(stop)]
    assert cut.choices[0].finish_reason == "stop"


async def test_embeddings_in_both_encodings_agree(client: openai.AsyncOpenAI) -> None:
    floats = await client.embeddings.create(model="tiny", input=["one", "two words"], encoding_format="float")
    packed = await client.embeddings.create(model="tiny", input=["one", "two words"], encoding_format="base64")
    raw: Any = packed.data[1].embedding
    assert floats.data[1].embedding == list(struct.unpack("<64f", base64.b64decode(raw)))
    for value in ("text", [1, 2, 3], [[1, 2], [3]]):
        answer = await client.embeddings.create(model="tiny", input=value, dimensions=16)  # type: ignore[arg-type]
        assert all(len(item.embedding) == 16 for item in answer.data)
        assert sum(x * x for x in answer.data[0].embedding) == pytest.approx(1.0)


async def test_rerank_puts_the_closest_first(http: aiohttp.ClientSession, sim: SimServer) -> None:
    body = {"model": "tiny", "query": "red fox", "documents": ["blue whale", "the red fox", "sand"], "top_n": 2}
    status, answer = await post(http, sim, body, "/v1/rerank")
    results = json.loads(answer)["results"]
    assert (status, len(results), results[0]["index"]) == (200, 2, 1)
    assert results[0]["relevance_score"] > results[1]["relevance_score"]
    status, answer = await post(http, sim, {"text_1": "a b", "text_2": ["a b", "c"]}, "/v1/score")
    scores = [item["score"] for item in json.loads(answer)["data"]]
    assert scores[0] == pytest.approx(1.0)
    assert scores[1] < scores[0]


async def test_responses_whole_and_as_named_events(client: openai.AsyncOpenAI) -> None:
    whole = await client.responses.create(model="tiny", input="hello", temperature=0, max_output_tokens=5)
    assert (whole.status, whole.usage.output_tokens) == ("incomplete", 5)  # type: ignore[union-attr]
    stream = await client.responses.create(model="tiny", input="hello", temperature=0, max_output_tokens=5, stream=True)
    kinds, text = [], ""
    async for event in stream:
        kinds.append(event.type)
        text += event.delta if event.type == "response.output_text.delta" else ""
    assert text == whole.output_text
    assert (kinds[0], kinds[-1]) == ("response.created", "response.incomplete")
    assert kinds.count("response.output_text.delta") == 5


async def test_models_with_slashes(client: openai.AsyncOpenAI) -> None:
    assert [model.id for model in (await client.models.list()).data] == list(MODELS)
    assert (await client.models.retrieve("org/other")).id == "org/other"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("none")


@pytest.mark.parametrize(
    ("body", "status", "kind", "param"),
    [
        ({**HELLO, "model": "nope"}, 404, "NotFoundError", "model"),
        ({**HELLO, "messages": [{"role": "user", "content": "x" * 200_000}]}, 400, "BadRequestError", "input_tokens"),
        ({**HELLO, "max_tokens": 0}, 400, "BadRequestError", "max_tokens"),
        ({**HELLO, "max_tokens": -5}, 400, "BadRequestError", "max_tokens"),
        ({**HELLO, "max_tokens": 100_000}, 400, "BadRequestError", "max_tokens"),
        ({**HELLO, "temperature": -1}, 400, "BadRequestError", "temperature"),
        ({**HELLO, "messages": "hi"}, 400, "Bad Request", "body.messages"),
        ({"model": "tiny"}, 400, "Bad Request", "body.messages"),
        ([1, 2], 400, "Bad Request", "body"),
    ],
)
async def test_errors_are_vllms(
    http: aiohttp.ClientSession, sim: SimServer, body: Any, status: int, kind: str, param: str
) -> None:
    for stream in (False, True):
        sent = {**body, "stream": stream} if isinstance(body, dict) else body
        got, answer = await post(http, sim, sent)
        error = json.loads(answer)["error"]
        assert (got, error["type"], error["param"], error["code"]) == (status, kind, param, status)


async def test_errors_that_are_not_wrapped(http: aiohttp.ClientSession, sim: SimServer) -> None:
    assert await post(http, sim, {}, "/v1/nope") == (404, b'{"detail":"Not Found"}')
    async with http.get(f"{sim.url}/v1/chat/completions") as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")
    async with http.post(
        f"{sim.url}/v1/completions", data=b'{"prompt": [', headers={"content-type": "application/json"}
    ) as r:
        assert (r.status, (await r.json())["error"]["type"]) == (400, "Bad Request")
    async with http.post(f"{sim.url}/v1/completions", data=b"{}", headers={"content-type": "text/plain"}) as r:
        assert "Unsupported Media Type" in (await r.json())["error"]["message"]


async def test_odd_json_that_engines_take(http: aiohttp.ClientSession, sim: SimServer) -> None:
    raw = (
        b'{"prompt": "big \\ud800 surrogate", "max_tokens": 2, "unknown": 123456789012345678901234567890, "echo": true}'
    )
    async with http.post(f"{sim.url}/v1/completions", data=raw, headers={"content-type": "application/json"}) as r:
        assert r.status == 200
        assert (await r.json())["usage"]["completion_tokens"] == 2


async def test_an_api_key_guards_v1_only(http: aiohttp.ClientSession) -> None:
    server = SimServer(SimSettings(models=MODELS, api_key="secret"))
    await server.start()
    try:
        assert await post(http, server, HELLO) == (401, b'{"error":"Unauthorized"}')
        assert (await post(http, server, HELLO, authorization="Bearer secret"))[0] == 200
        async with http.get(f"{server.url}/health") as response:
            assert response.status == 200
    finally:
        await server.stop()


async def test_a_full_queue_refuses_as_vllm_does(http: aiohttp.ClientSession) -> None:
    server = SimServer(SimSettings(models=MODELS, spec=replace(SLOW, max_queued=1)))
    await server.start()
    try:
        first = asyncio.ensure_future(post(http, server, HELLO))
        await until(lambda: server.state()["running"] == 1)
        status, body = await post(http, server, {**HELLO, "stream": True})
        assert (status, json.loads(body)["error"]["type"]) == (503, "Service Unavailable")
        assert (await first)[0] == 200
    finally:
        await server.stop()


async def test_metrics_have_vllms_names_and_add_up(http: aiohttp.ClientSession, sim: SimServer) -> None:
    for _ in range(3):
        await post(http, sim, HELLO)
    async with http.get(f"{sim.url}/metrics") as response:
        text = await response.text()
    values = {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if line[0] != "#"}
    labels = '{engine="0",model_name="tiny"}'
    assert values[f"vllm:generation_tokens_total{labels}"] == 24
    assert values[f"vllm:prompt_tokens_total{labels}"] > 0
    assert values[f"vllm:time_to_first_token_seconds_count{labels}"] == 3
    assert values[f"vllm:e2e_request_latency_seconds_count{labels}"] == 3
    assert values['vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"}'] == 3
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "num_preemptions_total"):
        assert values[f"vllm:{name}{labels}"] == 0
    assert 'num_gpu_blocks="16679"' in text


# leaving


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_the_engine_at_once(slow: SimServer, stream: bool) -> None:
    async with aiohttp.ClientSession() as session:
        body = {**HELLO, "max_tokens": 1000, "ignore_eos": True, "stream": stream}
        task = asyncio.ensure_future(post(session, slow, body))
        await until(lambda: slow.state()["running"] == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    started = time.monotonic()
    await until(lambda: slow.state()["running"] == 0)
    assert time.monotonic() - started < 1.0
    state = slow.state()
    assert (state["in_flight"], state["aborted"], state["finished"]) == (0, 1, 0)


async def test_kinds_over_the_wire(http: aiohttp.ClientSession) -> None:
    server = SimServer(SimSettings(models=MODELS, spec=LOW_LATENCY.as_kind(EngineKind.SERIAL)))
    await server.start()
    try:
        tasks = [asyncio.ensure_future(post(http, server, HELLO)) for _ in range(3)]
        await until(lambda: server.state()["waiting"] == 2)
        assert server.state()["running"] == 1
        assert [status for status, _ in await asyncio.gather(*tasks)] == [200] * 3
    finally:
        await server.stop()


# faults


def raw(sim: SimServer, body: Any, headers: dict[str, str], seconds: float = 5.0) -> tuple[bytes, str]:
    """Everything that comes back, and how it ended: closed, reset or silent."""
    host, port = sim.url.removeprefix("http://").split(":")
    data = json.dumps(body).encode()
    lines = [f"{name}: {value}" for name, value in {**headers, "content-length": str(len(data))}.items()]
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" + "\r\n".join(lines)
    received = b""
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + data)
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            return received, "reset"
        except TimeoutError:
            return received, "silent"
    return received, "closed"


@pytest.mark.parametrize(("fault", "end"), [("reset", "reset"), ("cut", "closed"), ("stall", "silent")])
@pytest.mark.parametrize("after", [0, 1, 3])
async def test_streams_that_break(sim: SimServer, fault: str, end: str, after: int) -> None:
    headers = {f"x-sim-{fault}-after": str(after)}
    received, ended = await asyncio.to_thread(raw, sim, {**HELLO, "stream": True}, headers, 0.4)
    assert ended == end
    assert received.count(b"data: ") == after
    assert (received == b"") == (after == 0)
    assert not received.endswith(b"0\r\n\r\n")
    await until(lambda: sim.state()["in_flight"] == sim.state()["running"] == 0)
    assert sim.state()["aborted"] == 1


@pytest.mark.parametrize(("fault", "end"), [("reset", "reset"), ("cut", "closed"), ("stall", "silent")])
@pytest.mark.parametrize("after", [0, 1])
async def test_whole_answers_that_break(sim: SimServer, fault: str, end: str, after: int) -> None:
    received, ended = await asyncio.to_thread(raw, sim, HELLO, {f"x-sim-{fault}-after": str(after)}, 0.4)
    assert ended == end
    head, _, body = received.partition(b"\r\n\r\n")
    assert (head == b"") == (after == 0)
    if after:
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        assert 0 < len(body) < length


async def test_a_status_on_demand(http: aiohttp.ClientSession, sim: SimServer) -> None:
    headers = {"x-sim-status": "429", "x-sim-retry-after": "2", "x-sim-delay-ms": "150"}
    started = time.monotonic()
    async with http.post(f"{sim.url}/v1/chat/completions", json=HELLO, headers=headers) as response:
        assert (response.status, response.headers["retry-after"]) == (429, "2")
        assert (await response.json())["error"]["code"] == 429
    assert time.monotonic() - started >= 0.15


async def test_an_error_event_and_then_done(http: aiohttp.ClientSession, sim: SimServer) -> None:
    _, body = await post(http, sim, {**HELLO, "stream": True}, x_sim_error_event_after="2")
    found = events(body)
    assert len(found) == 4
    assert found[2]["error"]["type"] == "InternalServerError"
    assert found[3] == "[DONE]"


@pytest.mark.parametrize("kind", ["comments", "split-utf8", "crlf", "cr", "multi-line", "ids"])
async def test_unusual_spellings_of_the_same_stream(http: aiohttp.ClientSession, sim: SimServer, kind: str) -> None:
    body = {**HELLO, "stream": True}
    said = base64.b64encode("naïve 東京 🌊 text".encode()).decode()
    _, plain = await post(http, sim, body, x_sim_text=said, x_request_id="same")
    _, odd = await post(http, sim, body, x_sim_text=said, x_request_id="same", x_sim_bad_sse=kind)
    assert text_of(events(odd)) == text_of(events(plain)) == "naïve 東京 🌊 text"
    assert (odd == plain) == (kind == "split-utf8")


async def test_streams_that_are_wrong(http: aiohttp.ClientSession, sim: SimServer) -> None:
    async def stream(kind: str) -> bytes:
        return (await post(http, sim, {**HELLO, "stream": True}, x_sim_bad_sse=kind))[1]

    assert b"[DONE]" not in await stream("no-done")
    assert None in events(await stream("null-data"))
    assert b"<html>" in await stream("html")
    assert max(len(block) for block in (await stream("huge-event")).split(b"\n\n")) > 1 << 20
    assert b"data:\n\n" in await stream("empty-data")
    assert "error" in events(await stream("error-first"))[0]


async def test_tokens_per_event_and_exact_text(http: aiohttp.ClientSession, sim: SimServer) -> None:
    said = "Exactly this text, in tokens of four."
    encoded = base64.b64encode(said.encode()).decode()
    body = {**HELLO, "stream": True, "max_tokens": 100}
    found = events((await post(http, sim, body, x_sim_text=encoded, x_sim_tokens_per_event="4"))[1])
    assert text_of(found) == said
    assert len(found) == 1 + 3 + 1, "role, ten tokens by four, done"
    assert found[-2]["choices"][0]["finish_reason"] == "stop"


async def test_a_dripping_body_is_the_same_body(http: aiohttp.ClientSession, sim: SimServer) -> None:
    whole = await post(http, sim, HELLO, x_request_id="same")
    dripped = await post(http, sim, HELLO, x_request_id="same", x_sim_bytes_per_write="7")
    assert undated(dripped) == undated(whole)
    body = {**HELLO, "stream": True}
    _, dripped = await post(http, sim, body, x_sim_bytes_per_write="1")
    assert text_of(events(dripped)) == text_of(events((await post(http, sim, body))[1]))


def undated(answer: tuple[int, bytes]) -> tuple[int, bytes]:
    """Without the second in which it was made."""
    return answer[0], re.sub(rb'"created":[0-9]+', b'"created":0', answer[1])


async def test_lingering_after_done(sim: SimServer) -> None:
    received, ended = await asyncio.to_thread(
        raw, sim, {**HELLO, "stream": True}, {"x-sim-linger-after-done": "1"}, 0.4
    )
    assert ended == "silent"
    assert b"[DONE]" in received
    assert not received.endswith(b"0\r\n\r\n")


async def test_a_misspelt_fault_is_an_error_and_not_a_test_that_passes(
    http: aiohttp.ClientSession, sim: SimServer
) -> None:
    assert (await post(http, sim, HELLO, x_sim_stal_after="1"))[0] == 400
    assert (await post(http, sim, HELLO, x_sim_bad_sse="odd"))[0] == 400
    assert (await post(http, sim, {"x-sim-status": "abc"}, "/sim/faults"))[0] == 400


# instruments


async def test_default_faults_until_reset(http: aiohttp.ClientSession, sim: SimServer) -> None:
    assert (await post(http, sim, {"x-sim-status": 500, "health": 503, "models": 500}, "/sim/faults"))[0] == 200
    assert (await post(http, sim, HELLO))[0] == 500
    assert (await post(http, sim, HELLO, x_sim_status="502"))[0] == 502, "a header wins"
    for path, status in (("/health", 503), ("/v1/models", 500)):
        async with http.get(sim.url + path) as response:
            assert response.status == status
    await post(http, sim, {}, "/sim/reset")
    assert (await post(http, sim, HELLO))[0] == 200
    async with http.get(f"{sim.url}/health") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_slower_until_reset(http: aiohttp.ClientSession, sim: SimServer) -> None:
    """What the model of the engine takes is a lower bound, however busy the machine is."""
    tokens, slower = 20, 1000
    least_s = 0.9 * (tokens - 1) * slower * sim.settings.spec.step_s

    async def took_s() -> float:
        begun = time.monotonic()
        ask = {**HELLO, "max_tokens": tokens, "ignore_eos": True}
        assert (await post(http, sim, ask))[0] == 200
        return time.monotonic() - begun

    assert await took_s() < least_s
    assert (await post(http, sim, {"slower": slower}, "/sim/faults"))[0] == 200
    assert await took_s() >= least_s
    assert (await post(http, sim, {"slower": 0}, "/sim/faults"))[0] == 400
    await post(http, sim, {}, "/sim/reset")
    assert await took_s() < least_s


async def test_refusing_connections_until_reset_on_an_open_one(http: aiohttp.ClientSession, sim: SimServer) -> None:
    assert (await post(http, sim, {"refuse": True}, "/sim/faults"))[0] == 200
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(raw, sim, HELLO, {})
    assert (await post(http, sim, {}, "/sim/reset"))[0] == 200
    received, _ = await asyncio.to_thread(raw, sim, HELLO, {"connection": "close"})
    assert received.startswith(b"HTTP/1.1 200")


async def test_what_was_received_is_remembered_to_the_byte(http: aiohttp.ClientSession, sim: SimServer) -> None:
    raw_body = b'{ "prompt" : "hi",  "max_tokens":1, "big": 123456789012345678901 }'
    headers = {"content-type": "application/json", "X-Odd-Case": "Value"}
    async with http.post(f"{sim.url}/v1/completions?x=1", data=raw_body, headers=headers) as response:
        assert response.status == 200
    for _ in range(70):
        async with http.get(f"{sim.url}/health"):
            pass
    await http.post(f"{sim.url}/v1/completions?x=1", data=raw_body, headers=headers)
    async with http.get(f"{sim.url}/sim/requests") as response:
        kept = await response.json()
    assert len(kept) == 64
    assert (kept[-1]["method"], kept[-1]["path"]) == ("POST", "/v1/completions?x=1")
    assert base64.b64decode(kept[-1]["body"]) == raw_body
    assert ["X-Odd-Case", "Value"] in kept[-1]["headers"]


async def test_state_counts_connections_other_than_the_asking_one(http: aiohttp.ClientSession, slow: SimServer) -> None:
    body = {**HELLO, "max_tokens": 500, "ignore_eos": True, "stream": True}
    async with aiohttp.ClientSession() as other, other.post(f"{slow.url}/v1/chat/completions", json=body):
        async with http.get(f"{slow.url}/sim/state") as response:
            state = await response.json()
        assert (state["connections"], state["in_flight"]) == (1, 1)
    await until(lambda: slow.state()["in_flight"] == 0)


# the command


def test_the_command_says_where_it_listens_and_ends_on_sigterm() -> None:
    code = "from proxy.cli.main import main; raise SystemExit(main())"
    options = ["--preset", "fast", "--model", "m", "--name", "b1", "--seed", "3"]
    with subprocess.Popen(
        [sys.executable, "-c", code, "sim", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.strip().rsplit(" ", 1)[-1]
        assert line.startswith("tidegate sim b1 ready at http://127.0.0.1:")
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            assert [model.id for model in client.models.list().data] == ["m"]
        taken = url.rsplit(":", 1)[1]
        second = subprocess.run(
            [sys.executable, "-c", code, "sim", "--port", taken], capture_output=True, text=True, check=False
        )
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert second.returncode == 1
    assert "cannot listen" in second.stderr
    assert "Traceback" not in second.stderr
