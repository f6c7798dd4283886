"""What outlives every configuration of a proxy: its clock and engines, what is learned, and who is served."""

import asyncio
import itertools
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from proxy.app import parts
from proxy.app.workers.seat import ALONE, Seat
from proxy.config.schema import Config
from proxy.core.scheduler import Scheduler
from proxy.live import tiktoken_files
from proxy.live.background.memory import MemoryGuard, limit_b
from proxy.live.background.stream_watch import StreamWatch
from proxy.live.catalogue import ModelList
from proxy.live.downstream.bodies import Bodies
from proxy.live.downstream.budget import Budget
from proxy.live.driver import Driver
from proxy.live.exchange import Exchange
from proxy.live.tokenizers import Tokenizers
from proxy.live.upstream.backends import Upstream
from proxy.live.watch import Watch
from proxy.live.workers.remote import RemoteDriver
from proxy.model.request import Job
from proxy.model.tenants import QuotaView
from proxy.wire.hops import Hops


@dataclass(slots=True, kw_only=True)
class Lasting:
    """One per proxy; some of its parts have a `configure` of their own."""

    loop: asyncio.AbstractEventLoop
    watch: Watch
    scheduler: Scheduler
    driver: Driver
    hops: Hops
    backends: dict[str, Upstream]
    """By name; those that leave, too, as long as they have attempts out."""
    models: ModelList
    memory: MemoryGuard
    budget: Budget
    bodies: Bodies
    tokenizers: Tokenizers
    running: set[Exchange]
    """Requests under way, of whatever configuration."""
    flows: StreamWatch
    quota_for: Callable[[Job, float], QuotaView | None]
    """What the tenant of a job may still use."""
    job_ids: "itertools.count[int]"


def lasting_of(
    config: Config, loop: asyncio.AbstractEventLoop, close_idle: Callable[[], None], seat: Seat = ALONE
) -> Lasting:
    """All of it, as the first configuration has it. `close_idle`: client connections that wait for a request."""
    watch = Watch(loop, monotonic)
    scheduler = parts.scheduler(config)
    driver = seat.driver(scheduler, loop, monotonic)
    decider = driver if isinstance(driver, RemoteDriver) else scheduler
    budget = Budget(bodies_b(config))
    running = set[Exchange]()
    return Lasting(
        loop=loop,
        watch=watch,
        scheduler=scheduler,
        driver=driver,
        hops=Hops(secrets.token_hex(6)),
        backends={},
        models=ModelList(scheduler, int(time.time())),
        memory=MemoryGuard(config.limits.memory, close_idle, driver.shed_bulk),
        budget=budget,
        bodies=Bodies(config.limits, budget, loop),
        tokenizers=Tokenizers(files_of(config), tiktoken_files.caches(os.environ)),
        running=running,
        flows=StreamWatch(running, driver, decider.gives_up, decider.sleeps_on, monotonic),
        quota_for=decider.quota_for,
        job_ids=itertools.count(seat.first_job),
    )


def files_of(config: Config) -> dict[str, Path]:
    """Model → its tokenizer.json."""
    return {model: Path(name) for model, name in config.tokenizers.items()}


def bodies_b(config: Config) -> int:
    """What all request bodies may take together, bytes."""
    memory = config.limits.memory
    return int(limit_b(memory) * memory.bodies)
