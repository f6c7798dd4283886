"""Pictures inside streams, answers larger than what is kept, usage that engines move: as directly at the engine."""

import json

import pytest

from tests.support.engine_scripts import hang
from tests.support.fake_engine import DONE, Answer, chat_chunk, event, send_answer, stream_head, well_behaved
from tests.support.http_bytes import LAST_CHUNK, chunk

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
PATH = "/v1/chat/completions"


def test_pictures_pass_and_are_counted(start_pair):
    engine, proxy = start_pair()
    told = {"input_tokens": 11, "output_tokens": 22, "total_tokens": 33}
    parts = [event({"type": "image_generation.partial_image", "b64_json": "A" * 3_000_000}, "x") for _ in range(3)]
    last = event({"type": "image_generation.completed", "b64_json": "B" * 12_000_000, "usage": told}, "x")

    async def paint(exchange):
        await exchange.send(stream_head())
        for each in (*parts, last):
            await exchange.send(chunk(each))
        await exchange.send(LAST_CHUNK)

    engine.scripts["paint"] = paint
    for number in range(6):  # more than eject an engine
        headers = [("x-fake", "paint"), ("x-request-id", f"p{number}")]
        answer = proxy.ask("POST", "/v1/images/generations", {"model": "fake-model", "stream": True}, headers)
        assert answer.body == b"".join(parts) + last
        line = proxy.log_line(f"p{number}")
        assert (line["outcome"], line["prompt_tokens"], line["completion_tokens"]) == ("served", 11, 22)


def test_our_own_limit_ejects_nobody(start_backend, start_proxy):
    engines = [start_backend(), start_backend()]
    entries = [{"name": f"b{number}", "url": engine.url} for number, engine in enumerate(engines)]
    proxy = start_proxy({"backends": entries, "limits": {"upstream": {"event": "64KiB"}}})

    async def large(exchange):
        await exchange.send(stream_head() + chunk(event(chat_chunk({"content": "a"}))))
        await exchange.send(chunk(event(chat_chunk({"content": "x" * 100_000}))))
        await hang(exchange)

    for engine in engines:
        engine.scripts["large"] = large
    for number in range(12):
        headers = [("x-fake", "large"), ("x-request-id", f"l{number}")]
        answer = proxy.ask("POST", PATH, {**CHAT, "stream": True}, headers)
        assert b"event_too_large" in answer.body
        line = proxy.log_line(f"l{number}")
        assert (line["end"][0], line["fault"]) == ("P", "event_too_large")
    assert proxy.metrics().total("tidegate_ejections_total") == 0


@pytest.mark.parametrize("first", [False, True])
def test_a_large_answer_is_counted(start_pair, first):
    engine, proxy = start_pair()
    told = {"usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}}
    data = {"data": [{"embedding": "x" * 3_000_000, "text": '"usage":{"prompt_tokens":1}'}]}
    body = json.dumps({**told, **data} if first else {**data, **told}).encode()

    async def large(exchange):
        await send_answer(exchange, Answer(200, body))

    engine.scripts["large"] = large
    headers = [("x-fake", "large"), ("x-request-id", "big")]
    assert proxy.ask("POST", "/v1/embeddings", {"model": "fake-model", "input": "x"}, headers).body == body
    line = proxy.log_line("big")
    assert (line["prompt_tokens"], line["completion_tokens"]) == (5, 6)


def moves(**own):
    """An engine that writes these fields into the finishing event, or into the usage event when asked for one."""

    async def script(exchange):
        if exchange.request.method == "GET":
            await well_behaved(exchange)
            return
        asked = (exchange.request.json().get("stream_options") or {}).get("include_usage")
        await exchange.send(stream_head())
        begun = chat_chunk({"content": "a"})
        del begun["system_fingerprint"]
        end = {**begun, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        events = [begun, {**end, **({} if asked else own)}]
        if asked:
            events.append({**begun, "choices": [], "usage": usage, **own})
        for each in events:
            await exchange.send(chunk(event(each)))
        await exchange.send(chunk(DONE) + LAST_CHUNK)

    return script


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
def test_what_an_engine_moves_when_asked_is_where_it_was(start_backend, start_proxy, granularity):
    engine = start_backend(moves(system_fingerprint="fp_1", timings={"predicted_n": 4}))
    proxy = start_proxy(
        {
            "backends": [{"name": "alpha", "url": engine.url, "models": ["fake-model"]}],
            "classes": [{"name": "interactive", "stream": {"granularity": granularity}}],
        },
        models=0,
    )
    answer = proxy.ask("POST", PATH, {**CHAT, "stream": True}, [("x-request-id", f"m-{granularity}")])
    events = [json.loads(line[6:]) for line in answer.body.decode().split("\n\n") if line.startswith("data: {")]
    assert engine.requests[-1].json()["stream_options"]["include_usage"] is True
    assert [each.get("system_fingerprint") for each in events] == [None, "fp_1"]
    assert events[-1]["timings"] == {"predicted_n": 4}
    assert b'"usage"' not in answer.body
    assert answer.body.endswith(DONE)
    assert proxy.log_line(f"m-{granularity}")["completion_tokens"] == 4


def test_usage_that_nobody_asked_for_and_the_engine_always_sends_stays(start_pair):
    engine, proxy = start_pair()
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    events = [event(chat_chunk({"content": "a"})), event(chat_chunk({}, "stop", usage=usage))]

    async def habit(exchange):
        await exchange.send(stream_head())
        for each in (*events, DONE):
            await exchange.send(chunk(each))
        await exchange.send(LAST_CHUNK)

    engine.scripts["habit"] = habit
    answer = proxy.ask("POST", PATH, {**CHAT, "stream": True}, [("x-fake", "habit")])
    assert answer.body == b"".join(events) + DONE
