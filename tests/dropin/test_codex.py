"""What Codex sends, with the official client: 20 turns and what is around them are as they are without a proxy."""

import json

import openai
import pytest

from tests.support.agent_engine import CALLS_UNTIL, MODEL, agentic, response_events, response_to, turn_of
from tests.support.coding_agents import TURNS, Codex
from tests.support.engine_scripts import SCRIPTS
from tests.support.fake_backend import Exchange
from tests.support.fake_engine import error_answer, event, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection

RULES = "Mind the spoons. " * 200


def client_of(url: str, **more: object) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(**{"base_url": f"{url}/v1", "api_key": "sk-x", "max_retries": 0, "timeout": 15.0} | more)


@pytest.fixture(scope="module")
def pair(bed):
    with (
        bed.backend(agentic) as engine,
        bed.proxy({"backends": [{"url": engine.url, "name": "alpha", "kind": "vllm"}]}) as proxy,
    ):
        yield engine, proxy


async def bytes_of(client: openai.AsyncOpenAI, request: dict) -> bytes:
    async with client.responses.with_streaming_response.create(**request, stream=True) as answer:
        assert answer.status_code == 200
        return b"".join([piece async for piece in answer.iter_bytes()])


def scripted(request: dict, name: str) -> dict:
    return request | {"extra_headers": request["extra_headers"] | {"x-fake": name}}


