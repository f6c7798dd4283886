"""An engine of two places that it does not tell, over sockets: a flood waits here, where a chat goes before bulk."""

import asyncio
from dataclasses import replace
from pathlib import Path
from time import monotonic

from proxy.sim.engine.spec import PRESETS
from tests.support.live_proxy import Live, SimEngine, running

TWO_PLACES = replace(PRESETS["fast"], max_num_seqs=2, step_s=0.02)
STREAM = {"stream": True, "max_tokens": 20}
"""Some 0.4 s: 40 bulk jobs take eight."""


async def queue_of(live: Live, flood: "list[asyncio.Future[object]]") -> int:
    """The longest queue in the engine until the flood is over."""
    longest = 0
    while not all(ask.done() for ask in flood):
        longest = max(longest, live.sims["a"].state()["waiting"])
        await asyncio.sleep(0.02)
    return longest


async def test_a_flood_of_bulk_waits_here_and_is_served_to_the_last(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a", spec=TWO_PLACES),)) as live:
        flood = [asyncio.ensure_future(live.ask(STREAM, x_tidegate_class="bulk")) for _ in range(60)]
        longest = await queue_of(live, flood)
        assert {answer.status for answer in await asyncio.gather(*flood)} == {200}
        assert longest <= 25


async def test_a_chat_does_not_stand_behind_the_flood(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a", spec=TWO_PLACES),)) as live:
        first = await live.ask(STREAM)
        assert first.status == 200
        flood = [asyncio.ensure_future(live.ask(STREAM, x_tidegate_class="bulk")) for _ in range(40)]
        await asyncio.sleep(0.5)
        waits = []
        for _ in range(5):
            began = monotonic()
            assert (await live.ask({"stream": True, "max_tokens": 1})).status == 200
            waits.append(monotonic() - began)
            await asyncio.sleep(0.1)
        assert not all(ask.done() for ask in flood), "the flood outlasts the chats"
        assert max(waits[1:]) < 3.0, "in the engine's queue it would be the rest of eight seconds"
        assert {answer.status for answer in await asyncio.gather(*flood)} == {200}
