"""The official `anthropic` client: its whole message surface comes back as it does without a proxy."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from tests.dropin.conftest import plain
from tests.support.engine_scripts import SCRIPTS
from tests.support.fake_backend import Exchange
from tests.support.fake_engine import answer_to, error_answer, event, json_answer, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.patience import eventually

TOOL = {"name": "weather", "description": "of a city", "input_schema": {"type": "object", "properties": {"city": {}}}}
ASKED: dict[str, Any] = {"model": "fake-model", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
CACHED = {"type": "text", "text": "Be brief. " * 80, "cache_control": {"type": "ephemeral"}}
RESULT = [
    {"role": "user", "content": "weather?"},
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Zürich"}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sun"}]},
]
VARIANTS = {
    "plain": ASKED,
    "system with cache borders": {**ASKED, "system": [CACHED]},
    "tools": {**ASKED, "tools": [TOOL], "tool_choice": {"type": "auto"}},
    "a tool's result": {**ASKED, "tools": [TOOL], "messages": RESULT},
    "thinking": {**ASKED, "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
    "unicode": {**ASKED, "messages": [{"role": "user", "content": "Zürich \u2028 🌉 data: [DONE]\n\n"}]},
    "all the usual knobs": {
        **ASKED,
        "stop_sequences": ["END"],
        "extra_body": {"top_k": 5},
        "metadata": {"user_id": "u"},
    },
}
PROMPT = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 16}
COUNTED = 23
"""Tokens of every prompt: those read from the cache and written to it, too."""


def blocks_of(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """A thought, where it was asked for; a call, where there are tools; text."""
    blocks: list[dict[str, Any]] = []
    if "thinking" in asked:
        blocks.append({"type": "thinking", "thinking": "Well, then.", "signature": "c2ln"})
    said = json.dumps(asked["messages"][-1]["content"], ensure_ascii=False)
    blocks.append({"type": "text", "text": f"You said {said}"})
    if "tools" in asked:
        blocks.append({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Zürich"}})
    return blocks


def events_of(message: dict[str, Any]) -> Iterator[bytes]:
    def named(name: str, **fields: Any) -> bytes:
        return event({"type": name, **fields}, name)

    begun = {**message, "content": [], "stop_reason": None, "usage": PROMPT | {"output_tokens": 0}}
    yield named("message_start", message=begun)
    yield named("ping")
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        field = {"thinking": "thinking", "text": "text", "tool_use": "input"}[kind]
        empty = {**block, field: {} if kind == "tool_use" else ""}
        if kind == "thinking":
            empty["signature"] = ""
        yield named("content_block_start", index=index, content_block=empty)
        text = json.dumps(block["input"]) if kind == "tool_use" else block[field]
        name = {"thinking": "thinking", "text": "text", "tool_use": "partial_json"}[kind]
        delta = {"thinking": "thinking_delta", "text": "text_delta", "tool_use": "input_json_delta"}[kind]
        for start in range(0, len(text), 5):
            yield named("content_block_delta", index=index, delta={"type": delta, name: text[start : start + 5]})
        if kind == "thinking":
            signed = {"type": "signature_delta", "signature": block["signature"]}
            yield named("content_block_delta", index=index, delta=signed)
        yield named("content_block_stop", index=index)
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield named("message_delta", delta=ended, usage={"output_tokens": 9})
    yield named("message_stop")


async def anthropics(exchange: Exchange) -> None:
    """An engine with Anthropic's API."""
    request = exchange.request
    if request.path == "/v1/messages/count_tokens":
        await send_answer(exchange, json_answer({"input_tokens": COUNTED}))
        return
    if request.path != "/v1/messages":
        await send_answer(exchange, answer_to(request, exchange.backend.models))
        return
    asked = request.json()
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": blocks_of(asked),
        "stop_reason": "tool_use" if "tools" in asked else "end_turn",
        "stop_sequence": None,
        "usage": PROMPT | {"output_tokens": 9},
    }
    if not asked.get("stream"):
        await send_answer(exchange, json_answer(message))
        return
    await exchange.send(stream_head())
    for one in events_of(message):
        await exchange.send(chunk(one))
    await exchange.send(LAST_CHUNK)


def client_of(url: str, **more: Any) -> anthropic.Anthropic:
    settings = {"base_url": url, "api_key": "sk-ant-x", "max_retries": 0, "timeout": 15.0}
    return anthropic.Anthropic(**settings | more)


@pytest.fixture(scope="module")
def pair(bed):
    with bed.backend(anthropics) as engine:
        config = {"backends": [{"url": engine.url, "name": "alpha", "kind": "vllm"}]}
        with bed.proxy(config) as proxy:
            yield engine, proxy


@pytest.fixture
def same(pair) -> Callable[[Callable[[anthropic.Anthropic], Any]], Any]:
    engine, proxy = pair

    def compare(call: Callable[[anthropic.Anthropic], Any]) -> Any:
        with client_of(engine.url) as direct, client_of(proxy.url) as through:
            expected, got = plain(call(direct)), plain(call(through))
        assert got == expected
        return got

    return compare


