"""Addresses come to a name and leave it while requests come: each is a backend, and nobody fails."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.app.config_file import ConfigFile
from proxy.app.config_life import ConfigLife
from proxy.app.membership import Membership
from proxy.app.proxy import Proxy
from proxy.obs.config_metrics import ConfigState
from proxy.sim.engine.spec import PRESETS
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings
from tests.support.live_proxy import CHAT
from tests.support.patience import eventually

HOST = "engines.llm.test"
LISTENERS = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {access: false}\nreload: {watch: false}\n"
SOON_S = 20.0
ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


class Names:
    """Stands for the machine's name servers."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: tuple[str, ...] | None = addresses
        """None: nobody answers."""
        self.lookups = 0

    async def __call__(self, host: str, family: str) -> tuple[str, ...]:
        assert (host, family) == (HOST, "all")
        self.lookups += 1
        if self.addresses is None:
            raise OSError("no answer")
        return self.addresses


class Bed:
    """A proxy that follows a name, and its engines, all at one port."""

    def __init__(self, file: Path, names: Names, sims: dict[str, SimServer]) -> None:
        self.file, self.names, self.sims = file, names, sims
        self.proxy: Proxy
        self.life: ConfigLife
        self.session: aiohttp.ClientSession

    def backends(self) -> list[str]:
        """That requests may be sent to, in order."""
        return [backend.name for backend in self.proxy._scheduler._fleet.roster.backends]

    async def are(self, *addresses: str) -> None:
        wanted = {f"vllm@{address}" for address in addresses}
        await asyncio.to_thread(
            eventually, lambda: set(self.backends()) == wanted, f"the backends are {wanted}", SOON_S
        )

    async def lookups(self, count: int) -> None:
        """So many more have ended."""
        until = self.names.lookups + count + 1
        await asyncio.to_thread(eventually, lambda: self.names.lookups >= until, "it was looked up again", SOON_S)

    async def ask(self, **body: Any) -> tuple[int, bytes, str]:
        async with self.session.post(f"{self.proxy.listen_url}/v1/chat/completions", json={**CHAT, **body}) as answer:
            route = answer.headers.get("x-tidegate-route", "")
            return answer.status, await answer.read(), route

    async def status(self) -> dict[str, Any]:
        async with self.session.get(f"{self.proxy.admin_url}/status") as answer:
            return dict(await answer.json())


@asynccontextmanager
async def following(folder: Path, names: Names, engines: Iterable[str], more: str = "") -> AsyncIterator[Bed]:
    async with AsyncExitStack() as stack:
        sims: dict[str, SimServer] = {}
        port = 0
        for address in engines:
            settings = SimSettings(name=address, host=address, port=port, models=("m",), spec=PRESETS["fast"])
            sims[address] = SimServer(settings)
            await sims[address].start()
            stack.push_async_callback(sims[address].stop)
            port = int(sims[address].url.rpartition(":")[2])
        file = folder / "routing.yaml"
        entry = (
            f"  - {{url: 'http://{HOST}:{port}', name: vllm, models: [m], kind: vllm, resolve: all, resolve_every: 1s}}"
        )
        file.write_text(f"version: 1\n{LISTENERS}backends:\n{entry}\n{more}")
        bed = Bed(file, names, sims)
        source = ConfigFile(file, {}, {})
        loaded = source.read()
        assert loaded.config is not None, loaded.diagnostics
        members, state = Membership(names), ConfigState(str(file), loaded.digest, 0.0)
        await members.learn(loaded.config)
        bed.proxy = Proxy(members.in_config(loaded.config), loaded.rule_lines, None, state)
        bed.life = ConfigLife(bed.proxy, source, loaded, state, members)
        bed.life.begin()
        await bed.proxy.start()
        bed.life.started()
        bed.session = await stack.enter_async_context(aiohttp.ClientSession())
        stack.push_async_callback(bed.proxy.stop, drain=False)
        stack.push_async_callback(bed.life.close)
        yield bed


