"""A model that an engine has to load first: the time is learned from traffic, shown, and avoided."""

from pathlib import Path

import pytest

from proxy.model.commands import Load
from tests.support.live_proxy import CHAT, SimEngine, running

NOTHING: frozenset[str] = frozenset()


async def test_a_cold_model_is_learned_shown_and_avoided(tmp_path: Path) -> None:
    options = "headers: {forward: ['x-sim-*']}\nrouting: {scrape: 0, explore: 0}\n"
    async with running(tmp_path, options, (SimEngine("a"), SimEngine("b", models=("other",)))) as live:
        driver = live.proxy._driver
        driver.report(Load("a", loaded=NOTHING))  # as a scrape of Ollama's /api/ps tells
        _, told = await live.explain(CHAT)
        assert told["decision"]["candidates"][0]["loading_s"] == 10.0
        assert (await live.ask(x_sim_delay_ms="700")).status == 200
        told_by_metrics = await live.metrics()
        assert 'tidegate_backend_model_loads_total{backend="a",pool="default"} 1.0' in told_by_metrics
        assert 'tidegate_backend_model_load_seconds{backend="b"' not in told_by_metrics
        _, told = await live.explain(CHAT)
        assert told["decision"]["candidates"][0]["loading_s"] == 0.0, "it is in memory now"
        driver.report(Load("a", loaded=NOTHING))
        _, told = await live.explain(CHAT)
        assert told["decision"]["candidates"][0]["loading_s"] == pytest.approx(0.7, abs=0.35)


async def test_requests_go_where_their_model_is_loaded(tmp_path: Path) -> None:
    options = "routing: {scrape: 0, explore: 0}\n"
    async with running(tmp_path, options, (SimEngine("a"), SimEngine("b"))) as live:
        for warm, cold in (("a", "b"), ("b", "a")):
            live.proxy._driver.report(Load(cold, loaded=NOTHING))
            live.proxy._driver.report(Load(warm, loaded=frozenset({"m"})))
            assert [(await live.ask()).route["backend"] for _ in range(4)] == [warm] * 4
