"""Streams as a class wants them: token by token, word by word, smoothed, with pings; always the engine's own text."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from proxy.app.proxy import Proxy
from proxy.config.schema import Config
from proxy.sim.engine.spec import PRESETS
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings

TEXT = 'Grüße, "quoted" \\ back\nslash, 👩‍👩‍👧 family, data: [DONE] and  , the end. ' * 3
CLASSES = [
    {"name": "tokens", "stream": {"granularity": "token"}},
    {"name": "words", "stream": {"granularity": "text"}},
    {"name": "smooth", "stream": {"granularity": "token", "pace": "smooth", "max_delay": "50ms"}},
    {"name": "pinged", "stream": {"ping": "100ms"}},
]


@asynccontextmanager
async def _running(**more: Any) -> AsyncIterator[tuple[SimServer, str]]:
    sim = SimServer(SimSettings(name="sim", models=("m",), spec=PRESETS["fast"]))
    await sim.start()
    config = {
        "version": 1,
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "log": {"access": False},
        "backends": [{"url": sim.url}],
        "headers": {"forward": ["x-sim-*"]},
        "classes": CLASSES,
        **more,
    }
    proxy = Proxy(Config.model_validate(config))
    await proxy.start()
    try:
        yield sim, proxy.listen_url
    finally:
        await proxy.stop(drain=False)
        await sim.stop()


async def _stream(url: str, body: dict[str, Any] | None = None, **headers: str) -> tuple[int, list[bytes], bytes]:
    """Status, data lines and the raw bytes of a chat stream."""
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}], **(body or {})}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    text = {"x-sim-text": base64.b64encode(TEXT.encode()).decode()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body, headers={**text, **named}) as answer,
    ):
        raw = await answer.read()
        return answer.status, [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: ")], raw


def _contents(lines: list[bytes]) -> list[str]:
    chunks = [json.loads(line) for line in lines if line != b"[DONE]"]
    return [choice["delta"]["content"] for c in chunks for choice in c["choices"] if choice["delta"].get("content")]


@pytest.mark.parametrize("name", ["", "tokens", "words", "smooth"])
async def test_the_text_is_the_engines_in_every_class(name: str) -> None:
    async with _running() as (_, url):
        status, lines, _ = await _stream(url, x_tidegate_class=name or "interactive", x_sim_tokens_per_event="4")
    assert status == 200
    assert "".join(_contents(lines)) == TEXT
    assert lines[-1] == b"[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]].count(None) == len(chunks) - 1
    assert sum(1 for c in chunks for choice in c["choices"] if choice["delta"].get("role")) == 1


async def test_usage_nobody_asked_for_is_not_seen_but_known() -> None:
    async with _running() as (sim, url):
        _, lines, raw = await _stream(url, x_tidegate_class="tokens")
        _, asked, _ = await _stream(url, {"stream_options": {"include_usage": True}}, x_tidegate_class="tokens")
        sent = [json.loads(base64.b64decode(r["body"])) for r in await _received(sim)]
    assert b'"usage"' not in raw
    usages = [json.loads(line)["usage"] for line in asked if line != b"[DONE]" and json.loads(line).get("usage")]
    assert len(usages) == 1
    assert usages[0]["completion_tokens"] > 10
    assert sent[0]["stream_options"]["include_usage"] is True
    assert sent[1]["stream_options"]["continuous_usage_stats"] is True, "token borders are told by it"
    assert len(_contents(lines)) == len(_contents(asked))


async def _received(sim: SimServer) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{sim.url}/sim/requests") as answer:
        seen: list[dict[str, Any]] = [r for r in (await answer.json()) if r["method"] == "POST"]
        return seen


async def test_packed_events_become_one_event_per_token() -> None:
    async with _running() as (_, url):
        _, packed, _ = await _stream(url, x_sim_tokens_per_event="4")
        _, split, _ = await _stream(url, x_tidegate_class="tokens", x_sim_tokens_per_event="4")
        _, single, _ = await _stream(url, x_sim_tokens_per_event="1")
    assert len(_contents(packed)) < len(_contents(split)) <= len(_contents(single))
    assert len(_contents(split)) >= 0.9 * len(_contents(single)), "a token inside a grapheme stays with it"


async def test_words_are_whole() -> None:
    async with _running() as (_, url):
        _, lines, _ = await _stream(url, x_tidegate_class="words")
    words = _contents(lines)
    assert len(words) > 5
    for word, following in pairwise(words[:-1]):  # the last event carries the finish and waits for nobody
        assert len(word) >= 32 or not (word[-1].isalnum() and following[0].isalnum()), (word, following)


async def test_pings_fill_the_silence_before_the_first_token() -> None:
    async with _running() as (_, url):
        status, lines, raw = await _stream(url, x_tidegate_class="pinged", x_sim_delay_ms="450")
        _, _, quiet = await _stream(url, x_sim_delay_ms="450")
    assert status == 200
    assert raw.startswith(b": ping\n: ping\n")
    assert b": ping" not in quiet
    assert "".join(_contents(lines)) == TEXT


async def test_an_error_after_a_ping_is_an_event() -> None:
    async with _running() as (_, url):
        status, lines, raw = await _stream(url, x_tidegate_class="pinged", x_sim_delay_ms="350", x_sim_status="500")
    assert (status, raw[:7]) == (200, b": ping\n")
    assert isinstance(json.loads(lines[-1])["error"]["message"], str)
    assert b"[DONE]" not in raw


async def test_a_client_that_leaves_between_pings_frees_the_engine() -> None:
    async with _running() as (sim, url):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await _stream(url, x_tidegate_class="pinged", x_sim_stall_after="0")
        until = time.monotonic() + 3
        while sim.state()["in_flight"] and time.monotonic() < until:
            await asyncio.sleep(0.02)
        assert sim.state()["in_flight"] == 0