async def test_engines_come_and_go_under_load_and_no_request_fails(tmp_path: Path) -> None:
    names = Names(ONE, TWO)
    in_turns = "routing: {policy: round_robin}\n"  # else one that has the prompt may get all of it
    async with following(tmp_path, names, (ONE, TWO, THREE), in_turns) as bed:
        assert bed.backends() == ["vllm@127.0.0.1", "vllm@127.0.0.2"]
        failed: list[Any] = []
        served: set[str] = set()
        stops = asyncio.Event()

        async def client(max_tokens: int) -> None:
            while not stops.is_set():
                status, body, route = await bed.ask(max_tokens=max_tokens)
                if status != 200 or not body.endswith(b"data: [DONE]\n\n"):
                    failed.append((status, body[-200:]))
                served.add(route.partition("backend=")[2].partition(";")[0])

        clients = [asyncio.ensure_future(client(4 if number % 2 else 100)) for number in range(10)]
        for addresses in ((ONE, TWO, THREE), (TWO, THREE), (THREE,), (ONE, THREE), (ONE, TWO, THREE)):
            names.addresses = addresses
            await bed.are(*addresses)
            served.clear()
            wanted = {f"vllm@{address}" for address in addresses}
            await asyncio.to_thread(eventually, lambda: served >= wanted, "each serves", SOON_S)  # noqa: B023
        stops.set()
        await asyncio.gather(*clients)
        assert failed == []


async def test_who_is_gone_from_one_lookup_stays_and_after_two_is_forgotten(tmp_path: Path) -> None:
    names = Names(ONE, TWO)
    async with following(tmp_path, names, (ONE, TWO)) as bed:
        names.addresses = (ONE,)
        await bed.are(ONE)
        assert names.lookups >= 3
        await asyncio.to_thread(
            eventually, lambda: list(bed.proxy._backends) == ["vllm@127.0.0.1"], "it is forgotten", SOON_S
        )


@pytest.mark.parametrize("trouble", [(), None])
async def test_a_name_without_addresses_changes_nothing_and_is_told_once(
    tmp_path: Path, trouble: tuple[str, ...] | None, caplog: pytest.LogCaptureFixture
) -> None:
    names = Names(ONE, TWO)
    async with following(tmp_path, names, (ONE, TWO)) as bed:
        assert (await bed.status())["config"]["names"][0]["trouble"] is None
        names.addresses = trouble
        await bed.lookups(3)
        assert bed.backends() == ["vllm@127.0.0.1", "vllm@127.0.0.2"]
        assert (await bed.ask())[0] == 200
        told = (await bed.status())["config"]["names"]
        assert told[0]["addresses"] == [ONE, TWO]
        assert told[0]["trouble"]
        assert len([line for line in caplog.messages if "does not resolve" in line]) == 1
        names.addresses = (TWO,)
        await bed.are(TWO)
        assert len([line for line in caplog.messages if "does not resolve" in line]) == 1


async def test_a_name_that_nobody_knows_yet_is_one_backend_until_it_resolves(tmp_path: Path) -> None:
    names = Names()
    async with following(tmp_path, names, (ONE, TWO)) as bed:
        assert bed.backends() == ["vllm"]
        names.addresses = (ONE, TWO)
        await bed.are(ONE, TWO)
        assert (await bed.ask())[0] == 200


async def test_a_reload_keeps_the_members_and_a_rollback_finds_those_of_now(tmp_path: Path) -> None:
    names = Names(ONE)
    async with following(tmp_path, names, (ONE, TWO)) as bed:
        known = bed.proxy._backends["vllm@127.0.0.1"]
        bed.file.write_text(bed.file.read_text().replace("kind: vllm", "kind: vllm, max_concurrency: 7"))
        told = await bed.life.reloader.ask("test")
        assert told.ok, told.errors
        assert [change.said() for change in told.changes] == ["backends[vllm].max_concurrency: null → 7"]
        assert bed.backends() == ["vllm@127.0.0.1"]
        assert bed.proxy._backends["vllm@127.0.0.1"] is known
        names.addresses = (ONE, TWO)
        await bed.are(ONE, TWO)
        before = bed.life.reloader.before
        assert before is not None
        await bed.life.reloader.go_back(before, "a test")
        assert set(bed.backends()) == {"vllm@127.0.0.1", "vllm@127.0.0.2"}
        assert all(one.max_concurrency is None for one in bed.proxy._config.backends)
