"""Seats of an engine that speaks as vLLM does and so does not tell them: learned from its scrapes, over sockets."""

import asyncio
from dataclasses import replace
from pathlib import Path
from time import monotonic

from proxy.live.background.scraper import Scraper
from proxy.sim.engine.spec import PRESETS
from tests.support.live_proxy import Live, SimEngine, running
from tests.support.patience import eventually

TWO_SEATS = replace(PRESETS["fast"], max_num_seqs=2, step_s=0.02)


def scraper(live: Live, name: str) -> Scraper:
    """One that looks when it is told to, beside the proxy's own."""
    proxy = live.proxy
    return Scraper(proxy._backends[name], proxy._driver, proxy._config.limits.upstream, proxy._loop, 60.0)


async def test_seats_are_learned_from_what_waits_in_the_engine(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a", spec=TWO_SEATS), SimEngine("b", "slow", ("other",)))) as live:
        scheduler = live.proxy._scheduler
        asks = [asyncio.ensure_future(live.ask({"max_tokens": 200})) for _ in range(3)]

        def full() -> bool:
            state = live.sims["a"].state()
            return (state["running"], state["waiting"]) == (2, 1) and scheduler.backends(monotonic())[0].decoding == 2

        await asyncio.to_thread(eventually, full, "two decode, one waits")
        looks = scraper(live, "a")
        for _ in range(3):
            await looks.scrape()
        seats = {view.name: view.seats for view in scheduler.backends(monotonic())}
        assert seats == {"a": 2, "b": None}
        metrics = await live.metrics()
        assert 'tidegate_backend_seats{backend="a",pool="default"} 2.0' in metrics
        assert 'tidegate_backend_seats{backend="b"}' not in metrics
        assert {answer.status for answer in await asyncio.gather(*asks)} == {200}
