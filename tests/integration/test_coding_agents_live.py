"""Claude Code and Codex, 20 turns each, before two simulated engines: their conversations stay where they are."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import anthropic
import openai
import pytest

from proxy.sim.engine.spec import LOW_LATENCY
from tests.support.coding_agents import RULES, TURNS, ClaudeCode, Codex, Turn, hit
from tests.support.live_proxy import Live, SimEngine, running

ENGINES = (SimEngine("a", spec=LOW_LATENCY), SimEngine("b", spec=LOW_LATENCY))
SESSIONS = 4
PROJECTS = [f"This is project {number}.\n{RULES}" for number in range(SESSIONS)]
Play = Callable[[Live], Awaitable[list[list[Turn]]]]


async def played(agents: list[ClaudeCode] | list[Codex], client: object) -> list[list[Turn]]:
    """By session; those of one turn at once."""
    told: list[list[Turn]] = [[] for _ in agents]
    for _ in range(TURNS):
        for turns, done in zip(told, await asyncio.gather(*(agent.turn(client) for agent in agents)), strict=True):
            turns.append(done)
    return told


async def claude_code(live: Live) -> list[list[Turn]]:
    async with anthropic.AsyncAnthropic(base_url=live.proxy.listen_url, api_key="any", max_retries=0) as client:
        return await played([ClaudeCode("m", rules=rules, max_tokens=40) for rules in PROJECTS], client)


async def codex(live: Live) -> list[list[Turn]]:
    url = f"{live.proxy.listen_url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
        return await played([Codex("m", rules=rules, max_output_tokens=40) for rules in PROJECTS], client)


def total(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:_total)?{{[^}}]*}} (\S+)$", text, re.MULTILINE))


async def of_engines(live: Live) -> float:
    """What the engines say themselves of their prefix caches."""
    asked = found = 0.0
    for engine in live.sims:
        text = await live.metrics_of(engine)
        asked += total(text, "vllm:prefix_cache_queries")
        found += total(text, "vllm:prefix_cache_hits")
    return found / asked


@pytest.mark.parametrize("play", [claude_code, codex])
async def test_conversations_stay_where_their_prompts_are(tmp_path: Path, play: Play) -> None:
    async with running(tmp_path, "", ENGINES) as live:
        sessions = await play(live)
        moves = [one.backend != other.backend for session in sessions for one, other in pairwise(session)]
        assert sum(moves) <= 2, sessions
        assert hit([turn for session in sessions for turn in session[1:]]) >= 0.95
        assert await of_engines(live) >= 0.85, "first turns included"
        assert {turn.backend for session in sessions for turn in session} == {"a", "b"}
        metrics = await live.metrics()
        for direction, field in (("prompt", "prompt"), ("cached", "cached")):
            told = sum(getattr(turn, field) for session in sessions for turn in session)
            counted = re.findall(
                rf'^tidegate_tokens_total{{.*direction="{direction}".*}} (\S+)$', metrics, re.MULTILINE
            )
            assert sum(map(float, counted)) == told, direction
