"""A page of another origin: preflight, answer, stream, error and model list, as its browser sees them."""

from pathlib import Path

import aiohttp

from tests.support.live_proxy import SimEngine, running

APP = "https://app.example.com"
OPTIONS = f"cors: {{origins: ['{APP}']}}\n"


async def test_a_page_of_the_list_and_another_one(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, (SimEngine("a"),)) as live, aiohttp.ClientSession() as session:
        url = f"{live.proxy.listen_url}/v1/chat/completions"
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
        async with session.options(url, headers={"origin": APP, **asks}) as preflight:
            assert preflight.status == 204
            assert preflight.headers["access-control-allow-origin"] == APP
            assert preflight.headers["access-control-allow-headers"] == "authorization, content-type"
            assert preflight.headers["access-control-max-age"] == "600"
        for body in ({}, {"stream": False}, {"model": "gone"}):
            answer = await live.ask(body, origin=APP)
            assert answer.headers["access-control-allow-origin"] == APP, answer.status
            assert answer.headers["vary"] == "origin"
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
            other = await live.ask(body, origin="https://evil.test")
            assert "access-control-allow-origin" not in other.headers
        async with session.get(f"{live.proxy.listen_url}/v1/models", headers={"origin": APP}) as models:
            assert models.headers["access-control-allow-origin"] == APP
        assert all(
            name.lower() != "origin"
            for request in live.sims["a"].recorder.as_json()
            for name, _ in request["headers"]  # type: ignore[attr-defined]
        )


async def test_nothing_is_said_by_default(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a"),)) as live:
        answer = await live.ask(origin=APP)
        assert not any(name.startswith("access-control") or name == "vary" for name in answer.headers)
