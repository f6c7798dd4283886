"""What Claude Code sends, with the official client: 20 turns and what is around them, as without a proxy."""

import time

import anthropic
import pytest

from tests.support.agent_engine import CALLS_UNTIL, MODEL, agentic, message_events, message_to
from tests.support.coding_agents import CODING_BETAS, TURNS, ClaudeCode
from tests.support.engine_scripts import SCRIPTS
from tests.support.fake_backend import Exchange
from tests.support.fake_engine import event, json_answer, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.patience import eventually

RULES = "Mind the spoons. " * 200
SMALL = "claude-haiku-4-5"


def client_of(url: str, **more: object) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        **{"base_url": url, "api_key": "sk-ant-x", "max_retries": 0, "timeout": 15.0} | more
    )


@pytest.fixture(scope="module")
def pair(bed):
    with bed.backend(agentic) as engine:
        entry = {"url": engine.url, "name": "alpha", "kind": "vllm", "aliases": {SMALL: MODEL}}
        with bed.proxy({"backends": [entry]}, models=2) as proxy:
            yield engine, proxy


async def bytes_of(client: anthropic.AsyncAnthropic, request: dict) -> bytes:
    async with client.beta.messages.with_streaming_response.create(**request, stream=True) as answer:
        assert answer.status_code == 200
        return b"".join([piece async for piece in answer.iter_bytes()])


