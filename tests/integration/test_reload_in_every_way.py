"""The same by every way to reload: keys rotated, classes renamed while jobs wait in them, backends removed."""

import asyncio
import os
import random
import signal
from hashlib import sha256
from typing import Any

import aiohttp
import pytest
import yaml

from tests.integration.test_reload_under_load import BROKEN, Client, restore
from tests.support.bed import backend_entry
from tests.support.proxy_process import TEST_DEFAULTS, ProxyProcess, merged

RELOADS, BROKEN_ONES = 40, 20
SOON_S = 20.0


def key(number: int) -> str:
    return f"tg-key-{number}"


def config(engines: list[Any], rng: random.Random, number: int, *, watch: bool) -> dict[str, Any]:
    """Two keys, of which the older goes with the next one; a class of another name; some of the backends, full."""
    some = rng.sample(engines, rng.randint(1, len(engines)))
    names = rng.sample(["alpha", "beta", "gamma"], len(some))
    digests = [sha256(key(n).encode()).hexdigest() for n in (number, number + 1)]
    return {
        "auth": "keys",
        "tenants": [{"tenant": "team", "keys": digests, "requests_per_minute": 1_000_000, "max_concurrent": 4000}],
        "backends": [
            backend_entry(one, name, max_concurrency=rng.randint(11, 14))  # ten are for the streams
            for one, name in zip(some, names, strict=True)
        ],
        "classes": [{"name": f"class-{number}", "priority": rng.randint(0, 3)}],
        "routing": {"rules": [{"when": {"tenant": ["team"]}, "class": f"class-{number}"}], "policy": "round_robin"},
        "hold": {"min_jobs": 1000},
        "reload": {"watch": watch, "settle": "50ms"},
    }


def written(proxy: ProxyProcess, text: str) -> None:
    """At once, as editors and ConfigMaps do."""
    beside = proxy.config_path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, proxy.config_path)


async def reloaded(proxy: ProxyProcess, session: aiohttp.ClientSession, how: str, done: int, *, broken: bool) -> None:
    """Until the proxy has read the file once more than `done` times."""
    if how == "port":
        async with session.post(f"{proxy.admin_url}/reload") as answer:
            assert answer.status == (422 if broken else 200), await answer.text()
            return
    if how == "signal":
        proxy.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(SOON_S):
        while (await asyncio.to_thread(proxy.metrics)).total("tidegate_config_reloads_total") <= done:
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["port", "signal", "watch"])
def test_no_request_fails(start_proxy: Any, start_backend: Any, how: str) -> None:
    engines = [start_backend() for _ in range(3)]
    first = {"backends": [backend_entry(engines[0], "alpha")], "reload": {"watch": how == "watch", "settle": "50ms"}}
    proxy = start_proxy(first, "--log-level", "warning")
    client, rng, held = Client(proxy), random.Random(17), 0

    async def reloads() -> None:
        nonlocal held
        async with aiohttp.ClientSession() as session:
            for number in range(RELOADS):
                broken = number % 2 == 1
                good = config(engines, rng, number // 2, watch=how == "watch")
                written(proxy, rng.choice(BROKEN) if broken else yaml.safe_dump(merged(TEST_DEFAULTS, good)))
                await reloaded(proxy, session, how, number, broken=broken)
                if not broken:
                    client.headers["authorization"] = f"Bearer {key(number // 2 + 1)}"
                held += int((await asyncio.to_thread(proxy.metrics)).total("tidegate_held_jobs"))
                await asyncio.sleep(0.05)

    async def play() -> None:
        client.headers = {"x-fake": "slow 0.1", "authorization": f"Bearer {key(1)}"}
        await client.run(reloads())

    asyncio.run(play())
    before = proxy.metrics()
    assert client.failed == []
    assert client.done >= 200, "otherwise this shows little"
    assert held > 0, "some waited while their class was renamed"
    assert before.total("tidegate_config_reloads_total", result="ok") == RELOADS - BROKEN_ONES
    assert before.total("tidegate_config_reloads_total", result="error") == BROKEN_ONES
    assert not any(key(n) in "".join(proxy.stderr) + str(proxy.log) for n in range(RELOADS))
    asyncio.run(restore(proxy, first))
