"""A cloud that refuses what is above its limit, as a fallback or alone: it never has to."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

from aiohttp import web

from tests.support.live_proxy import Live, SimEngine, before, running

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21},
}
PLAIN = {"stream": False, "max_tokens": 1}


class Cloud:
    """So many requests at once, which come back evenly within `per_s`."""

    def __init__(self, limit: int, per_s: float, *, says: bool) -> None:
        self.limit, self.per_s, self.says = limit, per_s, says
        self.taken: deque[float] = deque()
        self.served = self.refused = 0
        self.url = ""
        self._left, self._at = float(limit), monotonic()

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        now = monotonic()
        self._left = min(self.limit, self._left + (now - self._at) * self.limit / self.per_s)
        self._at = now
        if self._left < 1.0:
            self.refused += 1
            return web.json_response({"error": {"message": "Rate limit reached"}}, status=429)
        self._left -= 1.0
        self.served += 1
        headers = {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(int(self._left)),
            "x-ratelimit-reset-requests": f"{(self.limit - self._left) * self.per_s / self.limit * 1000:.0f}ms",
        }
        await asyncio.sleep(0.02)
        return web.json_response(ANSWER, headers=headers if self.says else {})


@asynccontextmanager
async def listening(cloud: Cloud) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", cloud.answer)
    app.router.add_get("/v1/models", _models)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    cloud.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


async def _models(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})


def entry(cloud: Cloud, more: str) -> str:
    return f"  - {{url: '{cloud.url}', name: cloud, models: [m], kind: openai, {more}}}\n"


async def many(live: Live, count: int) -> list[tuple[int, str]]:
    answers = await asyncio.gather(*[live.ask(PLAIN) for _ in range(count)])
    return [(answer.status, answer.route["backend"]) for answer in answers]


async def test_what_its_quota_does_not_allow_goes_to_others(tmp_path: Path) -> None:
    cloud = Cloud(20, 60.0, says=False)
    async with listening(cloud), running(tmp_path, "", (SimEngine("own"),)) as spare:
        backends = entry(cloud, "requests_per_minute: 20") + (
            f"  - {{url: '{spare.sims['own'].url}', name: own, models: [m], kind: vllm, order: 1}}\n"
        )
        (tmp_path / "b").mkdir()
        async with before(tmp_path / "b", backends) as live:
            answers = await many(live, 60)
            assert (cloud.served, cloud.refused) == (20, 0)
            assert sorted(answers) == [(200, "cloud")] * 20 + [(200, "own")] * 40
            _, told = await live.explain({"model": "m", "messages": [{"role": "user", "content": "x"}]})
            removed = {one["backend"]: one["removed_by"] for one in told["decision"]["candidates"]}
            assert removed["cloud"] == "quota"
            assert 'tidegate_backend_quota_requests{backend="cloud",pool="default"} 0.0' in await live.metrics()


async def test_what_its_answers_say_is_left_is_kept_and_who_waits_is_served(tmp_path: Path) -> None:
    cloud = Cloud(4, 1.0, says=True)
    async with listening(cloud), before(tmp_path, entry(cloud, "api_key: '${KEY:-sk-cloud}'")) as live:
        assert await many(live, 1) == [(200, "cloud")]
        assert await many(live, 16) == [(200, "cloud")] * 16
        assert (cloud.served, cloud.refused) == (17, 0)


async def test_of_a_clients_own_key_it_says_nothing_of_others(tmp_path: Path) -> None:
    cloud = Cloud(1000, 60.0, says=True)
    async with listening(cloud), before(tmp_path, entry(cloud, "")) as live:
        await many(live, 2)
        assert "tidegate_backend_quota_requests{" not in await live.metrics()
