"""Reload after reload, right and wrong, while requests come and streams are open: nobody notices, nothing is left."""

import asyncio
import random
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.proxy_process import TEST_DEFAULTS, ProxyProcess, merged

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hello"}]}
RATE_PER_S = 200
AT_ONCE = 40
STREAMS = 10
BROKEN = [
    "",
    "version: 2\n",
    "version: 1\nbackends: [{url: 'http://127.0.0.1:1', seets: 1}]\n",
    "version: 1\nbackends:\n  - ur",
]


class Client:
    """Requests at a steady rate, and streams that are open all the time."""

    def __init__(self, proxy: ProxyProcess) -> None:
        self._url = f"{proxy.url}{PATH}"
        self.failed: list[Any] = []
        self.done = 0
        self.headers: dict[str, str] = {}
        """Of what is asked from now on."""
        self._stops = asyncio.Event()

    async def run(self, reloads: Any) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            streams = [asyncio.ensure_future(self._stream(session)) for _ in range(STREAMS)]
            requests = asyncio.ensure_future(self._steadily(session))
            try:
                await reloads
            finally:
                self._stops.set()
            await requests
            await asyncio.gather(*streams)

    async def _steadily(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        began, sent, out = loop.time(), 0, set()
        while not self._stops.is_set():
            due = int((loop.time() - began) * RATE_PER_S)
            due = min(due, sent + AT_ONCE - len(out))  # a machine that is busy otherwise is asked for less
            for _ in range(due - sent):
                sent += 1
                task = asyncio.ensure_future(self._ask(session))
                out.add(task)
                task.add_done_callback(out.discard)
            await asyncio.sleep(0.005)
        await asyncio.gather(*out)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.post(self._url, json=CHAT, headers=self.headers) as answer:
                body = await answer.read()
                if answer.status != 200:
                    self.failed.append((answer.status, body[:200]))
        except aiohttp.ClientError as error:
            self.failed.append(error)
        self.done += 1

    async def _stream(self, session: aiohttp.ClientSession) -> None:
        """One after the other, none shorter than some reloads."""
        while not self._stops.is_set():
            headers = {**self.headers, "x-fake": "stream 60 0.03"}
            async with session.post(self._url, json={**CHAT, "stream": True}, headers=headers) as answer:
                body = await answer.read()
                if answer.status != 200 or not body.endswith(b"data: [DONE]\n\n"):
                    self.failed.append(("stream", answer.status, body[-200:]))


def configs(engines: list[Any], rng: random.Random) -> dict[str, Any]:
    """One of many that serve the model: some of the engines, under names that change hands, with other options."""
    some = rng.sample(engines, rng.randint(1, len(engines)))
    names = rng.sample(["alpha", "beta", "gamma"], len(some))
    options = [
        {},
        {"max_concurrency": 500},
        {"seats": 64},
        {"pool": "other"},
        {"api_key": "${KEY}"},
        {"first_byte": "30s"},
    ]
    return {
        "backends": [backend_entry(one, name, **rng.choice(options)) for one, name in zip(some, names, strict=True)],
        "classes": [{"name": rng.choice("abc"), "priority": rng.randint(0, 3)}],
        "routing": {"policy": rng.choice(["goodput", "round_robin"]), "scrape": rng.choice(["0s", "2s"])},
        "limits": {"body": {"size": rng.choice(["1MiB", "32MiB"])}, "connections": {"max": rng.choice([1000, 4096])}},
        "cache": {"size": rng.choice(["0B", "1MiB", "2MiB"])},
        "health": {"probe_interval": rng.choice(["1s", "5s"])},
        "reload": {"watch": False},
    }


async def reloads(proxy: ProxyProcess, engines: list[Any], count: int, seed: int, pause_s: float) -> None:
    rng = random.Random(seed)
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            broken = number % 2 == 1
            text = rng.choice(BROKEN) if broken else yaml.safe_dump(merged(TEST_DEFAULTS, configs(engines, rng)))
            proxy.config_path.write_text(text)
            async with session.post(f"{proxy.admin_url}/reload") as answer:
                told = await answer.json()
                assert answer.status == (422 if broken else 200), told
            await asyncio.sleep(pause_s)


async def restore(proxy: ProxyProcess, first: dict[str, Any]) -> None:
    """What the leak probe compares with."""
    proxy.config_path.write_text(yaml.safe_dump(merged(TEST_DEFAULTS, first)))
    async with aiohttp.ClientSession() as session, session.post(f"{proxy.admin_url}/reload") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("seed", [1, 2])
def test_forty_reloads_of_which_twenty_are_broken(start_proxy: Any, start_backend: Any, seed: int) -> None:
    engines = [start_backend() for _ in range(3)]
    first = {"backends": [backend_entry(engines[0], "alpha")], "reload": {"watch": False}}
    proxy = start_proxy(first, "--log-level", "warning", env={"KEY": "sk-x"})
    client: list[Client] = []

    async def play() -> None:
        client.append(Client(proxy))
        await client[0].run(reloads(proxy, engines, 40, seed, 0.05))

    asyncio.run(play())
    asyncio.run(restore(proxy, first))
    assert client[0].failed == []
    assert client[0].done >= 200, "otherwise this shows little"
    metrics = proxy.metrics()
    assert metrics.total("tidegate_config_reloads_total", result="ok") == 21
    assert metrics.total("tidegate_config_reloads_total", result="error") == 20


@pytest.mark.slow
def test_two_hundred_reloads_leave_nothing_behind(start_proxy: Any, start_backend: Any) -> None:
    """Connections, tasks and descriptors are watched by the leak probe of every test; here also backends and memory."""
    engines = [start_backend() for _ in range(3)]
    first = {"backends": [backend_entry(one, f"e{n}") for n, one in enumerate(engines)], "reload": {"watch": False}}
    proxy = start_proxy(first, "--log-level", "error", env={"KEY": "sk-x"})
    rss: list[int] = []

    async def play() -> None:
        for seed in range(5):
            await reloads(proxy, engines, 40, seed, 0.0)
            rss.append(proxy.rss_b())
        await restore(proxy, first)

    asyncio.run(play())
    eventually(lambda: proxy.metrics().text.count("tidegate_backend_in_flight{") == 3, "those that left are forgotten")
    assert rss[-1] - rss[1] < 12 << 20, rss
