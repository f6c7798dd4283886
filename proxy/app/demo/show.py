"""Plays the scenes: engines, a proxy before them, traffic through it, and what to look at meanwhile.

Everything is real but the engines. Owns what is printed, and when.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import uvloop

from proxy.app.demo.engines import MODEL, Engines
from proxy.app.demo.results import HEADER, KINDS, TPOT_S, TTFT_S, Result, live_line, result_of
from proxy.app.demo.scenes import SCENES, SLOWER, STORY, Scene
from proxy.app.listeners import StartError
from proxy.app.proxy import Proxy
from proxy.config.schema import Config
from proxy.report.tables import table, width_of
from proxy.sim.http.traffic import Kind, Seen, Traffic

SCENE_S = 30.0
"""How long a scene lasts unless told otherwise."""
LINE_EVERY_S = 2.0
FIRST_LINES = 5
LATER_LINE_EVERY_S = 60.0
"""Where lines stay, such as in a file, only the first ones of a scene come as often."""
RECENT_S = 15.0
"""The live numbers cover what was asked in so many seconds."""
OBJECTIVE = "90%"
"""Of chats that keep their promise within an hour: a budget to be seen burning."""
OURS, OTHER = "tidegate", "round_robin"
_ANY_PORT = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for."""

    listen: str
    admin: str
    scenes: Sequence[str] = ()
    """Empty: the whole story, then normal traffic until told to stop."""
    scene_s: float | None = None
    """Given: each scene lasts so long, and the last one ends the demo."""
    load: float = 1.0
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One scene that was played."""

    scene: Scene
    seconds: float
    results: dict[str, dict[Kind, Result]]
    """By proxy and class."""

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        who = {name: {kind: one.as_json() for kind, one in of.items()} for name, of in self.results.items()}
        return {"scene": self.scene.name, "says": self.scene.says, "seconds": round(self.seconds, 2), "results": who}


def run(wishes: Wishes) -> int:
    """Until the scenes are over, or Ctrl-C or SIGTERM; 1 when the proxy cannot start."""
    logging.basicConfig(level="ERROR", format="%(levelname)s %(name)s %(message)s")
    return uvloop.run(_demo(wishes))


async def _demo(wishes: Wishes) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with _stack(_config(wishes.listen, wishes.admin)) as stack:
            await Show(wishes, stack, stop).play()
    except StartError as error:
        print(f"tidegate demo: {error}{_through_make()}", file=sys.stderr)
        return 1
    return 0


@dataclass(slots=True)
class Stack:
    """Engines, a proxy before them and its clients."""

    engines: Engines
    proxy: Proxy
    traffic: Traffic
    clients: "asyncio.Task[None]"

    def since(self, asked: float) -> list[Seen]:
        """What was asked since then, and is over or waits."""
        waiting = self.traffic.waiting(time.monotonic())
        return [one for one in (*self.traffic.seen, *waiting) if one.asked >= asked]


@asynccontextmanager
async def _stack(settings: dict[str, Any]) -> AsyncIterator[Stack]:
    engines = Engines()
    try:
        await engines.start()
        proxy = Proxy(Config.model_validate(settings | {"backends": engines.backends()}))
        try:
            await proxy.start()
            traffic = Traffic(f"{proxy.listen_url}/v1", MODEL)
            clients = asyncio.ensure_future(traffic.run())
            try:
                yield Stack(engines, proxy, traffic, clients)
            finally:
                clients.cancel()
                await asyncio.gather(clients, return_exceptions=True)
        finally:
            await proxy.stop(drain=False)
    finally:
        await engines.stop()


def _config(listen: str, admin: str, **routing: str) -> dict[str, Any]:
    promised = {"ttft": f"{TTFT_S:g}s", "tpot": f"{TPOT_S:g}s"}
    return {
        "version": 1,
        "listen": listen,
        "admin": admin,
        "auth": "none",
        "classes": [{"name": "interactive", "slo": promised}],
        "slos": [{"name": "chats", "class": "interactive", "objective": OBJECTIVE, "window": "1h", **promised}],
        "log": {"level": "error", "access": False},
    } | ({"routing": routing} if routing else {})


class Show:
    """The scenes, one after another."""

    def __init__(self, wishes: Wishes, stack: Stack, stop: asyncio.Event) -> None:
        self._wishes = wishes
        self._stack = stack
        self._stop = stop
        self._told: list[Told] = []
        self._tokens = (time.monotonic(), 0)
        self._say_live = not wishes.as_json

    async def play(self) -> None:
        """All that was wished for; what was seen is told at the end, however it comes."""
        if self._say_live:
            print(_welcome(self._stack.proxy), flush=True)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            for scene, seconds in self._order():
                if not self._stop.is_set():
                    await self._scene(scene, seconds, stopping)
        finally:
            stopping.cancel()
            self._tell()

    def _order(self) -> Iterator[tuple[Scene, float]]:
        wishes = self._wishes
        scenes = [SCENES[name] for name in wishes.scenes] or list(STORY)
        endless = wishes.scene_s is None
        last = len(scenes) - 1
        for number, scene in enumerate(scenes):
            alone = endless and bool(wishes.scenes) and number == last
            yield scene, float("inf") if alone else wishes.scene_s or SCENE_S
        if endless and not wishes.scenes:
            yield SCENES["normal"], float("inf")

    async def _scene(self, scene: Scene, seconds: float, stopping: "asyncio.Task[bool]") -> None:
        if self._say_live:
            print(f"{_fresh_line()}\n{scene.name}: {scene.says}", flush=True)
        async with AsyncExitStack() as others:
            stacks = {OURS: self._stack}
            if scene.compared:
                settings = _config(_ANY_PORT, _ANY_PORT, policy=OTHER)
                stacks[OTHER] = await others.enter_async_context(_stack(settings))
            await self._acts(stacks, scene, seconds, stopping)

    async def _acts(
        self, stacks: dict[str, Stack], scene: Scene, seconds: float, stopping: "asyncio.Task[bool]"
    ) -> None:
        for stack in stacks.values():
            stack.traffic.load = scene.load * self._wishes.load
            await _befall(stack.engines, scene)
        began = time.monotonic()
        try:
            await self._watch(stacks, began, seconds, stopping)
        finally:
            took = time.monotonic() - began
            results = {
                name: {kind: result_of(stack.since(began), kind, began, took) for kind in KINDS}
                for name, stack in stacks.items()
            }
            self._told.append(Told(scene, took, results))
            for stack in stacks.values():
                await _mend(stack.engines, scene)

    async def _watch(
        self, stacks: dict[str, Stack], began: float, seconds: float, stopping: "asyncio.Task[bool]"
    ) -> None:
        """A live line from time to time, until the scene is over."""
        clients = [stack.clients for stack in stacks.values()]
        for pause_s in _pauses(terminal=sys.stdout.isatty()):
            left = began + seconds - time.monotonic()
            await asyncio.wait([*clients, stopping], timeout=min(pause_s, left), return_when=asyncio.FIRST_COMPLETED)
            for task in clients:
                if task.done():
                    task.result()
            over = self._stop.is_set() or time.monotonic() - began >= seconds
            if self._say_live:
                self._print_live(stacks, max(began, time.monotonic() - RECENT_S))
            if over:
                return

    def _print_live(self, stacks: dict[str, Stack], since: float) -> None:
        now, tokens = time.monotonic(), self._stack.traffic.tokens
        then, before = self._tokens
        self._tokens = (now, tokens)
        line = live_line(self._stack.since(since), (tokens - before) / max(now - then, 1e-9))
        for name, stack in stacks.items():
            if name != OURS:
                chats = result_of(stack.since(since), "chat", since, 1.0)
                line += f" | {name}: {chats.good} of {chats.asked} chats in SLO"
        _print_live(line)

    def _tell(self) -> None:
        """The table, or the document."""
        if not self._say_live:
            print(json.dumps({"promised": {"ttft_s": TTFT_S, "tpot_s": TPOT_S}, "scenes": self._as_json()}, indent=1))
            return
        rows = [
            of[kind].row(told.scene.name if name == OURS else f"  {name}", kind)
            for told in self._told
            for name, of in told.results.items()
            for kind in KINDS
        ]
        print(f"{_fresh_line()}\n{table(HEADER, rows, width=width_of(sys.stdout), left=2)}\nstopped", flush=True)

    def _as_json(self) -> list[dict[str, Any]]:
        return [told.as_json() for told in self._told]


async def _befall(engines: Engines, scene: Scene) -> None:
    if scene.mishap == "slow":
        await engines.slow(SLOWER)
    elif scene.mishap == "killed":
        await engines.kill()


async def _mend(engines: Engines, scene: Scene) -> None:
    if scene.mishap == "slow":
        await engines.slow(1.0)
    elif scene.mishap == "killed":
        await engines.revive()


def _pauses(*, terminal: bool) -> Iterator[float]:
    """Seconds before each live line."""
    if terminal:
        return repeat(LINE_EVERY_S)
    return chain(repeat(LINE_EVERY_S, FIRST_LINES), repeat(LATER_LINE_EVERY_S))


def _print_live(line: str) -> None:
    """Over the last line on a terminal, which must not wrap; a new line elsewhere."""
    if sys.stdout.isatty():
        print(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
    else:
        print(line, flush=True)


def _fresh_line() -> str:
    """What ends the live line of a terminal."""
    return "\n" if sys.stdout.isatty() else ""


def _welcome(proxy: Proxy) -> str:
    body = '{"model":"demo","stream":true,"messages":[{"role":"user","content":"Hello"}]}'
    curl = f"curl -N {proxy.listen_url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'"
    return "\n".join(
        (
            f"  live page  {proxy.admin_url}/",
            f"  base URL   {proxy.listen_url}/v1      model: {MODEL}, API key: any",
            f"  metrics    {proxy.admin_url}/metrics",
            f"  try        {curl}",
            f"  your own   {_program()} serve http://127.0.0.1:8001      with the URL of your engine",
            "",
            "Tidegate in front of four simulated engines: two for chats (low latency), two for bulk (high throughput).",
            f"Chats are promised a first token within {TTFT_S * 1e3:.0f} ms and then one within {TPOT_S * 1e3:.0f} ms;"
            " bulk jobs may wait. Ctrl-C ends everything.",
        )
    )


def _program() -> str:
    """How this program was called, so that it can be called again."""
    return sys.argv[0] if Path(sys.argv[0]).name == "tidegate" else "tidegate"


def _through_make() -> str:
    return ' Through make: make run ARGS="--listen 127.0.0.1:8090".' if "MAKELEVEL" in os.environ else ""
