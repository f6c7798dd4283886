"""Scrapes: what is told to the scheduler; metrics that hang, lie or are missing do no harm, and nobody is woken."""

import asyncio
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from proxy.config.schema import Config
from proxy.live.background.scraper import Scraper
from proxy.live.driver import Driver
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.commands import Load, Restarted
from proxy.model.limits import UpstreamLimits
from tests.support.route_engine import route_engine

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
    (backend,) = backends.build(config, loop, Watch(loop, monotonic)).values()
    told: list[Any] = []
    driver = cast(Driver, SimpleNamespace(report=told.append))
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
    monkeypatch.setattr("proxy.live.background.scraper._TIMEOUT_S", 0.05)
    served.hang_s = 1.0
    await scraper.scrape()
    assert told == []
    served.hang_s = 0.0
    await scraper.scrape()
    assert len(told) == 1


ASLEEP = GOOD.format(10) + 'vllm:engine_sleep_state{sleep_state="awake"} 0\n'


async def test_sleep_and_waking_are_told(engine: Any) -> None:
    served, scraper, told = engine
    served.text = ASLEEP
    await scraper.scrape()
    served.text = ASLEEP.replace(" 0\n", " 1\n")
    await scraper.scrape()
    served.text = ASLEEP
    await scraper.scrape()
    served.text = GOOD.format(10)
    await scraper.scrape()
    await scraper.scrape()
    assert [report.asleep for report in told] == [True, False, True, False, None], "one that does not tell is awake"


class Llama:
    """llama-server as it sleeps: some routes wake it, one of them keeps it awake."""

    def __init__(self) -> None:
        self.asleep = False
        self.busy = 0
        self.woken = self.disturbed = 0
        self.with_metrics = False
        self.build = "b10621-0c1e570"

    def routes(self) -> dict[str, Any]:
        return {"/props": self.props, "/slots": self.slots, "/metrics": self.metrics}

    async def props(self, _: web.Request) -> web.Response:
        return web.json_response({"total_slots": 2, "is_sleeping": self.asleep, "build_info": self.build})

    async def slots(self, _: web.Request) -> web.Response:
        self.disturbed += 1
        self.woken += self.asleep
        self.asleep = False
        return web.json_response([{"is_processing": number < self.busy} for number in range(2)])

    async def metrics(self, _: web.Request) -> web.Response:
        if not self.with_metrics:
            return web.json_response({"error": {"code": 501}}, status=501)
        if self.build < "b10621":
            self.disturbed += 1
            self.woken += self.asleep
            self.asleep = False
        text = f"llamacpp:requests_processing {self.busy}\nllamacpp:requests_deferred 3\n"
        return web.Response(text=text + "llamacpp:prompt_tokens_total 7\n")


class LlamaBed:
    """A scraper before it, whose clock stands still."""

    def __init__(self) -> None:
        self.llama = Llama()
        self.now = 1000.0
        self.told: list[Any] = []

    async def scrapes(self, times: int, interval_s: float = 2.0) -> list[Any]:
        self.told.clear()
        for _ in range(times):
            await self.scraper.scrape()
            self.now += interval_s
        return list(self.told)


@pytest.fixture
async def bed() -> Any:
    bed = LlamaBed()
    async with route_engine(bed.llama.routes()) as engine:
        loop = asyncio.get_running_loop()
        config = Config.model_validate({"version": 1, "backends": [{"url": engine.url, "kind": "llama_cpp"}]})
        (backend,) = backends.build(config, loop, Watch(loop, lambda: bed.now)).values()
        driver = cast(Driver, SimpleNamespace(report=bed.told.append))
        bed.scraper = Scraper(backend, driver, UpstreamLimits(), loop, 2.0)
        yield bed
        backend.pool.close()


async def test_an_engine_that_sleeps_is_not_woken(bed: Any) -> None:
    bed.llama.asleep = True
    told = await bed.scrapes(50)
    assert {(report.unloaded, report.seats, report.running) for report in told} == {(True, 2, None)}
    assert (bed.llama.woken, bed.llama.asleep) == (0, True)


async def test_an_idle_engine_is_left_alone_for_longer_and_longer(bed: Any) -> None:
    told = await bed.scrapes(300)
    assert bed.llama.disturbed <= 10
    assert [report.running for report in told[:2]] == [0, None]
    assert all(report.seats == 2 for report in told), "which needs no disturbing"
    assert [report.resting for report in told] == [report.running is None for report in told]


async def test_between_two_looks_at_what_may_not_be_asked_so_often_the_last_one_stands(bed: Any) -> None:
    bed.llama.with_metrics, bed.llama.build, bed.llama.busy = True, "b10621-0c1e570", 1
    told = await bed.scrapes(4, 0.5)
    assert [(report.running, report.resting) for report in told] == [(1, False)] * 2 + [(None, True)] * 2
    bed.llama.asleep = True
    (last,) = await bed.scrapes(1)
    assert (last.unloaded, last.resting) == (True, False), "it runs nothing"


async def test_one_at_work_is_looked_at_each_time(bed: Any) -> None:
    await bed.scrapes(100)
    bed.llama.busy = 2
    while not bed.told or bed.told[-1].running is None:  # until it is asked again
        await bed.scrapes(1)
    assert [report.running for report in await bed.scrapes(5)] == [2] * 5


async def test_where_metrics_tell_nobody_is_disturbed(bed: Any) -> None:
    bed.llama.with_metrics, bed.llama.busy = True, 1
    told = await bed.scrapes(5)
    assert {(report.running, report.waiting, report.seats) for report in told} == {(1, 3, 2)}
    assert bed.llama.disturbed == 0


async def test_memory_of_cards_is_told_beside_what_the_engine_says(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, scraper, told = engine
    scraper._backend.gpu_metrics = "http://127.0.0.1:1/metrics"

    async def used_b(*_: object) -> float:
        return 5.0

    monkeypatch.setattr(scraper._cards, "used_b", used_b)
    await scraper.scrape()
    assert (told[-1].running, told[-1].facts.gpu_reserved_b) == (3.0, 5.0)
    served.status = 503
    await scraper.scrape()
    assert len(told) == 1, "what the engine said of itself is not taken back"


async def test_memory_of_cards_is_told_of_an_engine_that_tells_nothing(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, scraper, told = engine
    served.status = 404
    scraper._backend.gpu_metrics = "nvml"

    async def used_b(*_: object) -> float:
        return 5.0

    monkeypatch.setattr(scraper._cards, "used_b", used_b)
    for _ in range(2):
        await scraper.scrape()
        assert told.pop().facts.gpu_reserved_b == 5.0


async def test_metrics_that_wake_it_are_not_asked_for_in_its_sleep(bed: Any) -> None:
    """As builds before b10621 do: their timer starts anew, and a model that was put away is loaded again."""
    bed.llama.with_metrics, bed.llama.build, bed.llama.asleep = True, "b09760-6ee0f6579", True
    told = await bed.scrapes(50)
    assert {(report.unloaded, report.running) for report in told} == {(True, None)}
    assert (bed.llama.woken, bed.llama.asleep) == (0, True)
    bed.llama.asleep = False
    await bed.scrapes(300)
    assert 0 < bed.llama.disturbed <= 10, "awake and idle: longer and longer apart"


async def test_metrics_that_leave_it_asleep_are_read(bed: Any) -> None:
    bed.llama.with_metrics = bed.llama.asleep = True
    told = await bed.scrapes(5)
    assert {(report.unloaded, report.running) for report in told} == {(True, 0)}
    assert (bed.llama.disturbed, bed.llama.asleep) == (0, True)
