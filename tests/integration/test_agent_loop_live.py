"""A coding agent's tool loop of 20 turns with a first line that changes: found in caches once that line is
stripped, and named by the lint within ten requests."""

import asyncio
from pathlib import Path

from tests.support.agent_loop import TURNS, Turn, hit, turn_of
from tests.support.live_proxy import Live, SimEngine, running

ENGINES = tuple(SimEngine(name) for name in "abcd")
STRIP = "classes: [{name: agents, prompts: {strip: [x-anthropic-billing-header]}}]\n"
SESSIONS = 3


async def played(live: Live, turns: int) -> list[list[Turn]]:
    """By session."""
    told: list[list[Turn]] = [[] for _ in range(SESSIONS)]
    for turn in range(turns):
        sent = [turn_of(live, session, turn, x_tidegate_class="agents") for session in range(SESSIONS)]
        for session, done in enumerate(await asyncio.gather(*sent)):
            told[session].append(done)
    return told


async def test_stripped_the_prefix_is_found(tmp_path: Path) -> None:
    async with running(tmp_path, STRIP, ENGINES) as live:
        sessions = await played(live, TURNS)
        assert hit([turn for session in sessions for turn in session[1:]]) >= 0.95
        assert not live.proxy._lint.findings()


async def test_as_it_comes_nothing_is_found_and_the_lint_says_why(tmp_path: Path) -> None:
    async with running(tmp_path, "classes: [{name: agents}]\n", ENGINES) as live:
        sessions = await played(live, 3)
        assert hit([turn for session in sessions for turn in session[1:]]) < 0.3
        assert live.proxy._lint.seen <= 10
        (one,) = live.proxy._lint.findings()
        assert (one.part, one.line, one.kind) == ("the system prompt", 1, "billing line")
        assert one.saved > 0.8 * one.tokens - 600
