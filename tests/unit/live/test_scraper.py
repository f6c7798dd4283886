"""Scrapes: what is told to the scheduler, and that metrics which hang, lie or are missing do no harm."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from proxy.config.schema import Config
from proxy.live import backends
from proxy.live.driver import Driver
from proxy.live.scraper import Scraper
from proxy.live.watch import Watch
from proxy.model.commands import Load, Restarted
from proxy.model.limits import UpstreamLimits

GOOD = "vllm:num_requests_running 3\nvllm:num_requests_waiting 1\nvllm:prompt_tokens_total {}\n"


class Engine:
    """Serves what the test says."""

    def __init__(self) -> None:
        self.status, self.text, self.hang_s, self.asked = 200, GOOD.format(10), 0.0, 0

    async def metrics(self, _: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.hang_s)
        return web.Response(status=self.status, text=self.text)


@pytest.fixture
async def engine() -> Any:
    engine = Engine()
    app = web.Application()
    app.router.add_get("/sub/metrics", engine.metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = cast(asyncio.Server, site._server).sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    config = Config.model_validate(
        {"version": 1, "backends": [{"url": f"http://127.0.0.1:{port}/sub", "kind": "vllm"}]}
    )
    (backend,) = backends.build(config, loop, Watch(loop)).values()
    told: list[Any] = []
    driver = cast(Driver, SimpleNamespace(learn=told.append))
    yield engine, Scraper(backend, driver, UpstreamLimits(), loop, 2.0), told
    backend.pool.close()
    await runner.cleanup()


async def test_load_is_told_and_a_restart_noticed(engine: Any) -> None:
    served, scraper, told = engine
    await scraper.scrape()
    name = told[0].backend
    assert told == [Load(name, 3, 1)]
    served.text = GOOD.format(2)
    await scraper.scrape()
    assert told[1:] == [Restarted(name), Load(name, 3, 1)]


async def test_garbage_and_errors_tell_nothing(engine: Any) -> None:
    served, scraper, told = engine
    for served.status, served.text in ((200, "<html>"), (200, ""), (500, GOOD.format(1)), (200, "x" * (5 << 20))):
        await scraper.scrape()
    assert told == []
    assert scraper.misses == 4


async def test_metrics_that_are_not_there_are_left_alone(engine: Any) -> None:
    served, scraper, told = engine
    served.status = 404
    for _ in range(3):
        await scraper.scrape()
    assert (served.asked, told) == (1, [])


async def test_metrics_that_hang_end_with_the_scrape(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served, scraper, told = engine
    monkeypatch.setattr("proxy.live.scraper._TIMEOUT_S", 0.05)
    served.hang_s = 1.0
    await scraper.scrape()
    assert told == []
    served.hang_s = 0.0
    await scraper.scrape()
    assert len(told) == 1