async def test_each_event_of_20_turns_is_byte_for_byte_the_engines(pair):
    engine, proxy = pair
    agent = ClaudeCode(MODEL, rules=RULES)
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
            async with through.beta.messages.stream(**request) as stream:
                answer = await stream.get_final_message()
            kinds.append([block.type for block in answer.content])
            wanted = message_to(sent.json(), len(sent.body) // 4)
            assert answer.content[0].signature == wanted["content"][0]["signature"]
            assert expected == b"".join(message_events(wanted))
            agent.took([block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in answer.content])
            used = wanted["usage"]
            prompt = used["input_tokens"] + used["cache_read_input_tokens"]
            for place, count in enumerate((prompt, used["cache_read_input_tokens"], used["output_tokens"])):
                told[place] += 2 * count  # as bytes, and as a message
            assert turn_seen(sent) == turn
    calls = ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    assert kinds == [calls] * CALLS_UNTIL + [calls[:3]] * (TURNS - CALLS_UNTIL)

    def counted():
        metrics = proxy.metrics()
        return [metrics.total("tidegate_tokens_total", direction=way) for way in ways]

    eventually(lambda: [now - then for now, then in zip(counted(), before, strict=True)] == told, "counts are equal")


def turn_seen(received) -> int:
    return sum(message["role"] == "assistant" for message in received.json()["messages"])


async def test_what_it_says_of_itself_reaches_the_engine(pair):
    engine, proxy = pair
    agent = ClaudeCode(MODEL, rules=RULES)
    more = {"extra_headers": agent.headers(), "extra_query": {"beta": "true"}}
    async with client_of(engine.url) as direct, client_of(proxy.url) as through:
        for client in (direct, through):
            await client.beta.messages.create(**agent.request())
            await client.beta.messages.count_tokens(model=MODEL, messages=agent.messages, betas=CODING_BETAS, **more)
    first, counted_first, second, counted_second = engine.requests[-4:]
    for one, other in ((first, second), (counted_first, counted_second)):
        assert other.target == one.target
        assert other.target.endswith("?beta=true")
        for name in ("anthropic-beta", "anthropic-version", "user-agent", "x-claude-code-session-id"):
            assert other.header(name) == one.header(name), name
            assert other.header(name), name


async def test_tokens_are_counted_while_a_tool_runs(pair):
    engine, proxy = pair
    asked = {"model": MODEL, "messages": ClaudeCode(MODEL).messages, "betas": CODING_BETAS}
    async with client_of(engine.url) as direct, client_of(proxy.url) as through:
        counts = [(await client.beta.messages.count_tokens(**asked)).input_tokens for client in (direct, through)]
    assert counts[0] == counts[1] > 0


PROBES = [
    ("HEAD", "/"),
    ("GET", "/"),
    ("HEAD", "/v1/messages"),
    ("GET", "/api/hello"),
    ("GET", "/v1/organizations/me"),
    ("POST", "/api/event_logging/batch"),
]


@pytest.mark.parametrize(("method", "target"), PROBES, ids=[f"{method} {target}" for method, target in PROBES])
def test_what_it_looks_for_at_its_start_is_answered_at_once_and_asks_no_engine(pair, method, target):
    engine, proxy = pair
    before = len(engine.requests)
    start = time.monotonic()
    body = {"events": []} if method == "POST" else None
    answer = proxy.ask(method, target, body, [("anthropic-version", "2023-06-01"), ("x-api-key", "any")])
    assert answer.complete
    assert 400 <= answer.status < 500
    assert time.monotonic() - start < 10
    assert method == "HEAD" or answer.json()["type"] == "error"
    assert len(engine.requests) == before or target.startswith("/v1/organizations")


async def test_its_models_are_found(pair):
    async with client_of(pair[1].url) as client:
        listed = await client.models.list(limit=1000)
    assert {model.id for model in listed.data} == {MODEL, SMALL}


async def test_small_things_are_asked_of_the_small_model_while_a_turn_flows(pair):
    engine, proxy = pair
    agent = ClaudeCode(MODEL, rules=RULES)
    title = {"model": SMALL, "max_tokens": 32, "messages": [{"role": "user", "content": "A title, please."}]}
    quota = {"model": SMALL, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}
    headers = {**agent.headers(), "x-fake": "stuck"}
    engine.scripts["stuck"] = stuck
    async with client_of(proxy.url) as client:
        stream = await client.beta.messages.create(**agent.request() | {"extra_headers": headers}, stream=True)
        await anext(aiter(stream))
        for side in (title, quota):
            answer = await client.beta.messages.create(**side, extra_headers=agent.headers(), metadata={"user_id": "u"})
            assert answer.content[-1].type == "text"
            assert engine.requests[-1].json()["model"] == MODEL
        await stream.close()


async def stuck(exchange: Exchange) -> None:
    """Ends in the middle of a call's arguments, and goes on for ever."""
    begun = list(message_events(message_to(exchange.request.json(), 100)))
    last = max(number for number, one in enumerate(begun) if b"input_json_delta" in one)
    await exchange.send(stream_head() + b"".join(chunk(one) for one in begun[:last]))
    await SCRIPTS["hang"](exchange)


async def test_who_leaves_in_the_middle_of_a_call_frees_the_engine(pair):
    engine, proxy = pair
    engine.scripts["stuck"] = stuck
    agent = ClaudeCode(MODEL, rules=RULES)
    async with client_of(proxy.url) as client:
        request = agent.request() | {"extra_headers": {**agent.headers(), "x-fake": "stuck"}}
        async for one in await client.beta.messages.create(**request, stream=True):
            if one.type == "content_block_delta" and one.delta.type == "input_json_delta":
                break
        left = engine.requests[-1]
    eventually(lambda: left.aborted_at is not None, "the engine is freed")


REFUSALS = [(429, "rate_limit_error"), (529, "overloaded_error"), (503, "overloaded_error")]


@pytest.mark.parametrize(("status", "kind"), REFUSALS, ids=[str(status) for status, _ in REFUSALS])
async def test_its_client_comes_back_after_an_engine_that_was_full(start_backend, start_proxy, status, kind):
    """An engine that says it is full for a while: the turn is served in the end, as it is direct."""
    seen = []

    async def full(exchange: Exchange) -> None:
        if exchange.request.path != "/v1/messages":
            await agentic(exchange)
            return
        seen.append(exchange.request.header("x-stainless-retry-count"))
        if len(seen) % 2:
            error = {"type": "error", "error": {"type": kind, "message": "no room"}, "request_id": "req_1"}
            await send_answer(exchange, json_answer(error, status, [("retry-after", "1")]))
        else:
            await agentic(exchange)

    engine = start_backend(full)
    proxy = start_proxy({"backends": [{"url": engine.url, "name": "alpha"}]})
    for url in (engine.url, proxy.url):
        async with client_of(url, max_retries=2) as client:
            assert (await ClaudeCode(MODEL, rules=RULES).turn(client)).prompt > 0
    assert len(seen) == 4


@pytest.mark.parametrize("kind", ["overloaded_error", "api_error"])
async def test_an_error_inside_a_stream_is_the_engines(pair, kind):
    engine, proxy = pair

    async def fails(exchange: Exchange) -> None:
        begun = list(message_events(message_to(exchange.request.json(), 100)))[:9]
        error = event({"type": "error", "error": {"type": kind, "message": "Overloaded"}}, "error")
        await exchange.send(stream_head() + b"".join(chunk(one) for one in (*begun, error)) + LAST_CHUNK)

    engine.scripts["fails"] = fails
    agent = ClaudeCode(MODEL, rules=RULES)
    request = agent.request() | {"extra_headers": {**agent.headers(), "x-fake": "fails"}}
    got, bodies = [], []
    for url in (engine.url, proxy.url):
        async with client_of(url) as client:
            got.append(await bytes_of(client, request))
            with pytest.raises(anthropic.APIStatusError) as caught:
                async with client.beta.messages.stream(**request) as stream:
                    await stream.get_final_message()
            bodies.append(caught.value.body)
    assert got[0] == got[1]
    assert bodies[0] == bodies[1]


NOWHERE = ["/v1/messages/batches", "/v1/files?beta=true", "/v1/skills?beta=true"]


@pytest.mark.parametrize("target", NOWHERE)
async def test_what_an_engine_does_not_have_is_not_found_as_its_client_reads_it(pair, target):
    engine, proxy = pair

    async def unknown(exchange: Exchange) -> None:
        await send_answer(exchange, json_answer({"detail": "Not Found"}, 404))

    engine.scripts["unknown"] = unknown
    async with client_of(proxy.url) as client:
        with pytest.raises(anthropic.NotFoundError) as caught:
            await client.get(target, cast_to=object, options={"headers": {"x-fake": "unknown"}})
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "not_found_error"
