"""`tidegate demo`: the whole product in one process, without a GPU or a network.

Puts together four simulated backends in two pools, the proxy in front of them and light traffic through it, and says
where to look. Everything is real but the engines.
"""

import asyncio
import logging
import signal
import sys
import time

import uvloop

from proxy.app.serve import Proxy, StartError
from proxy.config.schema import Config
from proxy.sim.server import SimServer
from proxy.sim.settings import SimSettings
from proxy.sim.spec import HIGH_THROUGHPUT, LOW_LATENCY, EngineSpec
from proxy.sim.traffic import Traffic

MODEL = "demo"
LINE_EVERY_S = 2.0

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
        print(f"tidegate demo: {error}", file=sys.stderr)
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
            "log": {"level": "warning", "access": False},
        }
    )


async def _show(proxy: Proxy, stop: asyncio.Event) -> None:
    """Traffic and a live line until told to stop."""
    print(_welcome(proxy), flush=True)
    traffic = Traffic(f"{proxy.listen_url}/v1", MODEL)
    clients = asyncio.ensure_future(traffic.run())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            await asyncio.wait((clients, stopping), timeout=LINE_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if clients.done():
                clients.result()
            _print_live(traffic.meter.line(time.monotonic()))
    finally:
        for task in (clients, stopping):
            task.cancel()
        await asyncio.gather(clients, stopping, return_exceptions=True)
    print("\nstopped", flush=True)


def _print_live(line: str) -> None:
    """Over the last line on a terminal, a new line elsewhere."""
    if sys.stdout.isatty():
        print(f"\r\x1b[2K{line}", end="", flush=True)
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
            "",
            "Short chats and bulk jobs run through it now; Ctrl-C ends everything.",
        )
    )
