"""An engine that leaves out what does not fit and does not say so: its clients and its operator are told here."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.live_proxy import Answer, Live, before
from tests.support.route_engine import listed, model, route_engine

CONTEXT = 2048
OPTIONS = "routing: {scrape: 2s}\n"
LONG, SHORT = "The boats are out. " * 1200, "The boats are out. " * 50


async def chat(request: web.Request) -> web.StreamResponse:
    """Computes no more than fits: about a token a word. `user` says how long the answer is."""
    fields = await request.json()
    prompt = min(CONTEXT - 100, sum(len(one["content"].split()) for one in fields["messages"]))
    output = int(fields.get("user", "1"))
    usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    usual = {"id": "chatcmpl-1", "model": fields["model"], "created": 1, "system_fingerprint": "fp_ollama"}
    if not fields.get("stream"):
        message = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        return web.json_response({**usual, "object": "chat.completion", "choices": [message], "usage": usage})
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    delta = {"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}
    last = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}
    chunks = [{"choices": [delta]}, {"choices": [last]}, {"choices": [], "usage": usage}]
    for chunk in chunks:
        await answer.write(b"data: " + json.dumps({**usual, "object": "chat.completion.chunk", **chunk}).encode())
        await answer.write(b"\n\n")
    await answer.write(b"data: [DONE]\n\n")
    return answer


def ollama() -> dict[str, Any]:
    in_memory = {"name": "m:latest", "context_length": CONTEXT, "size": 1, "size_vram": 1, "details": {}}
    return {
        "/v1/models": listed(model("m:latest", "library")),
        "/api/version": {"version": "0.33.0"},
        "/api/ps": {"models": [in_memory]},
        "/v1/chat/completions": chat,
    }


def llama() -> dict[str, Any]:
    return {
        "/v1/models": listed(model("m:latest", "llamacpp", meta={"n_ctx": CONTEXT})),
        "/props": {"total_slots": 2},
        "/v1/chat/completions": chat,
    }


@asynccontextmanager
async def behind(tmp_path: Path, routes: dict[str, Any], more: str = OPTIONS) -> AsyncIterator[Live]:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(route_engine(routes))
        live = await stack.enter_async_context(before(tmp_path, f"  - {{url: '{engine.url}', name: a}}\n", more))
        async with asyncio.timeout(10):
            while not live.proxy._backends["a"].contexts:
                await asyncio.sleep(0.01)
        yield live


async def ask(live: Live, text: str, name: str = "m:latest", **more: Any) -> Answer:
    fields = {"model": name, "messages": [{"role": "user", "content": text}], "stream": False, **more}
    return await live.send("POST", "/v1/chat/completions", fields)


def counted(metrics: str, what: str) -> float:
    name = f'tidegate_truncated_requests_total{{backend="a",model="m:latest",what="{what}"}} '
    return sum(float(line.removeprefix(name)) for line in metrics.splitlines() if line.startswith(name))


async def test_a_prompt_that_was_cut_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tidegate.backends"):
        async with behind(tmp_path, ollama()) as live:
            whole = await ask(live, LONG)
            assert (whole.status, whole.headers["x-tidegate-truncated"]) == (200, "prompt")
            again = await ask(live, LONG, "m")
            assert again.headers["x-tidegate-truncated"] == "prompt", "the same model by its other name"
            assert "x-tidegate-truncated" not in (await ask(live, SHORT)).headers
            stream = await ask(live, LONG, stream=True, stream_options={"include_usage": True})
            assert "x-tidegate-truncated" not in stream.headers, "nobody knew when it began"
            assert "x-tidegate-truncated" not in (await ask(live, SHORT, stream=True)).headers
            assert counted(await live.metrics(), "prompt") >= 2
    told = [record.message for record in caplog.records if "OLLAMA_CONTEXT_LENGTH" in record.message]
    assert len([text for text in told if "for m:latest:" in text]) == 1, "once"
    assert "2048 tokens" in told[0]


async def test_cut_prompts_teach_nobody_that_prompts_are_short(tmp_path: Path) -> None:
    async with behind(tmp_path, ollama()) as live:
        lengths = live.proxy._scheduler._state.learning.lengths
        for stream in (False, True):
            asked = await ask(live, LONG, stream=stream, stream_options={"include_usage": True} if stream else None)
            assert asked.status == 200
        assert not lengths._scales
        await ask(live, SHORT)
        assert lengths._scales


async def test_a_context_that_was_outrun_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tidegate.backends"):
        async with behind(tmp_path, llama()) as live:
            assert "x-tidegate-truncated" not in (await ask(live, SHORT, user="1000")).headers
            found = await ask(live, SHORT, user="3000")
            assert (found.status, found.headers["x-tidegate-truncated"]) == (200, "context")
            assert "x-tidegate-truncated" not in (await ask(live, SHORT, user="3000", n=4)).headers, "of all four"
            assert counted(await live.metrics(), "context") == 1
    assert [record for record in caplog.records if "--context-shift" in record.message]
