"""What batches cost and bring. Run one: `python -m tests.benchmarks.batches accept|ready|kills|heads|share`.

- accept: 50,000 lines of 1 KB, from the first byte of the upload until all are lines of a batch: seconds, and how much
  the proxy (a process of its own) grew at most.
- ready: a proxy with such a batch, killed and started as an operator starts it: seconds to the first answer.
- kills: `--kills` times SIGKILL at random moments: lines lost, results doubled, seconds until it was ready again.
- heads: lines that share 20 heads of 6,000 tokens, in mixed order, on two engines with room for few heads: how much of
  the heads was computed, in the order of heads and (`off`) in that of the file.
- share: chats at half of what two engines take, alone, beside plain bulk and beside a batch: first tokens of chats, and
  tokens of all. The clock of the engines is slowed, so that the machine is not what is measured.

Prints, and adds rows to results.csv beside this file.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import aiohttp
import openai

from proxy.sim.engine.spec import PRESETS
from tests.benchmarks.batches.results import note
from tests.support import proxy_process
from tests.support.batch_kills import CHAT, play
from tests.support.bed import Bed
from tests.support.engine_scripts import SCRIPTS
from tests.support.live_proxy import Live, SimEngine, running
from tests.support.proxy_process import ProxyProcess

LINES, LINE_B = 50_000, 1000
ENDED = ("completed", "failed", "expired", "cancelled")


def line(number: int, text: str, **more: Any) -> bytes:
    """One request of a batch."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    asked = {"custom_id": f"c{number}", "method": "POST", "url": CHAT, "body": body}
    return json.dumps(asked).encode() + b"\n"


def client(url: str) -> openai.AsyncOpenAI:
    """The official one."""
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=120)


async def until(through: openai.AsyncOpenAI, name: str, states: tuple[str, ...]) -> Any:
    """The batch, in one of these states."""
    while (batch := await through.batches.retrieve(name)).status not in states:
        await asyncio.sleep(0.02)
    return batch


# --- accept, ready, kills


def accept(arguments: argparse.Namespace) -> None:
    """Five times, each in a new store."""
    chance = random.Random(1)
    pad = ["".join(chance.choices("abcdefgh ", k=LINE_B - 180)) for _ in range(50)]
    data = b"".join(line(n, f"{n} {pad[n % 50]}") for n in range(LINES))
    for _ in range(arguments.rounds):
        with TemporaryDirectory() as folder, engine() as url:
            proxy = started(Path(folder), url)
            try:
                taken, grown_b, cpu = asyncio.run(accepted(proxy, data))
            finally:
                proxy.process.kill()
                proxy.wait()
        note("accept", LINES, seconds=taken, cpu_s=cpu, growth_mib=grown_b / 2**20, line_b=len(data) / LINES)


@contextmanager
def engine() -> Iterator[str]:
    """One that answers probes, and never a request."""
    bed = Bed()
    try:
        with bed.backend(SCRIPTS["hang"], models=("other",)) as backend:
            yield backend.url
    finally:
        bed.stop()


def started(folder: Path | None, url: str) -> ProxyProcess:
    """By hand."""
    config: dict[str, Any] = {"backends": [{"url": url, "name": "a"}]}
    return ProxyProcess(config if folder is None else {**config, "store": str(folder)}).listening()


