"""Measures what kept answers cost: `python -m tests.benchmarks.cache`. What each figure means: README.md."""

import argparse
import asyncio
import csv
import os
import platform
import random
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from proxy import build
from proxy.core.cache.store import Store
from proxy.core.cache.versions import Versions
from proxy.live.cache.remote import RemoteCache
from proxy.model.units import parse_size_b
from proxy.wire.kept import Kept, packed
from proxy.wire.usage import NO_USAGE
from tests.benchmarks.cache.loopback import Engine, Load, cpu_s, proxy_before
from tests.support.redis_server import PROGRAM, redis_server

RESULTS = Path(__file__).with_name("results.csv")
_ROUNDS = 15
_REQUESTS = 200
_TRACE = 200_000
Figure = tuple[str, float]


def main() -> None:
    """Everything, one after the other; printed, and appended to the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cache", description=main.__doc__)
    parser.add_argument("--budget", type=parse_size_b, default=256 << 20)
    parser.add_argument("--entries", type=int, default=1_000_000)
    asked = parser.parse_args()
    machine = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {build()}"
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        for name, value in _figures(asked.budget, asked.entries):
            print(f"{name:24} {value:12.4f}", flush=True)
            out.writerow([time.strftime("%Y-%m-%d"), name, f"{value:.4f}", machine, f"{os.getloadavg()[0]:.1f}"])


def _figures(budget_b: int, entries: int) -> Iterator[Figure]:
    yield from _of_requests()
    yield from _of_policies()
    yield from _of_remote()
    yield from _of_budget(budget_b)
    yield from _of_bump(entries)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


# --- over sockets


def _of_requests() -> Iterator[Figure]:
    engine = Engine()
    engine.start()
    with proxy_before(engine.url, {"size": "64MiB"}) as cached, proxy_before(engine.url, None) as plain:
        with Load(cached.address) as load, Load(plain.address) as without:
            for kind in ("hit", "stream"):
                load.ask(kind)
            kinds = (("hit", load), ("error", load), ("stream", load), ("miss", load), ("off", without))
            costs: dict[str, list[float]] = {kind: [] for kind, _ in kinds}
            for _ in range(_ROUNDS):
                for kind, by in kinds:
                    costs[kind].append(_cpu_ms(kind, by, (plain if by is without else cached).process.pid))
            hit, error, stream, miss, off = (min(costs[kind]) for kind, _ in kinds)
            yield "hit_cpu_ms", hit
            yield "error_cpu_ms", error
            yield "hit_over_error", hit / error
            yield "hits_per_cpu_second", 1e3 / hit
            yield "hit_p50_ms", statistics.median(load.latencies("hit", 1000)) * 1e3
            yield "stream_hit_cpu_ms", stream
            yield "miss_cpu_ms", miss
            yield "off_cpu_ms", off
        before = engine.asked
        _crowd(cached.address, 500)
        yield "identical_calls_asked", float(engine.asked - before)


def _cpu_ms(kind: str, load: Load, pid: int) -> float:
    began = cpu_s(pid)
    for _ in range(_REQUESTS):
        load.ask(kind)
    return (cpu_s(pid) - began) / _REQUESTS * 1e3


def _crowd(address: tuple[str, int], count: int) -> None:
    """All of them are sent before the engine answers, which takes it a moment."""
    loads = [Load(address) for _ in range(count)]
    for load in loads:
        load.send("slow")
    threads = [threading.Thread(target=load.read) for load in loads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for load in loads:
        load.close()


# --- in this process


def _of_policies() -> Iterator[Figure]:
    """The same skewed trace, the same budget: ours, and LRU as cachetools has it, which looks at no size."""
    rng = random.Random(14)
    keys = [int(20_000 ** rng.random()) for _ in range(_TRACE)]  # Zipf's law
    sizes = [int(rng.lognormvariate(7.5, 1.2)) + 200 for _ in range(20_000)]
    budget_b = sum(sizes) // 10
    names = [number.to_bytes(32, "big") for number in range(20_000)]
    store, hits, hit_b = Store(budget_b, 1 << 20), 0, 0
    began = time.process_time()
    for key in keys:
        if store.get(b"", names[key], 0.0) is not None:
            hits, hit_b = hits + 1, hit_b + sizes[key]
        else:
            store.put(b"", names[key], None, sizes[key] - 300, 0.0, 1e9)
    yield "lru_own_us", (time.process_time() - began) / _TRACE * 1e6
    total_b = sum(sizes[key] for key in keys)
    yield "lru_own_hits", hits / _TRACE
    yield "lru_own_bytes", hit_b / total_b
    try:
        from cachetools import LRUCache
    except ImportError:
        return
    theirs: LRUCache[bytes, int] = LRUCache(budget_b, getsizeof=int)
    hits, hit_b = 0, 0
    began = time.process_time()
    for key in keys:
        if theirs.get(names[key]) is not None:
            hits, hit_b = hits + 1, hit_b + sizes[key]
        else:
            theirs[names[key]] = sizes[key]
    yield "lru_cachetools_us", (time.process_time() - began) / _TRACE * 1e6
    yield "lru_cachetools_hits", hits / _TRACE
    yield "lru_cachetools_bytes", hit_b / total_b


def _of_budget(budget_b: int) -> Iterator[Figure]:
    """Filled twice over, so that what was evicted counts too."""
    rng, store = random.Random(14), Store(budget_b, 1 << 20)
    before_b, put_b, number = _rss_b(), 0, 0
    while put_b < 2 * budget_b:
        number += 1
        size_b = int(min(60_000, max(300.0, rng.lognormvariate(8, 1))))
        kept = Kept(bytes(size_b), False, False, float(number), NO_USAGE, b"", f"chatcmpl-{number}")
        store.put(b"", rng.randbytes(32), kept, kept.size_b, float(number), 1e9)
        put_b += kept.size_b
    yield "budget_rss_ratio", (_rss_b() - before_b) / store.used_b


def _of_bump(entries: int) -> Iterator[Figure]:
    store, versions = Store(1 << 40, 1 << 20), Versions()
    for number in range(entries):
        store.put(b"", number.to_bytes(32, "big"), None, 1, 0.0, 1e9)
    began = time.perf_counter()
    versions.bump()
    versions.stamp("m")
    yield "bump_ms", (time.perf_counter() - began) * 1e3


def _of_remote() -> Iterator[Figure]:
    if PROGRAM is None:
        return
    with redis_server() as server:
        yield "remote_p50_ms", asyncio.run(_remote(server.url)) * 1e3


async def _remote(url: str) -> float:
    remote, key = RemoteCache(url, None, Versions(), 1 << 20, time.monotonic), bytes(32)
    kept = Kept(bytes(2000), False, False, time.time(), NO_USAGE, b"")
    await remote._put(key, packed(kept, key), 60_000, b"")
    took: list[float] = []
    for _ in range(2000):
        began = time.perf_counter()
        if await remote.get(key) is not None:
            took.append(time.perf_counter() - began)
    await remote.close()
    return statistics.median(took)


def _rss_b() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
