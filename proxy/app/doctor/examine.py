"""All questions of `tidegate doctor` at once."""

import asyncio
import os

from proxy.app.doctor import ask, rules
from proxy.app.doctor.finding import Finding
from proxy.app.doctor.front import rules as front_rules
from proxy.app.doctor.front.judge import of_walk
from proxy.app.doctor.front.trials import SILENCE_S
from proxy.app.doctor.front.walk import Front, walk
from proxy.app.doctor.machine import look, of_machine
from proxy.app.doctor.names import Names
from proxy.app.doctor.second_level import second_level
from proxy.config.address import parse_address
from proxy.config.schema import Config

_AT_ONCE = 64
"""Engines asked at the same time."""
TOTAL_S = 10.0
_CONNECT_S = 1.0
_FRONT_S = TOTAL_S - SILENCE_S - 0.5


def examine(config: Config, front: Front | None = None, *, tries: bool = False) -> list[Finding]:
    """What is found around this configuration; takes TOTAL_S at most, and as much longer as `front` wants more silence
    than usual. `front`: what stands before the proxy; None: it is not looked at. `tries`: engines are asked for two
    tokens each."""
    found = list(of_machine(look(config, os.environ)))
    return found + asyncio.run(_asked(config, front, tries))


async def _asked(config: Config, front: Front | None, tries: bool) -> list[Finding]:
    names, places = Names(), asyncio.Semaphore(_AT_ONCE)

    async def one(index: int) -> list[Finding]:
        async with places:
            return await ask.engine(config.backends[index], names, tries=tries)

    tasks = [asyncio.create_task(one(index)) for index in range(len(config.backends))]
    asked = asyncio.wait(tasks, timeout=TOTAL_S - ask.TIMEOUT_S)
    running, stored, before, (_, late) = await asyncio.gather(
        _admin(config.admin), second_level(config.cache, names), _front(front, config, names), asked
    )
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    told = [found for task in tasks if task not in late for found in task.result()]
    if late:
        told.append(rules.NO_TIME.found("machine", f"no time was left for {len(late)} engines"))
    return running + stored + told + before


async def _front(front: Front | None, config: Config, names: Names) -> list[Finding]:
    if front is None:
        return []
    try:
        async with asyncio.timeout(_FRONT_S + front.silence_s):
            return list(of_walk(await walk(front, config, names)))
    except TimeoutError:
        return [front_rules.NOT_HERE.found(front.public, "no time was left for it", "ask again")]


async def _admin(address: str) -> list[Finding]:
    """Whether somebody answers at the admin address."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(*parse_address(address))
    except (OSError, TimeoutError):
        return []
    writer.close()
    return [rules.ADMIN_TAKEN.found("machine", f"somebody answers at the admin address {address}")]
