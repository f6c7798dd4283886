"""Our own questions: whole answers, bounded, and none that hangs."""

import asyncio
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from proxy.config.schema import Config
from proxy.live.background.questions import Questions
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.faults import FaultError, Kind
from proxy.model.limits import UpstreamLimits
from tests.support.route_engine import RouteEngine, route_engine


async def _hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(30.0)
    return web.Response()


ROUTES = {"/a": (200, "x" * 100), "/long": (200, "x" * (8 << 20)), "/slow": _hangs}


@pytest.fixture
async def asked() -> Any:
    async with route_engine(ROUTES) as engine:
        loop = asyncio.get_running_loop()
        config = Config.model_validate({"version": 1, "backends": [{"url": engine.url}]})
        (backend,) = backends.build(config, loop, Watch(loop, monotonic)).values()
        yield engine, Questions(backend, UpstreamLimits(), loop, "tidegate-probe")
        backend.pool.close()


async def test_an_answer(asked: tuple[RouteEngine, Questions]) -> None:
    relay = await asked[1].get("/a", 100, 5.0)
    assert (relay.status, relay.complete, len(relay.body)) == (200, True, 100)


async def test_a_longer_one_is_not_complete(asked: tuple[RouteEngine, Questions]) -> None:
    relay = await asked[1].get("/long", 1 << 20, 5.0)
    assert (relay.status, relay.complete) == (200, False)
    assert len(relay.body) < 2 << 20


async def test_one_that_never_comes(asked: tuple[RouteEngine, Questions]) -> None:
    with pytest.raises(TimeoutError):
        await asked[1].get("/slow", 100, 0.05)


async def test_nobody_there(asked: tuple[RouteEngine, Questions]) -> None:
    engine, questions = asked
    await engine.stop()
    with pytest.raises(FaultError) as caught:
        await questions.get("/a", 100, 5.0)
    assert caught.value.fault.kind is Kind.CONNECT
