"""Files with backends come, change and go beside the configuration of a running proxy, which looks by itself."""

import asyncio
from typing import Any

import aiohttp
import pytest
import yaml

from tests.integration.test_reload_under_load import Client
from tests.support.bed import backend_entry
from tests.support.proxy_process import ProxyProcess

SOON_S = 20.0


def written(proxy: ProxyProcess, stem: str, *entries: dict[str, Any]) -> None:
    file = proxy.config_path.parent / "backends.d" / f"{stem}.yaml"
    beside = file.with_suffix(".new")
    beside.write_text(yaml.safe_dump({"backends": list(entries)}))
    beside.replace(file)


async def told(proxy: ProxyProcess) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin_url}/status") as answer:
        return dict(await answer.json())


async def until(proxy: ProxyProcess, *names: str) -> None:
    """These are the backends."""
    found: list[str] = []
    for _ in range(int(SOON_S / 0.1)):
        found = sorted((await told(proxy))["backends"])
        if found == sorted(names):
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{found} instead of {names}")


def test_a_trial_of_a_fragment_is_rolled_back(start_proxy: Any, start_backend: Any) -> None:
    one, two = start_backend(), start_backend()
    proxy: ProxyProcess = start_proxy({"backends": [backend_entry(one, "own")], "reload": {"watch": False}})
    (proxy.config_path.parent / "backends.d").mkdir()
    proxy.config_path.write_text(proxy.config_path.read_text() + "include: backends.d/*.yaml\n")
    written(proxy, "a", backend_entry(two, "a"))

    async def play() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{proxy.admin_url}/reload?confirm=60s") as answer:
                assert answer.status == 200, await answer.text()
            await until(proxy, "own", "a")
            async with session.post(f"{proxy.admin_url}/reload/rollback") as answer:
                assert answer.status == 200, await answer.text()
            await until(proxy, "own")

    asyncio.run(play())


def test_fragments_come_and_go_under_load_and_a_broken_one_changes_nothing(
    start_proxy: Any, start_backend: Any
) -> None:
    one, two, three = [start_backend() for _ in range(3)]
    first = {
        "backends": [backend_entry(one, "own")],
        "reload": {"settle": "50ms"},
    }
    proxy: ProxyProcess = start_proxy(first, "--log-level", "warning")
    folder = proxy.config_path.parent / "backends.d"

    async def play() -> None:
        folder.mkdir()
        written(proxy, "a", backend_entry(two, "a"))
        proxy.config_path.write_text(proxy.config_path.read_text() + "include: backends.d/*.yaml\n")
        await until(proxy, "own", "a")
        written(proxy, "b", backend_entry(three, "b"))
        await until(proxy, "own", "a", "b")
        (folder / "a.yaml").unlink()
        await until(proxy, "own", "b")
        (folder / "a.yaml").write_text("backends:\n  - url: http://x\n    seets: 1\n")
        for _ in range(int(SOON_S / 0.1)):
            last = (await told(proxy))["config"]["last_attempt"]
            if not last["successful"]:
                break
            await asyncio.sleep(0.1)
        assert "a.yaml:3:5: backends[0].seets: unknown key" in last["errors"][0]
        await until(proxy, "own", "b")
        written(proxy, "a", backend_entry(two, "a"))
        await until(proxy, "own", "a", "b")

    client: list[Client] = []

    async def both() -> None:
        client.append(Client(proxy))
        await client[0].run(play())

    asyncio.run(both())
    assert client[0].failed == []
    assert client[0].done
    (folder / "a.yaml").unlink()
    (folder / "b.yaml").unlink()
    proxy.config_path.write_text(proxy.config_path.read_text().replace("include: backends.d/*.yaml\n", ""))
    asyncio.run(until(proxy, "own"))
