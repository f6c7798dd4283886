"""Named prompts asked of an engine before it takes traffic: what is asked, and that it is bounded."""

import asyncio
import time
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from proxy.config.plain import read as read_options
from proxy.config.schema import Config
from proxy.live.background.warmer import Warmer
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.limits import UpstreamLimits
from proxy.model.prompts import WarmSettings
from proxy.wire.prompts.template import Template, in_order, text_with_variables
from tests.support.route_engine import route_engine

PATH = "/v1/chat/completions"
SHOP = Template("shop", "1", in_order("For {{who}}.\n\nRules.", stable_first=True), tools=(b'{"type":"function"}',))
PLAIN = Template("plain", "1", text_with_variables("Be kind."))


class Asked:
    """What an engine was asked; it answers each with `status`, after `delay_s`."""

    def __init__(self, status: int = 200, delay_s: float = 0.0) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.at_once = self.most_at_once = 0
        self._status, self._delay_s = status, delay_s

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self._delay_s)
        self.at_once -= 1
        return web.json_response({}, status=self._status)


async def warmed(asked: Asked, models: tuple[str, ...] = ("m", "n"), **settings: Any) -> dict[tuple[str, str], int]:
    async with route_engine({PATH: asked.answer}) as engine:
        loop = asyncio.get_running_loop()
        config = Config.model_validate({"version": 1, "backends": [{"url": engine.url, "name": "e"}]})
        (backend,) = backends.build(config, loop, Watch(loop, monotonic)).values()
        warmer = Warmer(read_options(WarmSettings, settings), (SHOP, PLAIN), UpstreamLimits(), loop)
        try:
            await warmer.warm(backend, models)
        finally:
            backend.pool.close()
        return dict(warmer.requests)


async def test_each_prompt_in_each_model_one_after_the_other_up_to_its_first_variable() -> None:
    asked = Asked()
    assert await warmed(asked) == {("e", "ok"): 4}
    assert asked.most_at_once == 1
    assert [body["model"] for body in asked.bodies] == ["m", "m", "n", "n"]
    shop, plain = asked.bodies[:2]
    user = {"role": "user", "content": "."}
    assert shop == {
        "model": "m",
        "messages": [{"role": "system", "content": "Rules.\n\nFor "}, user],
        "tools": [{"type": "function"}],
        "max_tokens": 1,
        "temperature": 0,
    }
    assert plain["messages"] == [{"role": "system", "content": "Be kind."}, user]


async def test_no_more_than_allowed() -> None:
    asked = Asked()
    assert await warmed(asked, tuple("abcdefgh"), requests=3) == {("e", "ok"): 3}
    assert len(asked.bodies) == 3


async def test_no_longer_than_allowed() -> None:
    start = time.monotonic()
    assert await warmed(Asked(delay_s=5.0), timeout="100ms") == {("e", "failed"): 1}
    assert time.monotonic() - start < 2.0


async def test_an_engine_that_refuses_is_left_cold() -> None:
    assert await warmed(Asked(status=500), ("m",)) == {("e", "failed"): 2}


@pytest.mark.parametrize(
    ("kind", "route", "told", "expected"),
    [
        ("ollama", "/api/ps", {"models": [{"name": "m:latest"}]}, {"m:latest"}),
        ("ollama", "/api/ps", {"models": []}, set()),
        ("ollama", "/api/ps", (503, "busy"), set()),
        ("llama_cpp", "/props", {"is_sleeping": True}, set()),
        ("llama_cpp", "/props", {"is_sleeping": False}, {"m:latest", "n:latest"}),
        ("llama_cpp", "/props", (404, ""), {"m:latest", "n:latest"}),
    ],
)
async def test_what_is_in_memory_is_asked_without_loading_anything(
    kind: str, route: str, told: Any, expected: set[str]
) -> None:
    async with route_engine({route: told}) as engine:
        loop = asyncio.get_running_loop()
        config = Config.model_validate({"version": 1, "backends": [{"url": engine.url, "name": "e", "kind": kind}]})
        (backend,) = backends.build(config, loop, Watch(loop, monotonic)).values()
        warmer = Warmer(WarmSettings(), (), UpstreamLimits(), loop)
        source = backend.dialect.in_memory
        assert source is not None
        assert await warmer.in_memory(backend, source, frozenset({"m:latest", "n:latest"})) == expected
        assert set(engine.asked) == {route}
        await engine.stop()
        assert await warmer.in_memory(backend, source, frozenset({"m:latest"})) == frozenset(), "it is not there"
        backend.pool.close()