async def test_each_event_of_20_turns_is_byte_for_byte_the_engines(pair):
    engine, proxy = pair
    agent = Codex(MODEL, rules=RULES)
    ways = ("prompt", "cached", "completion")
    before = [proxy.metrics().total("tidegate_tokens_total", direction=way) for way in ways]
    told, kinds = [0, 0, 0], []
    async with client_of(engine.url) as direct, client_of(proxy.url) as through:
        for turn in range(TURNS):
            request = agent.request()
            expected = await bytes_of(direct, request)
            assert await bytes_of(through, request) == expected
            sent, got = engine.requests[-2:]
            assert got.body == sent.body
            assert turn_of(sent.json()["input"]) == turn
            wanted = response_to(sent.json(), len(sent.body) // 4)
            assert expected == b"".join(response_events(wanted))
            async with through.responses.stream(**request) as stream:
                answer = await stream.get_final_response()
            assert answer.output[0].encrypted_content == wanted["output"][0]["encrypted_content"]
            kinds.append([item.type for item in answer.output])
            agent.took(wanted["output"])
            for place, count in enumerate((wanted["usage"]["input_tokens"], 16, wanted["usage"]["output_tokens"])):
                told[place] += 2 * count  # as bytes, and by the helper
    calls = ["reasoning", "function_call", "function_call"]
    assert kinds == [calls] * CALLS_UNTIL + [["reasoning", "message"]] * (TURNS - CALLS_UNTIL)

    def counted():
        metrics = proxy.metrics()
        return [metrics.total("tidegate_tokens_total", direction=way) for way in ways]

    eventually(lambda: [now - then for now, then in zip(counted(), before, strict=True)] == told, "counts are equal")


async def test_its_session_reaches_the_engine(pair):
    engine, proxy = pair
    agent = Codex(MODEL, rules=RULES)
    async with client_of(proxy.url) as client:
        await client.responses.create(**agent.request())
    for name in ("session-id", "thread-id", "x-client-request-id", "user-agent"):
        assert engine.requests[-1].header(name) == agent.request()["extra_headers"][name], name


def test_its_websocket_is_refused_at_once_and_http_goes_on(pair):
    engine, proxy = pair
    before = len(engine.requests)
    handshake = (
        b"GET /v1/responses HTTP/1.1\r\nHost: proxy\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"OpenAI-Beta: responses_websockets=2026-02-06\r\nAuthorization: Bearer any\r\n\r\n"
    )
    with RawConnection(proxy.address) as connection:
        connection.send(handshake)
        answer = connection.answer()
    assert answer.status == 426
    assert len(engine.requests) == before
    body = {"model": MODEL, "input": [], "store": False, "stream": True}
    assert proxy.ask("POST", "/v1/responses", body).body.endswith(b"\n\n")


def test_its_question_for_models_is_answered_from_memory(pair):
    _, proxy = pair
    answer = proxy.ask("GET", "/v1/models?client_version=0.140.0")
    assert [model["id"] for model in answer.json()["data"]] == [MODEL]


async def stuck(exchange: Exchange) -> None:
    """Ends in the middle of a call's arguments, and goes on for ever."""
    begun = list(response_events(response_to(exchange.request.json(), 100)))
    last = max(number for number, one in enumerate(begun) if b"arguments.delta" in one)
    await exchange.send(stream_head() + b"".join(chunk(one) for one in begun[:last]))
    await SCRIPTS["hang"](exchange)


async def test_who_leaves_in_the_middle_of_a_call_frees_the_engine(pair):
    engine, proxy = pair
    engine.scripts["stuck"] = stuck
    async with client_of(proxy.url) as client:
        request = scripted(Codex(MODEL, rules=RULES).request(), "stuck")
        async for one in await client.responses.create(**request, stream=True):
            if one.type == "response.function_call_arguments.delta":
                break
        left = engine.requests[-1]
    eventually(lambda: left.aborted_at is not None, "the engine is freed")


@pytest.mark.parametrize("status", [429, 503])
async def test_its_client_comes_back_after_an_engine_that_was_full(start_backend, start_proxy, status):
    seen = []

    async def full(exchange: Exchange) -> None:
        if exchange.request.path != "/v1/responses":
            await agentic(exchange)
            return
        seen.append(exchange.request.header("x-stainless-retry-count"))
        if len(seen) % 2:
            await send_answer(exchange, error_answer(status, "rate_limit_exceeded", headers=[("retry-after", "1")]))
        else:
            await agentic(exchange)

    engine = start_backend(full)
    proxy = start_proxy({"backends": [{"url": engine.url, "name": "alpha"}]})
    for url in (engine.url, proxy.url):
        async with client_of(url, max_retries=2) as client:
            assert (await Codex(MODEL, rules=RULES).turn(client)).prompt > 0
    assert len(seen) == 4


CODES = ["context_length_exceeded", "rate_limit_exceeded", "server_is_overloaded", "insufficient_quota"]


@pytest.mark.parametrize("code", CODES)
async def test_a_response_that_fails_in_its_stream_is_the_engines(pair, code):
    """Codex looks at `response.failed` for what to do: compact, wait, or tell."""
    engine, proxy = pair

    async def fails(exchange: Exchange) -> None:
        response = response_to(exchange.request.json(), 100)
        begun = list(response_events(response))[:9]
        error = {"code": code, "message": "Please try again in 1.5s."}
        ended = {**response, "status": "failed", "output": [], "usage": None, "error": error}
        failed = event({"type": "response.failed", "sequence_number": 9, "response": ended}, "response.failed")
        await exchange.send(stream_head() + b"".join(chunk(one) for one in (*begun, failed)) + LAST_CHUNK)

    engine.scripts["fails"] = fails
    request = scripted(Codex(MODEL, rules=RULES).request(), "fails")
    async with client_of(engine.url) as direct, client_of(proxy.url) as through:
        assert await bytes_of(through, request) == await bytes_of(direct, request)


async def test_a_stream_that_breaks_ends_in_an_error_that_has_its_place(pair):
    engine, proxy = pair

    async def breaks(exchange: Exchange) -> None:
        begun = list(response_events(response_to(exchange.request.json(), 100)))[:9]
        await exchange.send(stream_head() + b"".join(chunk(one) for one in begun))
        exchange.reset()

    engine.scripts["breaks"] = breaks
    request = scripted(Codex(MODEL, rules=RULES).request(), "breaks")
    async with client_of(proxy.url) as client:
        got = await bytes_of(client, request)
        last = got.rstrip().rsplit(b"\n\n", 1)[-1]
        assert last.startswith(b"event: error\n")
        said = json.loads(last.partition(b"data: ")[2])
        assert (said["type"], said["sequence_number"]) == ("error", 9)
        events = [one async for one in await client.responses.create(**request, stream=True)]
        assert events[-1].type == "error"  # its client raises nothing for it: Codex and others read the event
