"""Anthropic's streams in classes that cut them anew, pace them or ping into them; and events without names."""

import asyncio
import json

import anthropic
import pytest

from tests.support.fake_engine import answer_to, event, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.patience import eventually
from tests.support.stream_text import events_of, payload

ASKED = {"model": "fake-model", "max_tokens": 64, "messages": [{"role": "user", "content": "x"}]}
TEXT = "Some words that an engine packs into one event, naïvely enough."
THOUGHT = "Let me think about that for a moment, shall we?"
ARGUMENTS = '{"city": "Zürich", "days": [1, 2, 3], "unit": "celsius"}'
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "fake-model",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 1},
}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
BLOCKS = [
    ({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking", THOUGHT),
    ({"type": "text", "text": ""}, "text_delta", "text", TEXT),
    (
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        "input_json_delta",
        "partial_json",
        ARGUMENTS,
    ),
]


def typed(name, **fields):
    return {"type": name, **fields}


def written():
    """What the engine says, as values: each block in two deltas of many tokens."""
    yield typed("message_start", message=MESSAGE)
    yield typed("ping")
    for index, (block, kind, field, text) in enumerate(BLOCKS):
        yield typed("content_block_start", index=index, content_block=block)
        half = len(text) // 2
        for piece in (text[:half], text[half:]):
            yield typed("content_block_delta", index=index, delta={"type": kind, field: piece})
        if kind == "thinking_delta":
            yield typed("content_block_delta", index=index, delta={"type": "signature_delta", "signature": "c2ln"})
        yield typed("content_block_stop", index=index)
    yield typed("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 48})
    yield typed("message_stop")


NAMED = [event(value, value["type"]) for value in written()]
NAMELESS = [event(value) for value in written()]


def says(events):
    async def script(exchange):
        if exchange.request.method != "POST":
            await send_answer(exchange, answer_to(exchange.request, exchange.backend.models))
            return
        await exchange.send(stream_head())
        for one in events:
            await exchange.send(chunk(one))
        await exchange.send(LAST_CHUNK)

    return script


def heard(through):
    client = anthropic.Anthropic(base_url=through, api_key="k", max_retries=0)
    with client, client.messages.stream(**ASKED) as stream:
        kinds = [one.type for one in stream]
        return stream.get_final_message().to_dict(), kinds


@pytest.mark.parametrize("granularity", ["token", "text"])
@pytest.mark.parametrize("pace", ["off", "smooth"])
def test_what_a_client_adds_up_is_the_same_at_any_granularity(start_pair, granularity, pace):
    stream = {"granularity": granularity, "pace": pace, "flush": "20ms"}
    engine, proxy = start_pair({"classes": [{"name": "interactive", "stream": stream}]}, default=says(NAMED))
    wanted, _ = heard(engine.url)
    found, _ = heard(proxy.url)
    assert found == wanted
    assert [block["type"] for block in found["content"]] == ["thinking", "text", "tool_use"]
    assert found["content"][2]["input"] == json.loads(ARGUMENTS)
    answer = proxy.ask("POST", "/v1/messages", {**ASKED, "stream": True})
    events = events_of(answer.body)
    values = [payload(one) for one in events]
    for _, kind, field, text in BLOCKS:
        pieces = [
            v["delta"][field] for v in values if v["type"] == "content_block_delta" and v["delta"]["type"] == kind
        ]
        assert "".join(pieces) == text
        if granularity == "token":
            assert len(pieces) > 6, "one of each token, not one of each event"
    for one, value in zip(events, values, strict=True):
        assert one.startswith(b"event: " + value["type"].encode() + b"\n")
        if value["type"] != "content_block_delta":
            assert one in NAMED, "passed as it came"
    assert [v["type"] for v in values if v["type"] != "content_block_delta"] == [
        v["type"] for v in written() if v["type"] != "content_block_delta"
    ]


@pytest.mark.parametrize("granularity", ["engine", "token"])
def test_events_without_names_stay_so_and_their_tokens_are_counted(start_pair, granularity):
    config = {"classes": [{"name": "interactive", "stream": {"granularity": granularity}}]}
    _, proxy = start_pair(config, default=says(NAMELESS))
    answer = proxy.ask("POST", "/v1/messages", {**ASKED, "stream": True})
    assert answer.complete
    assert b"event:" not in answer.body
    if granularity == "engine":
        assert answer.body == b"".join(NAMELESS)

    def told():
        return [proxy.metrics().total("tidegate_tokens_total", direction=way) for way in ("prompt", "completion")]

    eventually(lambda: told() == [7, 48], "its tokens are told", 10.0)


def test_pings_of_ours_disturb_no_client(start_pair):
    async def slow(exchange):
        if exchange.request.method == "POST":
            await asyncio.sleep(0.3)
        await says(NAMED)(exchange)

    engine, proxy = start_pair({"classes": [{"name": "interactive", "stream": {"ping": "50ms"}}]}, default=slow)
    assert heard(proxy.url) == heard(engine.url)
    answer = proxy.ask("POST", "/v1/messages", {**ASKED, "stream": True})
    assert answer.body.startswith(b": ping\n")


def test_an_error_inside_a_stream_that_is_cut_anew_passes(start_pair):
    error = event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
    config = {"classes": [{"name": "interactive", "stream": {"granularity": "token"}}]}
    _, proxy = start_pair(config, default=says([*NAMED[:6], error]))
    client = anthropic.Anthropic(base_url=proxy.url, api_key="k", max_retries=0)
    with client, pytest.raises(anthropic.APIStatusError) as told, client.messages.stream(**ASKED) as stream:
        for _ in stream:
            pass
    assert "overloaded_error" in str(told.value)
