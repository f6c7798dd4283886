"""Short of memory, over sockets: bulk goes first, what is on its way goes on."""

import asyncio
import json
from pathlib import Path
from time import monotonic

from tests.support.live_proxy import SimEngine, running
from tests.support.patience import eventually

OPTIONS = "headers: {forward: ['x-sim-*']}\n"
ENGINES = (SimEngine("a", options="max_concurrency: 1"),)


async def test_bulk_is_refused_first_and_what_waits_with_it(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        guard, scheduler = live.proxy._lasting.memory, live.proxy._scheduler
        going = asyncio.ensure_future(live.ask(connection="close", x_tidegate_class="bulk", x_sim_delay_ms="700"))
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).in_flight == 1, "one is on its way")
        waits = [
            asyncio.ensure_future(live.ask(connection="close", x_tidegate_class=name))
            for name in ("bulk", "interactive")
        ]
        await asyncio.to_thread(eventually, lambda: scheduler.counts(monotonic()).held == 2, "two wait")
        guard._rss_b = lambda: int(guard._limit_b * 0.94)
        guard.check()
        shed = await waits[0]
        assert (shed.status, json.loads(shed.body)["error"]["code"]) == (503, "out_of_memory")
        assert shed.headers["retry-after"] == "2"
        assert (await live.ask(connection="close", x_tidegate_class="bulk")).status == 503
        assert {(await going).status, (await waits[1]).status} == {200}
        assert (await live.ask(connection="close")).status == 200
        guard._rss_b = lambda: int(guard._limit_b * 0.97)
        guard.check()
        assert (await live.ask(connection="close")).status == 503
        guard._rss_b = lambda: 0
        guard.check()
        assert (await live.ask(connection="close", x_tidegate_class="bulk")).status == 200
        counts = scheduler.counts(monotonic())
        assert (counts.in_flight, counts.held) == (0, 0)
