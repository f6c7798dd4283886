"""Answers in one piece of engines that stop at once only while they stream: asked for as streams, given as wholes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web

from tests.support.live_proxy import Live, before
from tests.support.llama_stream import DONE, chat_events, text_events, written
from tests.support.route_engine import listed, model, route_engine

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
CALL = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}, "id": "c1"}
HEAD = {
    "created": 1,
    "model": "m",
    "system_fingerprint": "b1",
    "usage": {
        "completion_tokens": 3,
        "prompt_tokens": 5,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 2},
    },
    "id": "chatcmpl-1",
    "timings": {"cache_n": 2, "prompt_n": 3, "predicted_n": 3},
}


def said(*choices: dict[str, Any]) -> dict[str, Any]:
    told = [{"finish_reason": "stop", "index": i, "message": one} for i, one in enumerate(choices)]
    return {"choices": told, "object": "chat.completion", **HEAD}


ANSWER = said({"role": "assistant", "content": "one two three", "reasoning_content": "hm, well"})
TEXTS = {
    "choices": [{"text": "one two", "index": 0, "logprobs": None, "finish_reason": "length"}],
    "object": "text_completion",
    **HEAD,
}


def cut(text: str) -> list[str]:
    return [text[at : at + 4] for at in range(0, len(text), 4)]


Stream = Callable[[web.StreamResponse], Awaitable[None]]


class Engine:
    """llama.cpp, or what takes itself for it: the same answer in one piece and as a stream."""

    def __init__(self, answer: dict[str, Any] = ANSWER, stream: Stream | None = None, owner: str = "llamacpp") -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        """Somebody left while it was at work."""
        self.is_at_work = asyncio.Event()
        self._stream = stream
        self.routes: dict[str, Any] = {
            "/v1/models": listed(model("m", owner)),
            CHAT: self._serve,
            TEXT: self._serve,
            "/props": {"total_slots": 2},
        }

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if not body.get("stream"):
            return web.json_response(self.answer)
        answer = web.StreamResponse(headers={"content-type": "text/event-stream", "x-accel-buffering": "no"})
        await answer.prepare(request)
        self.is_at_work.set()
        try:
            if self._stream is not None:
                await self._stream(answer)
            else:
                events = (text_events if request.path == TEXT else chat_events)(self.answer, cut)
                data = written(events)
                for at in range(0, len(data), 100):  # as networks cut it
                    await answer.write(data[at : at + 100])
        except ConnectionError:
            self.left.set()
        return answer


@asynccontextmanager
async def in_front(tmp_path: Path, *engines: Engine, entry: str = "", more: str = "") -> AsyncIterator[Live]:
    async with route_engine(engines[0].routes) as a, route_engine(engines[-1].routes) as b:
        places = zip("ab", (a, b)[: len(engines)], strict=False)
        entries = "".join(f"  - {{url: '{one.url}', name: {name}{entry}}}\n" for name, one in places)
        async with before(tmp_path, entries, more) as live:
            yield live


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        said({"role": "assistant", "content": ""}),
        said({"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y z"}),
        said({"role": "assistant", "content": "", "tool_calls": [CALL, {**CALL, "id": "c2"}]}),
        said({"role": "assistant", "content": 'quotes "\\ and\nlines, 漢字, \u2028, 👩\u200d🚀'}),
    ],
)
async def test_the_client_gets_what_the_engine_would_have_given(tmp_path: Path, answer: dict[str, Any]) -> None:
    engine = Engine(answer)
    async with in_front(tmp_path, engine) as live:
        for options in ({}, {"stream": False}, {"stream": None}):
            got = await live.send("POST", CHAT, chat(**options))
            assert (got.status, json.loads(got.body)) == (200, answer)
            assert got.headers["content-type"] == "application/json"
            assert int(got.headers["content-length"]) == len(got.body)
            assert "x-accel-buffering" not in got.headers
    assert [body["stream"] for body in engine.bodies] == [True] * 3
    assert {body["stream_options"]["include_usage"] for body in engine.bodies} == {True}


async def test_texts_too_and_official_clients_see_no_difference(tmp_path: Path) -> None:
    engine = Engine(TEXTS)
    async with in_front(tmp_path, engine) as live:
        async with openai.AsyncOpenAI(base_url=f"{live.proxy.listen_url}/v1", api_key="k", max_retries=0) as client:
            got = await client.completions.create(model="m", prompt="hi")
        assert got.model_dump(exclude_unset=True) == TEXTS
    assert engine.bodies[0]["stream"] is True


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(logprobs=True, top_logprobs=2)),
        (CHAT, chat(stop=["x"])),
        (CHAT, chat(stream_options={"include_usage": True})),
        (CHAT, chat(return_progress=True)),
        (TEXT, {"model": "m", "prompt": ["a", "b"]}),
        (TEXT, {"model": "m", "prompt": [1, 2]}),
        (TEXT, {"model": "m", "prompt": "a", "n_probs": 3}),
    ],
)
async def test_where_a_stream_says_less_the_request_goes_as_it_came(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    engine = Engine()
    async with in_front(tmp_path, engine) as live:
        assert (await live.send("POST", path, body)).status == 200
    assert engine.bodies == [body]


@pytest.mark.parametrize(
    ("owner", "option", "streams"),
    [
        ("llamacpp", "auto", True),
        ("llamacpp", "never", False),
        ("vllm", "auto", False),
        ("vllm", "always", True),
        ("nobody", "auto", False),
    ],
)
async def test_it_is_on_where_the_engine_needs_it_or_its_operator_says_so(
    tmp_path: Path, owner: str, option: str, streams: bool
) -> None:
    engine = Engine(owner=owner)
    async with in_front(tmp_path, engine, entry=f", stream_upstream: {option}") as live:
        got = await live.send("POST", CHAT, chat())
        assert json.loads(got.body)["choices"][0]["message"]["content"] == "one two three"
    assert [body.get("stream", False) for body in engine.bodies] == [streams]


async def test_a_client_that_leaves_frees_the_engine_at_once(tmp_path: Path) -> None:
    """In one piece it would have gone on to the end of its answer, for nobody."""

    async def endless(answer: web.StreamResponse) -> None:
        while True:
            await answer.write(written(chat_events(ANSWER, cut)[:2]).removesuffix(DONE))
            await asyncio.sleep(0.01)

    engine = Engine(stream=endless)
    async with in_front(tmp_path, engine) as live:
        asked = asyncio.ensure_future(live.send("POST", CHAT, chat()))
        await asyncio.wait_for(engine.is_at_work.wait(), 20)
        asked.cancel()
        await asyncio.wait_for(engine.left.wait(), 20)


async def test_the_scheduler_hears_of_the_first_token_and_metrics_stay_those_of_the_client(tmp_path: Path) -> None:
    seen, go_on = asyncio.Event(), asyncio.Event()

    async def slow(answer: web.StreamResponse) -> None:
        events = chat_events(ANSWER, cut)
        await answer.write(written(events[:3]).removesuffix(DONE))
        seen.set()
        await go_on.wait()
        await answer.write(written(events[3:]))

    async with in_front(tmp_path, Engine(stream=slow)) as live:
        asked = asyncio.ensure_future(live.send("POST", CHAT, chat()))
        await asyncio.wait_for(seen.wait(), 20)
        backend = live.proxy._scheduler._state.fleet.backends[0]
        async with asyncio.timeout(20):
            while not backend.ledger.decoding:
                await asyncio.sleep(0.01)
        go_on.set()
        assert json.loads((await asked).body) == ANSWER
        text = await live.metrics()
        ttft = [line for line in text.splitlines() if line.startswith("tidegate_ttft_seconds_count")]
        assert all(line.endswith(" 0") for line in ttft), "its client saw no token come"


LLAMA_ERROR = {"error": {"code": 500, "message": "out of slots", "type": "server_error"}}
TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "type": "exceed_context_size_error",
    }
}


@pytest.mark.parametrize("said_before", [0, 3])
async def test_an_error_inside_the_stream_is_the_answer_that_the_engine_would_have_given(
    tmp_path: Path, said_before: int
) -> None:
    async def fails(answer: web.StreamResponse) -> None:
        events = [*chat_events(ANSWER, cut)[:said_before], LLAMA_ERROR]
        await answer.write(written(events).removesuffix(DONE))

    async with in_front(tmp_path, Engine(stream=fails)) as live:
        got = await live.send("POST", CHAT, chat())
        assert (got.status, json.loads(got.body)["error"]["message"]) == (500, "out of slots")


async def test_a_mistake_of_the_client_inside_the_stream_has_its_status(tmp_path: Path) -> None:
    async def refuses(answer: web.StreamResponse) -> None:
        await answer.write(written([TOO_LONG]).removesuffix(DONE))

    async with in_front(tmp_path, Engine(stream=refuses)) as live:
        got = await live.send("POST", CHAT, chat())
        assert (got.status, json.loads(got.body)["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize("how", ["cut", "reset", "error"])
async def test_what_breaks_off_is_asked_of_another_engine_since_nobody_has_seen_it(tmp_path: Path, how: str) -> None:
    async def breaks(answer: web.StreamResponse) -> None:
        events: list[dict[str, Any]] = chat_events(ANSWER, cut)[:3]
        if how == "error":
            events.append(LLAMA_ERROR)
        await answer.write(written(events).removesuffix(DONE))
        if how == "reset":
            transport = answer._req.transport if answer._req is not None else None
            assert transport is not None
            transport.abort()

    broken, sound = Engine(stream=breaks), Engine()
    async with in_front(tmp_path, broken, sound, more="routing: {policy: round_robin}\n") as live:
        for _ in range(2):
            got = await live.send("POST", CHAT, chat())
            assert (got.status, json.loads(got.body)) == (200, ANSWER)
    assert broken.bodies
    assert sound.bodies


async def test_a_stream_that_is_cut_and_cannot_be_repeated_is_an_error_never_half_an_answer(tmp_path: Path) -> None:
    async def ends(answer: web.StreamResponse) -> None:
        await answer.write(written(chat_events(ANSWER, cut)[:3]).removesuffix(DONE))

    async with in_front(tmp_path, Engine(stream=ends)) as live:
        got = await live.send("POST", CHAT, chat())
        assert got.status == 502
        assert "error" in json.loads(got.body)


async def test_an_answer_without_done_whose_texts_have_ended_is_whole(tmp_path: Path) -> None:
    async def ends(answer: web.StreamResponse) -> None:
        await answer.write(b": ping\n\n" + written(chat_events(ANSWER, cut)).removesuffix(DONE))

    async with in_front(tmp_path, Engine(stream=ends)) as live:
        assert json.loads((await live.send("POST", CHAT, chat())).body) == ANSWER


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"index": 0, "delta": {"audio": {"data": "x"}}}]},
        {"choices": [{"index": 0, "delta": {"content": "x" * (1 << 20)}}]},
    ],
)
async def test_what_cannot_be_put_together_is_asked_for_in_one_piece_and_remembered(
    tmp_path: Path, event: dict[str, Any]
) -> None:
    async def odd(answer: web.StreamResponse) -> None:
        for _ in range(20):
            await answer.write(written([event]).removesuffix(DONE))

    engine = Engine(stream=odd)
    async with in_front(tmp_path, engine) as live:
        for _ in range(2):
            assert json.loads((await live.send("POST", CHAT, chat())).body) == ANSWER
    assert [body.get("stream", False) for body in engine.bodies] == [True, False, False]


async def test_an_engine_that_does_not_know_stream_options_is_not_asked_again(tmp_path: Path) -> None:
    engine = Engine()
    serve = engine.routes[CHAT]

    async def refuses(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if "stream_options" in body:
            engine.bodies.append(body)
            return web.json_response({"error": {"message": "unknown field stream_options"}}, status=400)
        answered: web.StreamResponse = await serve(request)
        return answered

    engine.routes[CHAT] = refuses
    async with in_front(tmp_path, engine) as live:
        for _ in range(2):
            assert json.loads((await live.send("POST", CHAT, chat())).body) == ANSWER
    assert [body.get("stream", False) for body in engine.bodies] == [True, False, False]


async def test_an_engine_that_answers_in_one_piece_all_the_same_is_believed(tmp_path: Path) -> None:
    engine = Engine()

    async def whole(request: web.Request) -> web.StreamResponse:
        return web.json_response(ANSWER)

    engine.routes[CHAT] = whole
    async with in_front(tmp_path, engine) as live:
        assert json.loads((await live.send("POST", CHAT, chat())).body) == ANSWER


async def test_it_is_kept_by_the_cache_as_any_answer(tmp_path: Path) -> None:
    engine = Engine()
    async with in_front(tmp_path, engine, more="cache: {size: 1MiB}\n") as live:
        for expected in ("miss", "hit"):
            got = await live.send("POST", CHAT, chat(temperature=0))
            assert got.headers["x-tidegate-cache"] == expected
            told = json.loads(got.body)
            assert told["choices"] == ANSWER["choices"]
            assert told["usage"] == ANSWER["usage"]
    assert len(engine.bodies) == 1


async def test_who_asks_the_same_at_once_shares_the_stream_and_each_gets_it_whole(tmp_path: Path) -> None:
    async def slow(answer: web.StreamResponse) -> None:
        await asyncio.sleep(0.3)
        await answer.write(written(chat_events(ANSWER, cut)))

    engine = Engine(stream=slow)
    async with in_front(tmp_path, engine) as live:
        answers = await asyncio.gather(*(live.send("POST", CHAT, chat(temperature=0)) for _ in range(8)))
        assert [json.loads(answer.body) for answer in answers] == [ANSWER] * 8
    assert all(body["stream"] is True for body in engine.bodies)
    assert len(engine.bodies) < 8


async def test_a_late_one_is_asked_of_a_second_engine_and_the_first_whole_answer_wins(tmp_path: Path) -> None:
    async def stuck(_: web.StreamResponse) -> None:
        await asyncio.sleep(60)

    first, second = Engine(stream=stuck), Engine()
    more = "classes: [{name: interactive, hedge: 100ms}]\nrouting: {policy: round_robin}\n"
    async with in_front(tmp_path, first, second, more=more) as live:
        for _ in range(2):
            got = await live.send("POST", CHAT, chat())
            assert (got.status, json.loads(got.body)) == (200, ANSWER)
    assert first.bodies


async def test_a_hundred_at_once_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    async def endless(answer: web.StreamResponse) -> None:
        while True:
            await answer.write(written(chat_events(ANSWER, cut)[:2]).removesuffix(DONE))
            await asyncio.sleep(0.05)

    async with in_front(tmp_path, Engine(stream=endless)) as live:
        url = f"{live.proxy.listen_url}{CHAT}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            asked = [asyncio.ensure_future(session.post(url, json=chat())) for _ in range(100)]
            await asyncio.sleep(0.3)
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        async with asyncio.timeout(20):
            while live.proxy._scheduler._state.fleet.backends[0].in_flight:
                await asyncio.sleep(0.05)
