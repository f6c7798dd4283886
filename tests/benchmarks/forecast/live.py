"""Traffic through the real proxy before simulated engines, a process each, over HTTP; what stays is its access log.

Each run has a proxy of its own, which has learned nothing, as the simulator's has not, and engines with empty caches.
"""

import asyncio
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from proxy.sim.world.slo import parse_slo, promised
from proxy.workload.arrival import Arrival
from proxy.workload.generator import generate
from tests.benchmarks.simulate.over_http import WORKLOAD, Clients, engines, proxy_config, until_ready
from tests.support.proxy_process import ProxyProcess

ENGINES = "2xlow_latency"
SLO = "interactive:ttft=200ms,tpot=40ms;bulk:e2e=60s"


BEAT_S = 0.02


def arrivals_at(rate: float, duration_s: float, seed: int) -> list[Arrival]:
    """Chats of several turns on shared system prompts, and bulk, with what is promised to them."""
    workload = WORKLOAD.model_copy(update={"rate": rate, "duration": duration_s})
    return promised(generate(workload, seed), parse_slo(SLO))


def config_of(urls: Sequence[str], policy: str, log: Path) -> dict[str, object]:
    """The proxy's file."""
    return proxy_config(policy, urls, ENGINES) | {"log": {"format": "json", "file": str(log), "prefixes": True}}


def play(arrivals: Sequence[Arrival], policy: str, log: Path) -> float:
    """Writes `log`. By how many seconds the loop of the clients was late, P99: what this machine had no time for."""
    written = log.with_suffix(".part")
    written.unlink(missing_ok=True)
    with engines(1.0, ENGINES) as urls:
        proxy = ProxyProcess(config_of(urls, policy, written)).listening()
        try:
            until_ready(proxy)
            late_s = asyncio.run(_watched(Clients(proxy.url, 1.0), arrivals))
        finally:
            proxy.stop()
    shutil.move(written, log)
    return late_s


async def _watched(clients: Clients, arrivals: Sequence[Arrival]) -> float:
    late: list[float] = []

    async def beat() -> None:
        while True:
            due = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            late.append(time.monotonic() - due)

    beating = asyncio.create_task(beat())
    try:
        await clients.play(arrivals)
    finally:
        beating.cancel()
    return sorted(late)[int(0.99 * len(late))]