def cpu_s(proxy: ProxyProcess) -> float:
    """That it has used."""
    fields = Path(f"/proc/{proxy.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def accepted(proxy: ProxyProcess, data: bytes) -> tuple[float, float, float]:
    """Seconds, bytes, and seconds of CPU of the proxy."""
    async with client(proxy.url) as through:
        await through.batches.list()
        idle_b = most_b = proxy.rss_b()
        done = asyncio.Event()

        async def watch() -> None:
            nonlocal most_b
            while not done.is_set():
                most_b = max(most_b, proxy.rss_b())
                await asyncio.sleep(0.005)

        watching = asyncio.ensure_future(watch())
        began, used = time.monotonic(), cpu_s(proxy)
        file = await through.files.create(file=("in.jsonl", data), purpose="batch")
        batch = await through.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        batch = await until(through, batch.id, ("in_progress", *ENDED))
        taken, used = time.monotonic() - began, cpu_s(proxy) - used
        done.set()
        await watching
        assert batch.request_counts.total == LINES, batch
        return taken, most_b - idle_b, used


def ready(arguments: argparse.Namespace) -> None:
    """Of one store that has a large batch."""
    data = b"".join(line(n, f"{n} " + "x" * (LINE_B - 180)) for n in range(LINES))
    took: list[float] = []
    used: list[float] = []
    with TemporaryDirectory() as folder, engine() as url:
        proxy = started(Path(folder), url)
        asyncio.run(accepted(proxy, data))
        for _ in range(arguments.rounds):
            proxy.process.kill()
            proxy.wait()
            began = time.monotonic()
            proxy = started(Path(folder), url)
            asyncio.run(first(proxy))
            took.append(time.monotonic() - began)
            used.append(cpu_s(proxy))
        proxy.process.kill()
        proxy.wait()
    note("ready", len(took), median_s=statistics.median(took), most_s=max(took), cpu_median_s=statistics.median(used))
    bare: list[float] = []
    spent: list[float] = []
    with engine() as url:
        for _ in range(arguments.rounds):
            began = time.monotonic()
            proxy = started(None, url)
            bare.append(time.monotonic() - began)
            spent.append(cpu_s(proxy))
            proxy.process.kill()
            proxy.wait()
    told = {"median_s": statistics.median(bare), "most_s": max(bare), "cpu_median_s": statistics.median(spent)}
    note("ready without a store", len(bare), **told)


async def first(proxy: ProxyProcess) -> None:
    """The first answer."""
    async with client(proxy.url) as through:
        await through.batches.list(limit=1)


def kills(arguments: argparse.Namespace) -> None:
    """As the test does, more often."""
    bed = Bed()
    try:
        with TemporaryDirectory() as folder:
            found = play(bed, Path(folder) / "store", arguments.kills, seed=arguments.seed)
    finally:
        bed.stop()
    told = {"batches": found.batches, "lines": found.lines, "lost": found.lost, "doubled": found.doubled}
    waits = sorted(found.ready_s)
    again = found.asked / max(1, found.lines) - 1
    note(
        "kills", found.kills, **told, ready_median_s=statistics.median(waits), ready_most_s=waits[-1], asked_again=again
    )


# --- heads


def heads(arguments: argparse.Namespace) -> None:
    """With the order of heads, and without."""
    for is_grouped in (True, False):
        share, lines = asyncio.run(computed(is_grouped=is_grouped))
        note(f"heads, {'grouped' if is_grouped else 'off'}", lines, computed_share=share, saved_share=1 - share)


async def computed(*, is_grouped: bool) -> tuple[float, int]:
    """Of the tokens of heads, those that engines computed; the tails are a hundredth of them."""
    chance = random.Random(3)
    words = [
        [chance.choice(["river", "stone", "cloud", "paper", "green", "seven", "north", "table"]) for _ in range(5000)]
        for _ in range(20)
    ]
    texts = [f"{number}: {' '.join(words[number])} | question {n}" for n in range(25) for number in range(20)]
    data = b"".join(line(n, text, max_tokens=8) for n, text in enumerate(texts))
    spec = PRESETS["fast"]
    engines = [SimEngine(name, spec=spec) for name in "ab"]
    key = (
        patch("proxy.wire.batch_lines.head_key", lambda fields: b"")
        if not is_grouped
        else patch("os.nothing", create=True)
    )
    with TemporaryDirectory() as folder, key:
        store = f"store: {json.dumps({'path': folder + '/store', 'ahead': 16})}\n"
        async with running(Path(folder), store, engines) as live, client(live.proxy.listen_url) as through:
            file = await through.files.create(file=("in.jsonl", data), purpose="batch")
            batch = await through.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
            batch = await until(through, batch.id, ENDED)
            assert batch.request_counts.completed == len(texts), batch
            usage = batch.usage
            return 1 - usage.input_tokens_details.cached_tokens / usage.input_tokens, len(texts)


# --- share


def share(arguments: argparse.Namespace) -> None:
    """Three runs, one after the other; of each the middle is measured."""
    alone = asyncio.run(shared("alone", arguments))
    plain = asyncio.run(shared("plain", arguments))
    batch = asyncio.run(shared("batch", arguments))
    for name, (ttfts, tokens) in (("alone", alone), ("plain bulk", plain), ("batch", batch)):
        quantiles = statistics.quantiles(ttfts, n=100)
        note(f"share, {name}", len(ttfts), ttft_p50_s=quantiles[49], ttft_p99_s=quantiles[98], tokens_per_s=tokens)
    note("share", len(batch[0]), bulk_tokens_of_plain=batch[1] / plain[1])


async def shared(beside: str, arguments: argparse.Namespace) -> tuple[list[float], float]:
    """First tokens of chats, and tokens per second of bulk, in seconds of this machine."""
    spec = PRESETS["fast"].slowed(arguments.slower)
    with TemporaryDirectory() as folder:
        store = f"store: {json.dumps({'path': folder + '/store'})}\n"
        async with running(Path(folder), store, [SimEngine(name, spec=spec) for name in "ab"]) as live:
            session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
            async with session, client(live.proxy.listen_url) as through:
                return await played(beside, arguments, live, session, through)


async def played(
    beside: str, arguments: argparse.Namespace, live: Live, session: aiohttp.ClientSession, through: openai.AsyncOpenAI
) -> tuple[list[float], float]:
    """One run."""
    chance, numbers = random.Random(5), itertools.count()
    until_s, tasks, ttfts = time.monotonic() + arguments.seconds, set[asyncio.Task[None]](), list[tuple[float, float]]()
    done: list[tuple[float, int]] = []

    async def chat() -> None:
        asked = body(f"chat {next(numbers)} " + "word " * 300, 100, chance)
        began = time.monotonic()
        async with session.post(f"{live.proxy.listen_url}{CHAT}", json={**asked, "stream": True}) as answer:
            await answer.content.readuntil(b'"content":"')
            ttfts.append((began, time.monotonic() - began))
            await answer.read()

    async def bulk() -> None:
        while time.monotonic() < until_s:
            asked = body(f"bulk {next(numbers)} " + "word " * 400, 120, chance)
            headers = {"x-tidegate-class": "bulk"}
            async with session.post(f"{live.proxy.listen_url}{CHAT}", json=asked, headers=headers) as answer:
                told = await answer.json()
                if answer.status == 200:
                    done.append((time.monotonic(), told["usage"]["completion_tokens"]))

    name = ""
    if beside == "plain":
        tasks |= {asyncio.ensure_future(bulk()) for _ in range(200)}
    elif beside == "batch":
        lines = []
        for number in range(2_000):
            asked = body(f"bulk {number} " + "word " * 400, 120, chance)
            lines.append(json.dumps({"custom_id": str(number), "url": CHAT, "body": asked}).encode() + b"\n")
        file = await through.files.create(file=("in.jsonl", b"".join(lines)), purpose="batch")
        name = (await through.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")).id
        await until(through, name, ("in_progress", *ENDED))
        until_s = time.monotonic() + arguments.seconds
    start = until_s - 0.7 * arguments.seconds
    at_start = 0
    while time.monotonic() < until_s:
        task = asyncio.ensure_future(chat())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(chance.expovariate(arguments.rate))
        if name and not at_start and time.monotonic() >= start:
            at_start = (await through.batches.retrieve(name)).usage.output_tokens
            start = time.monotonic()
    ended = time.monotonic()
    tokens = sum(count for at, count in done if start <= at <= ended)
    if name:
        tokens = (await through.batches.retrieve(name)).usage.output_tokens - at_start
        await through.batches.cancel(name)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [ttft for began, ttft in ttfts if began >= start], tokens / (ended - start)


def body(text: str, tokens: int, chance: random.Random) -> dict[str, Any]:
    """A request whose answer has about so many tokens."""
    most = max(4, round(chance.lognormvariate(0.0, 0.3) * tokens))
    return {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": most}


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("accept", "ready", "kills", "heads", "share"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run of share")
    parser.add_argument("--slower", type=float, default=4.0, help="the engines of share")
    parser.add_argument("--rate", type=float, default=3.0, help="chats a second of share")
    arguments = parser.parse_args()
    proxy_process.START_DEADLINE_S = 120.0  # the machine may be busy
    globals()[arguments.what](arguments)


if __name__ == "__main__":
    main()