@pytest.mark.parametrize("asked", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_message_is_the_same(same, pair, asked):
    same(lambda client: client.messages.create(**asked))
    direct, through = pair[0].requests[-2:]
    assert through.body == direct.body
    assert through.header("anthropic-version") == direct.header("anthropic-version")


@pytest.mark.parametrize("asked", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_event_of_a_stream_is_the_same(same, asked):
    got = same(lambda client: list(client.messages.create(**asked, stream=True)))
    assert got[-1]["type"] == "message_stop"


@pytest.mark.parametrize("asked", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_stream_adds_up_to_the_message(same, asked):
    def whole(client):
        with client.messages.stream(**asked) as stream:
            return stream.get_final_message()

    assert same(whole)["content"] == same(lambda client: client.messages.create(**asked))["content"]


def test_counting_tokens_is_the_same_and_costs_none(same, pair):
    before = pair[1].metrics().total("tidegate_tokens_total")
    got = same(lambda client: client.messages.count_tokens(model="fake-model", messages=ASKED["messages"]))
    assert got["input_tokens"] == COUNTED
    assert pair[1].metrics().total("tidegate_tokens_total") == before


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_counted_as_the_engine_counts_them(pair, stream):
    def told():
        metrics = pair[1].metrics()
        return [metrics.total("tidegate_tokens_total", direction=way) for way in ("prompt", "cached", "completion")]

    before = told()
    answer = pair[1].ask("POST", "/v1/messages", {**ASKED, "stream": stream})
    assert answer.status == 200
    assert eventually(
        lambda: [now - then for now, then in zip(told(), before, strict=True)] == [COUNTED, 16, 9], "told"
    )


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_base_urls_with_and_without_a_version(pair, suffix):
    with client_of(pair[1].url + suffix) as client:
        assert client.messages.create(**ASKED).content
        assert client.messages.count_tokens(model="fake-model", messages=ASKED["messages"]).input_tokens == COUNTED
    assert pair[0].requests[-1].path == "/v1/messages/count_tokens"
    assert pair[1].ask("POST", "/messages", ASKED).status == 200


def test_models_are_listed_as_its_client_reads_them(pair):
    with client_of(pair[1].url) as client:
        listed = client.models.list()
        (one,) = listed.data
        assert (one.id, one.type, one.display_name, listed.has_more) == ("fake-model", "model", "fake-model", False)
        assert one.created_at.year >= 1970
        assert client.models.retrieve("fake-model").id == "fake-model"
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("nobody")
    assert pair[1].ask("GET", "/v1/models").json()["object"] == "list"


ERRORS = [
    (400, "invalid_request_error", anthropic.BadRequestError),
    (403, "permission_error", anthropic.PermissionDeniedError),
    (404, "not_found_error", anthropic.NotFoundError),
    (413, "request_too_large", anthropic.APIStatusError),
    (422, "invalid_request_error", anthropic.UnprocessableEntityError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "kind", "raised"), ERRORS, ids=[str(status) for status, *_ in ERRORS])
def test_an_engines_errors_are_the_same(pair, status, kind, raised, stream):
    error = {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req_1"}

    async def refuses(exchange: Exchange) -> None:
        await send_answer(exchange, json_answer(error, status))

    pair[0].scripts["refuses"] = refuses
    bodies = []
    for served in pair:
        with client_of(served.url) as client, pytest.raises(raised) as caught:
            client.messages.create(**ASKED, stream=stream, extra_headers={"x-fake": "refuses"})
        assert caught.value.status_code == status
        bodies.append(caught.value.body)
    assert bodies == [error, error]


def test_an_engine_that_is_full_is_overloaded(start_pair):
    async def full(exchange: Exchange) -> None:
        await send_answer(exchange, error_answer(529, "overloaded"))

    engine, proxy = start_pair(config={"limits": {}, "hold": {"max_wait": "200ms"}})
    engine.scripts["full"] = full
    with client_of(proxy.url) as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**ASKED, extra_headers={"x-fake": "full"})
    assert caught.value.status_code == 529
    assert caught.value.body["error"]["type"] == "overloaded_error"


def test_a_stream_that_breaks_raises_in_the_client(pair):
    async def breaks(exchange: Exchange) -> None:
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks_of(ASKED)}
        first = list(events_of({**message, "stop_reason": ""}))[:4]
        await exchange.send(stream_head() + b"".join(chunk(one) for one in first))
        exchange.reset()

    pair[0].scripts["breaks"] = breaks
    with client_of(pair[1].url) as client, pytest.raises(anthropic.APIStatusError) as caught:
        list(client.messages.create(**ASKED, stream=True, extra_headers={"x-fake": "breaks"}))
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["message"]


def test_its_own_retries_find_an_engine_that_comes_back(start_backend, start_proxy):
    seen = []

    async def later(exchange: Exchange) -> None:
        if exchange.request.path == "/v1/messages":
            seen.append(exchange.request.header("x-stainless-retry-count"))
            if len(seen) == 1:
                await SCRIPTS["reset"](exchange)
                return
        await anthropics(exchange)

    engine = start_backend(later)
    proxy = start_proxy({"backends": [{"url": engine.url, "name": "alpha"}]})
    with client_of(proxy.url, max_retries=2) as client:
        assert client.messages.create(**ASKED).stop_reason == "end_turn"
    assert len(seen) == 2


def test_a_time_out_of_the_client_frees_the_engine(pair):
    with client_of(pair[1].url, timeout=0.5) as client, pytest.raises(anthropic.APITimeoutError):
        client.messages.create(**ASKED, extra_headers={"x-fake": "hang"})
    asked = pair[0].requests[-1]
    eventually(lambda: asked.aborted_at is not None, "the engine is freed")
