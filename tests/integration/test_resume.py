"""A backend that dies inside a greedy text: another one goes on, and the client sees one stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from proxy.app.proxy import Proxy
from proxy.config.schema import Config
from proxy.sim.engine.spec import PRESETS
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings

ASK = {
    "model": "m",
    "stream": True,
    "temperature": 0,
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "Tell me a story about a fox."}],
}
CLASSES = [{"name": "interactive", "stream": {"resume": True}}]


@asynccontextmanager
async def _bed(*, resume: bool = True) -> AsyncIterator[tuple[str, SimServer, SimServer]]:
    sims = [SimServer(SimSettings(name=name, models=("m",), spec=PRESETS["fast"])) for name in ("one", "two")]
    for sim in sims:
        await sim.start()
    config = {
        "version": 1,
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "log": {"access": False},
        "backends": [{"url": sim.url, "name": sim.state().get("name", f"b{at}")} for at, sim in enumerate(sims)],
        "routing": {"policy": "round_robin"},
        "classes": CLASSES if resume else [],
    }
    proxy = Proxy(Config.model_validate(config))
    await proxy.start()
    try:
        yield proxy.listen_url, *sims
    finally:
        await proxy.stop(drain=False)
        for sim in sims:
            await sim.stop()


async def _told(url: str, ask: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream; one that ends without `[DONE]` or an error fails the test."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=ask) as answer,
    ):
        raw = await answer.read()
        assert answer.status == 200, raw
        lines = [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: ")]
    events = [json.loads(line) for line in lines if line != b"[DONE]"]
    assert lines[-1] == b"[DONE]" or "error" in events[-1]
    return events


def _text(events: list[dict[str, Any]]) -> str:
    return "".join(c["delta"].get("content") or "" for e in events for c in e.get("choices", []))


@pytest.mark.parametrize(
    "fault", [{"x-sim-cut-after": "9"}, {"x-sim-reset-after": "9"}, {"x-sim-error-event-after": "9"}]
)
async def test_the_client_sees_one_stream(fault: dict[str, str]) -> None:
    async with _bed() as (url, one, two):
        whole = await _told(one.url, ASK)
        await one.set_faults(fault)
        streams = [await _told(url, ASK) for _ in range(2)]  # round robin: one of them begins on the dying backend
        assert two.state()["finished"] >= 2
    for events in streams:
        assert _text(events) == _text(whole)
        assert len({event["id"] for event in events}) == 1
        assert [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]] == ["length"]
        assert sum(1 for e in events for c in e["choices"] if c["delta"].get("role")) == 1
        assert not any(event.get("usage") for event in events)


async def test_the_total_is_the_clients() -> None:
    ask = {**ASK, "stream_options": {"include_usage": True}}
    async with _bed() as (url, one, _):
        whole = await _told(one.url, ask)
        await one.set_faults({"x-sim-cut-after": "9"})
        streams = [await _told(url, ask) for _ in range(2)]
    for events in streams:
        assert [e["usage"]["completion_tokens"] for e in events if e.get("usage")] == [60]
        assert events[-1]["usage"]["prompt_tokens"] == whole[-1]["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.7},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"n": 2},
        {"response_format": {"type": "json_object"}},
    ],
)
async def test_what_cannot_be_equal_is_not_tried(change: dict[str, Any]) -> None:
    async with _bed() as (url, one, two):
        for sim in (one, two):
            await sim.set_faults({"x-sim-cut-after": "2"})
        events = await _told(url, {**ASK, **change})
        assert one.state()["aborted"] + two.state()["aborted"] == 1
    assert isinstance(events[-1]["error"]["message"], str)


async def test_nobody_goes_on_unasked() -> None:
    async with _bed(resume=False) as (url, one, two):
        for sim in (one, two):
            await sim.set_faults({"x-sim-cut-after": "5"})
        events = await _told(url, ASK)
        assert one.state()["aborted"] + two.state()["aborted"] == 1
    assert "error" in events[-1]


async def test_when_all_die_the_first_fault_is_told() -> None:
    async with _bed() as (url, one, two):
        for sim in (one, two):
            await sim.set_faults({"x-sim-cut-after": "5"})
        events = await _told(url, ASK)
        await asyncio.sleep(0)
    assert isinstance(events[-1]["error"]["message"], str)
    assert len({event["id"] for event in events[:-1]}) == 1
