"""What the load generator can hold, and whether its times are right: `python -m tests.benchmarks.generator`.

*Capacity*: more and more paced streams of 50 events/s, from a source in a process of its own, until the generator says
that it was the bottleneck. *Agreement*: the same request by the generator's player, by aiohttp and by OpenAI's own
client in turns, through the proxy before a modelled engine, each beside what the proxy's own log says of it. Writes
`results.json` beside this file.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import uvloop

from proxy.bench.asks import Dressing, body_of
from proxy.bench.child import Child
from proxy.bench.lag import LagWatch
from proxy.bench.machine import commit, machine, versions
from proxy.bench.pairs import difference
from proxy.bench.player import Player
from proxy.bench.run_file import Arrivals
from proxy.bench.spec import Finished, LoadSpec, Sample, TargetSpec
from proxy.bench.workloads.named import source_of
from tests.benchmarks.generator.official import Official
from tests.support.proxy_process import ProxyProcess, ready, running_proxy

RESULTS = Path(__file__).with_name("results.json")
STREAMS = (50, 100, 200, 400, 800)
EVENTS = 250
"""Of a stream: 5 s."""


@contextmanager
def process(*words: str) -> Iterator[str]:
    """A Python module at work, and the first line that it prints."""
    with subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            yield started.stdout.readline().strip()
        finally:
            started.terminate()


async def capacity(url: str, streams: int, folder: Path) -> dict[str, Any]:
    """So many streams at once, each twice."""
    prompts = folder / "prompts.jsonl"
    prompts.write_text(json.dumps({"prompt": "go", "max_tokens": EVENTS}) + "\n")
    spec = LoadSpec(
        cell="capacity",
        workload=[str(prompts)],
        seed=1,
        arrivals=Arrivals(process="closed", concurrency=streams),
        targets={"url": TargetSpec(url=url, model="paced")},
        requests=2 * streams,
    )
    served, gaps, finished = 0, [], None
    async for told in Child(spec).told():
        if isinstance(told, Sample):
            served += told.row.success
            gaps.append(told.detail.gaps.p99_ms if told.detail.gaps else 0.0)
        elif isinstance(told, Finished):
            finished = told
    assert finished is not None
    client = finished.client.model_dump()
    return {"streams": streams, "served": served, "of": 2 * streams, "gap_p99_ms": round(median(gaps), 2), **client}


async def agreement(proxy: ProxyProcess, count: int) -> dict[str, Any]:
    """The player and two other clients in turns, at one request a time."""
    source, taken = source_of(["short-chat"]), []
    target = TargetSpec(url=proxy.url, model="sim")
    spec = LoadSpec(cell="a", workload=["short-chat"], seed=1, arrivals=Arrivals(process="closed", concurrency=1),
                    targets={"url": target}, requests=count, asks_stages=False)  # fmt: skip

    async def emit(sample: Sample) -> None:
        taken.append(sample)

    player = Player(spec, "short-chat", LagWatch(), emit, None)
    official, lean, client = [], [], Official(proxy.url)
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            ask = source.session(1, number).asks[0]
            body = body_of(ask, None, Dressing("sim", includes_usage=True, salt=str(number)))
            for turn in range(3):
                who = (number + turn) % 3
                if who == 0:
                    await player.play(number, ask, "url", time.monotonic())
                elif who == 1:
                    official.append(await client.ask(body))
                else:
                    lean.append(await asked_by_aiohttp(session, proxy.url, body))
    player.close()
    await client.close()
    return {
        "requests": count,
        "against_aiohttp": against(taken, lean),
        "against_openai": against(taken, official),
        "against_openai_on_the_wire": against(taken, [(one.wire_ttft_ms, one.wire_e2e_ms) for one in official]),
        "openai_spends_ms": {
            "before": round(median(one.before_ms for one in official), 3),
            "after": round(median(one.after_ms for one in official), 3),
        },
        "against_the_proxy": beside(proxy, taken),
    }


async def asked_by_aiohttp(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[float, float]:
    """The same by a client that does little with what comes."""
    start, first = time.monotonic(), None
    headers = {"content-type": "application/json"}
    async with session.post(f"{url}/v1/chat/completions", data=body, headers=headers) as answer:
        async for line in answer.content:
            if first is None and b'"content":"' in line.replace(b'"content":""', b""):
                first = time.monotonic()
    assert first is not None
    return (first - start) * 1e3, (time.monotonic() - start) * 1e3


def against(taken: list[Sample], theirs: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    """Differences of pairs, ours less theirs: medians with their 95 % interval."""
    ours = [(one.row.ttft_ms or 0.0, one.row.e2e_ms or 0.0) for one in taken]
    found = {}
    for place, name in enumerate(("ttft_ms", "e2e_ms")):
        mine, other = [one[place] for one in ours], [one[place] for one in theirs]
        interval = difference("median", mine, other, 1)
        found[name] = {"median": round(median(mine), 3), "of_other": round(median(other), 3), **interval.model_dump()}
    return found


def beside(proxy: ProxyProcess, taken: list[Sample]) -> dict[str, Any]:
    """The same requests in the proxy's log."""
    lines = [proxy.log_line(one.detail.request_id, 10.0) for one in taken]
    found = {}
    for name in ("ttft_ms", "e2e_ms"):
        mine, other = [getattr(one.row, name) for one in taken], [line[name] for line in lines]
        interval = difference("median", mine, other, 1)
        found[name] = {"median": round(median(mine), 3), "of_proxy": round(median(other), 3), **interval.model_dump()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=200, help="pairs of the agreement")
    parser.add_argument("--only", choices=("capacity", "agreement"))
    options = parser.parse_args()
    told: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    about = {"machine": machine(targets_here=True).model_dump(), "versions": versions(), "commit": commit()}
    about |= {"at": f"{datetime.now(UTC):%Y-%m-%d}", "load_average": round(os.getloadavg()[0], 1)}
    if options.only != "agreement":
        with process("tests.benchmarks.generator.source") as port:
            steps = []
            for streams in STREAMS:
                steps.append(asyncio.run(capacity(f"http://127.0.0.1:{port}", streams, Path("/tmp"))))
                print(steps[-1], flush=True)
                if steps[-1]["cpu"] > 0.95:
                    break
        told["capacity"] = {**about, "steps": steps}
    if options.only != "capacity":
        with process("proxy.cli.main", "sim", "--preset", "low_latency") as line:
            backends = [{"url": line.split()[-1], "name": "alpha", "kind": "vllm", "models": ["sim"]}]
            with running_proxy({"backends": backends}) as proxy:
                ready(proxy, 1)
                told["agreement"] = about | uvloop.run(agreement(proxy, options.count))
                print(json.dumps(told["agreement"], indent=1), flush=True)
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
