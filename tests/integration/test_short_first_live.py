"""Short first, more on request, over sockets: limits, headers, whose it is, and where it goes on."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.live_proxy import CHAT, Answer, SimEngine, running
from tests.support.patience import eventually

ENGINES = (SimEngine("a"), SimEngine("b"), SimEngine("c"))
OPTIONS = """
classes:
  - name: chat
    answer: {first: 12 tokens, keep: 5m}
"""
RULES = "\n".join(f"Rule {number}: mind the {number * 7} spoons of drawer {number % 13}." for number in range(100))
ASKED = {
    "messages": [{"role": "system", "content": RULES}, {"role": "user", "content": "Why?"}],
    "max_tokens": 40,
    "ignore_eos": True,
}


def text(answer: Answer) -> str:
    if "event-stream" not in answer.headers["content-type"]:
        return str(json.loads(answer.body)["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in answer.body.split(b"\n") if line.startswith(b"data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])


@pytest.mark.parametrize("stream", [True, False])
async def test_it_goes_on_where_its_prompt_is(tmp_path: Path, stream: bool) -> None:
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        for number in range(4):
            asked = {**ASKED, "stream": stream}
            asked["messages"] = [{"role": "system", "content": f"{number} {RULES}"}, ASKED["messages"][1]]
            first = await live.ask(asked, x_tidegate_class="chat", authorization="Bearer k")
            name = first.headers["x-tidegate-expandable"]
            assert name == first.headers["x-request-id"]
            assert live.asked_of(first.route["backend"])["max_tokens"] == 12
            assert "in short" in live.asked_of(first.route["backend"])["messages"][0]["content"]
            assert b'"length"' in first.body.replace(b": ", b":"), "finish_reason is the engine's"
            more = await live.send(
                "POST", f"/v1/tidegate/requests/{name}/expand", {"stream": False}, authorization="Bearer k"
            )
            assert more.status == 200
            assert more.route["backend"] == first.route["backend"]
            assert "x-tidegate-expandable" not in more.headers
            got = live.asked_of(more.route["backend"])
            assert (got["max_tokens"], got["stream"]) == (40, False)
            assert got["messages"][2] == {"role": "assistant", "content": text(first)}
            usage = json.loads(more.body)["usage"]
            assert usage["completion_tokens"] == 40
            assert usage["prompt_tokens_details"]["cached_tokens"] > 0.8 * usage["prompt_tokens"]
        told = await live.metrics()
        assert 'tidegate_short_first_total{what="short"} 4.0' in told
        assert 'tidegate_short_first_total{what="expanded"} 4.0' in told


async def test_by_header_and_as_it_was_asked(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES[:1]) as live:
        first = await live.ask(ASKED, x_tidegate_class="chat")
        name = first.headers["x-tidegate-expandable"]
        more = await live.send("POST", "/v1/chat/completions", {}, x_tidegate_expand=name, x_tidegate_class="chat")
        assert (more.status, more.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert live.asked_of("a")["max_tokens"] == 40, "what is asked for more is not made short again"
        assert "x-tidegate-expandable" not in more.headers


async def test_whose_it_is_and_what_there_is_not(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES[:1]) as live:
        first = await live.ask(ASKED, x_tidegate_class="chat", authorization="Bearer k")
        path = f"/v1/tidegate/requests/{first.headers['x-tidegate-expandable']}/expand"
        for target, headers in (
            (path, {}),
            (path, {"authorization": "Bearer other"}),
            ("/v1/tidegate/requests/nobody/expand", {"authorization": "Bearer k"}),
            ("/v1/tidegate/requests//expand", {}),
            ("/v1/tidegate/requests/x/other/stages", {}),
        ):
            assert (await live.send("POST", target, {}, **headers)).status == 404
        assert (await live.send("GET", path, authorization="Bearer k")).status == 405
        assert (await live.send("POST", path, [1], authorization="Bearer k")).status == 400
        assert (await live.send("POST", path, authorization="Bearer k")).status == 200


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": 12},
        {"n": 2},
    ],
)
async def test_never_for_tools_schemas_and_what_is_short_anyway(tmp_path: Path, more: dict[str, Any]) -> None:
    async with running(tmp_path, OPTIONS, ENGINES[:1]) as live:
        asked = {**ASKED, **more, "stream": False}
        answer = await live.ask(asked, x_tidegate_class="chat")
        assert "x-tidegate-expandable" not in answer.headers
        assert live.asked_of("a") == {**CHAT, **asked}


async def test_other_classes_and_proxies_without_it_know_nothing_of_it(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES[:1]) as live:
        answer = await live.ask({**ASKED, "stream": False})
        assert "x-tidegate-expandable" not in answer.headers
        assert live.asked_of("a") == {**CHAT, **ASKED, "stream": False}
    async with running(tmp_path, "", ENGINES[:1]) as live:
        assert (await live.send("POST", "/v1/tidegate/requests/x/expand", {})).status == 404


async def test_a_client_that_leaves_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS + "headers: {forward: ['x-sim-*']}\n", ENGINES[:1]) as live:
        asked = asyncio.ensure_future(live.ask(ASKED, x_tidegate_class="chat", x_sim_delay_ms="500"))
        recorder = live.sims["a"].recorder
        await asyncio.to_thread(eventually, lambda: recorder.in_flight == 1, "the engine has it")
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await asyncio.to_thread(eventually, lambda: recorder.in_flight == 0, "the engine is free")
        assert len(live.proxy._servings.short_first._answers) == 0
