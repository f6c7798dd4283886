"""A proxy with a store that is killed (SIGKILL) at random moments, and what is found when it is left alone.

Owns the play: clients make batches as long as few are under way, the proxy dies and is started on the same folder, and
in the end every batch that a client was told of has one result for each of its lines.
"""

import asyncio
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai

from tests.support.bed import Bed, backend_entry
from tests.support.fake_backend import Exchange
from tests.support.fake_engine import well_behaved
from tests.support.proxy_process import ProxyProcess

CHAT = "/v1/chat/completions"
_LONGEST_LIFE_S = 0.8
_UNDER_WAY = 2
_END_S = 120.0


@dataclass
class Found:
    """What became of it."""

    kills: int = 0
    batches: int = 0
    lines: int = 0
    lost: int = 0
    """Lines of batches that were told of without a result, and files that are gone."""
    doubled: int = 0
    """Results too many."""
    asked: int = 0
    """Requests that the engine got: more than lines where some ran again."""
    ready_s: list[float] = field(default_factory=list)
    """From a start to the first answer about a batch."""


async def _unhurried(exchange: Exchange) -> None:
    """An engine that takes some milliseconds."""
    await asyncio.sleep(0.01)
    await well_behaved(exchange)


def _lines(batch: int, count: int) -> bytes:
    def one(number: int) -> dict[str, Any]:
        text = f"batch {batch} line {number}"
        body = {"model": "fake-model", "messages": [{"role": "user", "content": text}], "max_tokens": 5}
        return {"custom_id": f"{batch}-{number}", "method": "POST", "url": CHAT, "body": body}

    return b"".join(json.dumps(one(number)).encode() + b"\n" for number in range(count))


def play(bed: Bed, folder: Path, kills: int, seed: int, *, by_hand: bool = False) -> Found:
    """So many kills. `by_hand`: started as an operator starts it, imports and all."""
    chance, found = random.Random(seed), Found()
    told: dict[str, tuple[int, int]] = {}
    """Batches that clients know: number and lines."""
    with bed.backend(_unhurried) as engine:
        entry = backend_entry(engine, "alpha", models=["fake-model"])
        config = {"backends": [entry], "store": str(folder), "log": {"access": False}}

        def started() -> ProxyProcess:
            began = time.monotonic()
            proxy = ProxyProcess(config, nursery=None if by_hand else bed.nursery).listening()
            asyncio.run(_first_answer(proxy))
            found.ready_s.append(time.monotonic() - began)
            return proxy

        for _ in range(kills):
            proxy = started()
            with suppress(openai.OpenAIError):
                asyncio.run(_live(proxy, told, chance, chance.uniform(0.0, _LONGEST_LIFE_S)))
            proxy.process.kill()
            proxy.wait()
            found.kills += 1
        proxy = started()
        try:
            asyncio.run(_count(proxy, told, found))
        finally:
            assert proxy.stop() == 0, proxy.error_text
        found.asked = len(engine.received)
    return found


def _client(proxy: ProxyProcess) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="k", max_retries=0, timeout=20)


async def _first_answer(proxy: ProxyProcess) -> None:
    async with _client(proxy) as through:
        await through.batches.list(limit=1)


async def _live(proxy: ProxyProcess, told: dict[str, tuple[int, int]], chance: random.Random, life_s: float) -> None:
    """Clients, as long as it lives; killed within whatever they are at."""

    async def work() -> None:
        async with _client(proxy) as through:
            while True:
                page = await through.batches.list(limit=20)
                if sum(one.status in ("validating", "in_progress") for one in page.data) < _UNDER_WAY:
                    number, count = len(told), chance.randrange(1, 300)
                    file = await through.files.create(file=("x.jsonl", _lines(number, count)), purpose="batch")
                    batch = await through.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
                    told[batch.id] = number, count
                await asyncio.sleep(0.02)

    task = asyncio.ensure_future(work())
    await asyncio.wait({task}, timeout=life_s)
    proxy.process.kill()
    with suppress(asyncio.CancelledError):
        task.cancel()
        await task


async def _count(proxy: ProxyProcess, told: dict[str, tuple[int, int]], found: Found) -> None:
    async with _client(proxy) as through, asyncio.timeout(_END_S):
        for name, (number, count) in told.items():
            found.batches += 1
            found.lines += count
            batch = await through.batches.retrieve(name)
            while batch.status not in ("completed", "failed", "expired", "cancelled"):
                await asyncio.sleep(0.05)
                batch = await through.batches.retrieve(name)
            rows = [
                json.loads(row)
                for file in (batch.output_file_id, batch.error_file_id)
                if file
                for row in (await through.files.content(file)).text.splitlines()
            ]
            wanted = [f"{number}-{line}" for line in range(count)]
            got = [row["custom_id"] for row in rows if row["response"] and row["response"]["status_code"] == 200]
            found.lost += len(set(wanted) - set(got))
            found.doubled += len(got) - len(set(got)) + len(set(got) - set(wanted))
            assert batch.request_counts is not None
            counts = batch.request_counts
            found.lost += abs(counts.total - count) + abs(counts.completed - count)
