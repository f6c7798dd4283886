"""A proxy of a YAML file in this process, before simulated engines on sockets, and a client of both of its ports."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from proxy.app.candidate import candidate
from proxy.app.proxy import Proxy
from proxy.config.loader import load
from proxy.sim.engine.spec import PRESETS, EngineSpec
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello " * 300}], "max_tokens": 4, "stream": True}


@dataclass(frozen=True)
class SimEngine:
    """One backend of the file, and the engine behind it."""

    name: str
    pool: str = "default"
    models: tuple[str, ...] = ("m",)
    spec: EngineSpec = PRESETS["fast"]
    options: str = ""
    """More of its entry, in YAML's flow style: `seats: 4, labels: [x]`."""

    def entry(self, url: str) -> str:
        """Its entry in the file, of one line."""
        more = f", {self.options}" if self.options else ""
        models = ", ".join(self.models)
        return f"  - {{url: '{url}', name: {self.name}, pool: {self.pool}, models: [{models}], kind: vllm{more}}}\n"


class Answer(NamedTuple):
    """What a client got."""

    status: int
    route: dict[str, str]
    """`x-tidegate-route` in parts."""
    body: bytes
    headers: dict[str, str]
    """By names in lower case."""


class Live:
    """One proxy before its engines."""

    def __init__(self, proxy: Proxy, file: Path, sims: dict[str, SimServer], session: aiohttp.ClientSession) -> None:
        self.proxy, self.file, self.sims, self._session = proxy, file, sims, session

    def put_in_place(self) -> None:
        """The file as it stands now, as a reload would."""
        loaded = load(self.file, {})
        assert loaded.config is not None, loaded.diagnostics
        self.proxy.configured.prepare(candidate(loaded.config, loaded.rule_lines))()

    async def ask(self, body: dict[str, Any] | None = None, **headers: str) -> Answer:
        """One chat request; `_` stands for `-` in names of headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.proxy.listen_url}/v1/chat/completions"
        async with self._session.post(url, json={**CHAT, **(body or {})}, headers=named) as answer:
            told = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, _route(told.get("x-tidegate-route", "")), await answer.read(), told)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Any request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.proxy.listen_url}{path}"
        async with self._session.request(method, url, json=body, headers=named) as answer:
            told = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, _route(told.get("x-tidegate-route", "")), await answer.read(), told)

    def asked_of(self, engine: str) -> dict[str, Any]:
        """The body of the last request that an engine was sent for a client."""
        fields: dict[str, Any] = json.loads(base64.b64decode(str(self.sent_to(engine)["body"])))
        return fields

    def sent_to(self, engine: str) -> dict[str, Any]:
        """That request; between them engines are asked for facts and loads."""
        posts = [one for one in self.sims[engine].recorder.as_json() if one["method"] == "POST"]
        return posts[-1]

    async def explain(self, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        """What `/explain` says of a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.post(f"{self.proxy.admin_url}/explain", json=body, headers=named) as answer:
            return answer.status, await answer.json()

    async def metrics_of(self, engine: str) -> str:
        """What an engine says of itself, as text."""
        async with self._session.get(f"{self.sims[engine].url}/metrics") as answer:
            return await answer.text()

    async def metrics(self) -> str:
        """The text of `/metrics`."""
        async with self._session.get(f"{self.proxy.admin_url}/metrics") as answer:
            return await answer.text()


def _route(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.split("; ")) if line else {}


@asynccontextmanager
async def running(tmp_path: Path, more: str, engines: Sequence[SimEngine]) -> AsyncIterator[Live]:
    """A proxy whose file ends in `more`, in front of `engines`; all of it is gone in the end."""
    async with AsyncExitStack() as stack:
        sims = {e.name: SimServer(SimSettings(name=e.name, models=e.models, spec=e.spec)) for e in engines}
        for sim in sims.values():
            await sim.start()
            stack.push_async_callback(sim.stop)
        backends = "".join(engine.entry(sims[engine.name].url) for engine in engines)
        yield await stack.enter_async_context(before(tmp_path, backends, more, sims))


@asynccontextmanager
async def before(
    tmp_path: Path, backends: str, more: str = "", sims: dict[str, SimServer] | None = None
) -> AsyncIterator[Live]:
    """A proxy before the engines of these entries, lines of YAML."""
    async with AsyncExitStack() as stack:
        listeners = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {access: false}\n"
        file = tmp_path / "routing.yaml"
        file.write_text(f"version: 1\n{listeners}backends:\n{backends}{more}")
        yield await stack.enter_async_context(serving(file, sims=sims))


@asynccontextmanager
async def serving(
    file: Path, environment: dict[str, str] | None = None, sims: dict[str, SimServer] | None = None
) -> AsyncIterator[Live]:
    """A proxy of this file."""
    async with AsyncExitStack() as stack:
        loaded = load(file, environment or {})
        assert loaded.config is not None, loaded.diagnostics
        proxy = Proxy(loaded.config, loaded.rule_lines)
        await proxy.start()
        stack.push_async_callback(proxy.stop, drain=False)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Live(proxy, file, sims or {}, session)
