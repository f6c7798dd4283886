"""A decider and a worker in one process, each with a real scheduler, linked by a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from time import monotonic

from proxy.core.scheduler import Scheduler
from proxy.live.driver import Driver
from proxy.live.workers import words
from proxy.live.workers.hub import Hub
from proxy.live.workers.link import Link, Message
from proxy.live.workers.records import record_told
from proxy.live.workers.remote import RemoteDriver
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Probed
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.scheduling import SchedulingSettings
from proxy.obs.record import Record

VERSION = "1"


class Box:
    """Of one job: what was put into it."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def put(self, command: Command) -> None:
        self.commands.append(command)


class Host:
    """What a hub tells its process."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.lost: list[str] = []

    def record(self, record: Record) -> None:
        self.records.append(record)

    def unreached(self, backend: str) -> None:
        self.lost.append(backend)

    def config(self) -> bytes:
        return b"config"


def scheduler(permits: int = 2, **scheduling: object) -> Scheduler:
    """Two backends that serve one model, `a` and `b`, with so many permits each."""
    made = Scheduler(
        [BackendSpec(name, models=frozenset({"m"}), max_concurrency=permits, url=f"http://{name}") for name in "ab"],
        scheduling=SchedulingSettings(policy="round_robin", **scheduling),  # type: ignore[arg-type]
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=Random(1),
    )
    for name in "ab":
        made.observe(Probed(name, True, frozenset({"m"})), monotonic())
    return made


class Pair:
    """Both sides. `link`, `cut`, and `until` something is so."""

    def __init__(self, permits: int = 2) -> None:
        self.loop = asyncio.get_running_loop()
        self.host = Host()
        self.deciding = scheduler(permits)
        self.decider = Driver(self.deciding, self.loop, monotonic)
        self.hub = Hub(self.decider, self.deciding, self.loop, monotonic, self.host, VERSION)
        self.own = scheduler(permits)
        self.worker = RemoteDriver(self.own, self.loop, monotonic)
        self.heard: list[Message] = []
        self.losses: list[str] = []
        self._link: Link | None = None

    async def link(self, version: str = VERSION) -> None:
        """The decider is there, and has taken the worker."""
        theirs, ours = socket.socketpair()
        self.heard.clear()
        await self.hub.join(theirs)
        _, link = await self.loop.create_connection(lambda: Link(self.loop, self._on_message, self._on_lost), sock=ours)
        self._link = link
        link.send((words.HELLO, version, 2, 2))
        await self.until(lambda: bool(self.heard))
        if self.heard[-1][0] == words.CONFIG:
            self.worker.linked(link)

    def tell(self, record: Record) -> None:
        """A request of the worker is over."""
        assert self._link is not None
        self._link.send((words.RECORD, record_told(record)))

    async def cut(self) -> None:
        """The decider is gone."""
        self.hub.close()
        await self.until(lambda: not self.worker.is_linked)

    async def drop(self) -> None:
        """The worker is gone."""
        assert self._link is not None
        self._link.close()
        await self.until(lambda: not self.hub.peers)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Within 10 s."""
        async with asyncio.timeout(10):
            while not is_so():
                await asyncio.sleep(0.001)

    def in_flight(self) -> int:
        """At the decider."""
        return self.deciding.counts(monotonic()).in_flight

    def in_flight_here(self) -> int:
        """In the worker's own books."""
        return self.own.counts(monotonic()).in_flight

    def _on_message(self, message: Message) -> None:
        self.heard.append(message)
        if message[0] not in (words.CONFIG, words.REJECTED):
            self.worker.heard(message)

    def _on_lost(self, why: str) -> None:
        self.losses.append(why)
        self.worker.unlinked()

    async def close(self) -> None:
        self.hub.close()
        if self._link is not None:
            self._link.close()
        await asyncio.sleep(0.01)  # transports close in the turns after


@asynccontextmanager
async def linked(permits: int = 2) -> AsyncIterator[Pair]:
    """A pair that is linked."""
    pair = Pair(permits)
    await pair.link()
    try:
        yield pair
    finally:
        await pair.close()
