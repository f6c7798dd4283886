"""Errors as clients of each API read them: before a route is found, from the engine, inside a stream that breaks."""

import json

import pytest

from proxy.wire import sse
from tests.support.engine_scripts import hang
from tests.support.fake_engine import Answer, event, json_answer, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk

MESSAGE = {"model": "fake-model", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
ROUTES = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "images": "/v1/images/generations",
    "audio": "/v1/audio/speech",
}
FIRST = {
    "openai": event({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}),
    "responses": event({"type": "response.output_text.delta", "delta": "a", "sequence_number": 4}, "x"),
    "anthropic": event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}, "x"),
    "images": event({"type": "image_generation.partial_image", "b64_json": "aa"}, "x"),
    "audio": event({"type": "speech.audio.delta", "audio": "aa"}, "x"),
}


@pytest.fixture(scope="module")
def pair(bed):
    with bed.backend() as engine:
        config = {
            "backends": [{"url": engine.url, "name": "alpha"}],
            "limits": {"body": {"size": "64KiB"}, "upstream": {"idle": "500ms", "first_byte": "500ms"}},
        }
        with bed.proxy(config) as proxy:
            yield engine, proxy


def anthropic(answer):
    fields = answer.json()
    assert fields["type"] == "error"
    assert set(fields["error"]) == {"type", "message"}
    assert fields["error"]["message"]
    assert answer.head.get("content-type") == "application/json"
    return answer.status, fields["error"]["type"]


TWO_KEYS = [("Authorization", "a"), ("Authorization", "b")]
REFUSED = {
    "unknown model": ("POST", "/v1/messages", {**MESSAGE, "model": "nobody"}, [], (404, "not_found_error")),
    "malformed path": ("POST", "/v1/messages/%00", MESSAGE, [], (400, "invalid_request_error")),
    "method": ("DELETE", "/v1/messages", None, [], (405, "invalid_request_error")),
    "count, method": ("GET", "/v1/messages/count_tokens", None, [], (405, "invalid_request_error")),
    "no json": ("POST", "/v1/messages", b"{", [], (400, "invalid_request_error")),
    "media type": ("POST", "/v1/messages", b"{}", [("Content-Type", "text/plain")], (415, "invalid_request_error")),
    "too large": ("POST", "/v1/messages", b" " * 70_000, [], (413, "request_too_large")),
    "two keys": ("POST", "/v1/messages", MESSAGE, TWO_KEYS, (400, "invalid_request_error")),
    "elsewhere": ("POST", "/nothing", MESSAGE, [("anthropic-version", "2023-06-01")], (404, "not_found_error")),
}


@pytest.mark.parametrize(("method", "target", "body", "headers", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals_on_anthropics_routes(pair, method, target, body, headers, expected):
    engine, proxy = pair
    assert anthropic(proxy.ask(method, target, body, headers)) == expected
    assert not engine.requests


def test_the_id_of_a_refusal_is_where_anthropics_clients_look(pair):
    answer = pair[1].ask("POST", "/v1/messages", {**MESSAGE, "model": "nobody"}, [("x-request-id", "mine")])
    assert (answer.json()["request_id"], answer.head.get("request-id")) == ("mine", "mine")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"error": {"message": "too long", "type": "BadRequestError", "code": 400}}, "invalid_request_error"),
        (401, {"error": "Unauthorized"}, "authentication_error"),
        (422, {"detail": [{"loc": ["body", "x"], "msg": "missing"}]}, "invalid_request_error"),
    ],
)
def test_an_engines_error_is_put_into_the_shape(pair, status, said, kind, stream):
    engine, proxy = pair

    async def refuse(exchange):
        await send_answer(exchange, json_answer(said, status))

    engine.scripts["refuse"] = refuse
    answer = proxy.ask("POST", "/v1/messages", {**MESSAGE, "stream": stream}, [("x-fake", "refuse")])
    assert anthropic(answer) == (status, kind)


def test_an_engines_error_in_the_shape_passes_byte_for_byte(pair):
    engine, proxy = pair
    body = b'{"type": "error",  "error": {"type":"billing_error","message":"pay"}, "x": 1}'

    async def refuse(exchange):
        await send_answer(exchange, Answer(400, body))

    engine.scripts["refuse"] = refuse
    assert proxy.ask("POST", "/v1/messages", MESSAGE, [("x-fake", "refuse")]).body == body


BREAKS = ["end", "reset", "silence", "error"]


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("api", ROUTES)
def test_a_stream_that_breaks_says_so_in_its_own_words(pair, api, how):
    engine, proxy = pair

    async def breaks(exchange):
        await exchange.send(stream_head() + chunk(FIRST[api]))
        if how == "end":
            await exchange.send(LAST_CHUNK)
        elif how == "reset":
            exchange.reset()
        elif how == "error":
            said = {"error": {"message": "it broke", "type": "InternalServerError", "param": None, "code": 500}}
            await exchange.send(chunk(event(said)) + LAST_CHUNK)
        else:
            await hang(exchange)

    engine.scripts["breaks"] = breaks
    body = {**MESSAGE, "stream": True, "input": "x", "prompt": "x", "voice": "v"}
    answer = proxy.ask("POST", ROUTES[api], body, [("x-fake", "breaks")])
    assert answer.complete
    assert answer.body.startswith(FIRST[api])
    last = answer.body.removeprefix(FIRST[api])
    if api == "audio" and how == "end":
        assert last == b"", "how such a stream ends is not known well enough"
        return
    fields = json.loads(sse.payload(last) or b"")
    assert last.startswith(b"event: error\n") is (api != "openai")
    assert fields.get("type") == (None if api == "openai" else "error")
    if api == "responses":
        assert set(fields) == {"type", "code", "message", "param", "sequence_number"}
        assert fields["sequence_number"] == 5
    elif api == "anthropic":
        assert set(fields["error"]) == {"type", "message"}
    else:
        assert set(fields["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
def test_a_stream_without_done_is_whole_when_every_choice_is(start_pair, granularity, missing):
    engine, proxy = start_pair(config={"classes": [{"name": "interactive", "stream": {"granularity": granularity}}]})

    async def three(exchange):
        await exchange.send(stream_head())
        for finish in (None, "stop"):
            for index in range(3):
                if finish is None or index != 2 or not missing:
                    choice = {"index": index, "delta": {"content": f"c{index}"}, "finish_reason": finish}
                    await exchange.send(chunk(event({"choices": [choice]})))
            if missing == 2:
                late = {"index": 0, "delta": {"content": "on"}, "finish_reason": None}
                await exchange.send(chunk(event({"choices": [late]})))
        await exchange.send(LAST_CHUNK)

    engine.scripts["three"] = three
    body = {**MESSAGE, "n": 3, "stream": True}
    answer = proxy.ask("POST", "/v1/chat/completions", body, [("x-fake", "three"), ("x-request-id", "n3")])
    assert (b'"error"' in answer.body) is bool(missing)
    assert proxy.log_line("n3")["outcome"] == ("failed" if missing else "served")
