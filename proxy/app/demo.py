"""`tidegate demo`: the whole product in one process, without a GPU or a network.

Puts together four simulated backends in two pools, the proxy in front of them and light traffic through it, and says
where to look. Everything is real but the engines.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import uvloop

from proxy.app.listeners import StartError
from proxy.app.proxy import Proxy
from proxy.config.schema import Config
from proxy.sim.engine.spec import HIGH_THROUGHPUT, LOW_LATENCY, EngineSpec
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings
from proxy.sim.http.traffic import Traffic

MODEL = "demo"
PROMISED_TTFT_S = 0.2
"""What chats are promised, as the preset `chatbot` does."""
LINE_EVERY_S = 2.0
FIRST_LINES = 5
LATER_LINE_EVERY_S = 60.0
"""Where lines stay, such as in a file, only the first ones come as often."""

_BACKENDS: tuple[tuple[str, str, EngineSpec], ...] = (
    ("chat-1", "low-latency", LOW_LATENCY),
    ("chat-2", "low-latency", LOW_LATENCY),
    ("bulk-1", "high-throughput", HIGH_THROUGHPUT),
    ("bulk-2", "high-throughput", HIGH_THROUGHPUT),
)


def run(listen: str, admin: str) -> int:
    """Run until Ctrl-C or SIGTERM; 1 when the proxy cannot start."""
    logging.basicConfig(level="WARNING", format="%(levelname)s %(name)s %(message)s")
    return uvloop.run(_demo(listen, admin))


async def _demo(listen: str, admin: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sims = [SimServer(SimSettings(name=name, models=(MODEL,), spec=spec)) for name, _, spec in _BACKENDS]
    try:
        for sim in sims:
            await sim.start()
        proxy = Proxy(_config(listen, admin, sims))
        try:
            await proxy.start()
            await _show(proxy, stop)
        finally:
            await proxy.stop(drain=False)
    except StartError as error:
        print(f"tidegate demo: {error}{_through_make()}", file=sys.stderr)
        return 1
    finally:
        for sim in sims:
            await sim.stop()
    return 0


def _config(listen: str, admin: str, sims: list[SimServer]) -> Config:
    backends = [
        {"url": sim.url, "name": name, "pool": pool, "kind": "vllm"}
        for sim, (name, pool, _) in zip(sims, _BACKENDS, strict=True)
    ]
    return Config.model_validate(
        {
            "version": 1,
            "listen": listen,
            "admin": admin,
            "backends": backends,
            "classes": [{"name": "interactive", "slo": {"preset": "chatbot", "ttft": f"{PROMISED_TTFT_S:g}s"}}],
            "log": {"level": "warning", "access": False},
        }
    )


async def _show(proxy: Proxy, stop: asyncio.Event) -> None:
    """Traffic and a live line until told to stop."""
    print(_welcome(proxy), flush=True)
    traffic = Traffic(f"{proxy.listen_url}/v1", MODEL, PROMISED_TTFT_S)
    clients = asyncio.ensure_future(traffic.run())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        for pause_s in _pauses(terminal=sys.stdout.isatty()):
            await asyncio.wait((clients, stopping), timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            if clients.done():
                clients.result()
            _print_live(traffic.meter.line(time.monotonic()))
            if stop.is_set():
                break
    finally:
        for task in (clients, stopping):
            task.cancel()
        await asyncio.gather(clients, stopping, return_exceptions=True)
    print("\nstopped", flush=True)


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


def _welcome(proxy: Proxy) -> str:
    body = '{"model":"demo","stream":true,"messages":[{"role":"user","content":"Hello"}]}'
    curl = f"curl -N {proxy.listen_url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'"
    return "\n".join(
        (
            "Tidegate in front of four simulated engines: two for chats (low latency), two for bulk (high throughput).",
            "",
            f"  base URL   {proxy.listen_url}/v1      model: {MODEL}, API key: any",
            f"  metrics    {proxy.admin_url}/metrics",
            f"  try        {curl}",
            f"  your own   {_program()} serve http://127.0.0.1:8001      with the URL of your engine",
            "",
            f"Short chats, promised a first token within {PROMISED_TTFT_S * 1e3:.0f} ms, and bulk jobs, which may wait,"
            " run through it now; Ctrl-C ends everything.",
        )
    )


def _program() -> str:
    """How this program was called, so that it can be called again."""
    return sys.argv[0] if Path(sys.argv[0]).name == "tidegate" else "tidegate"


def _through_make() -> str:
    return ' Through make: make run ARGS="--listen 127.0.0.1:8090".' if "MAKELEVEL" in os.environ else ""
