"""All questions of `tidegate doctor` at once."""

import asyncio
import time

from proxy.app import descriptors
from proxy.app.doctor import ask
from proxy.app.doctor.judge import Found, of_clock, of_descriptors
from proxy.config.diagnostics import Severity
from proxy.config.schema import Config

_AT_ONCE = 64
"""Engines asked at the same time."""
TOTAL_S = 10.0


def examine(config: Config) -> list[Found]:
    """What is found around this configuration; takes TOTAL_S at most."""
    needed = descriptors.needed(config.limits.connections.max, len(config.backends))
    found = [of_descriptors(needed, descriptors.raise_limit(needed)), *of_clock(time.time())]
    return found + asyncio.run(_asked(config))


async def _asked(config: Config) -> list[Found]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(index: int) -> list[Found]:
        async with places:
            return await ask.engine(config.backends[index])

    tasks = [asyncio.create_task(one(index)) for index in range(len(config.backends))]
    asked = asyncio.wait(tasks, timeout=TOTAL_S - ask.TIMEOUT_S)
    running, far, (_, late) = await asyncio.gather(ask.admin(config.admin), ask.remote(config.cache), asked)
    for task in late:
        task.cancel()
    told = [found for task in tasks if task not in late for found in task.result()]
    if late:
        told.append(Found(Severity.WARNING, "machine", f"no time was left for {len(late)} engines", "ask again"))
    return [one for one in (running, far) if one is not None] + told
