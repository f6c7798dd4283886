"""Hour after hour in minutes: nothing grows with what was served, cancelled, cut or stalled, and all comes to rest.

`TIDEGATE_SOAK=full`: 200,000 requests, 100,000 cancellations at random instants, 10,000 uploads cut at random bytes and
2,000 stalled readers. `short`, the usual one, shows what leaks a kilobyte each.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import uvloop

from tests.soak.clients import Crowd, Load
from tests.soak.growth import Growth
from tests.soak.quick_engine import QuickEngine, quick_engine
from tests.soak.witness import Witness, witness
from tests.support.certificates import Certificate
from tests.support.deaf_listener import deaf_listener
from tests.support.leak_probe import LeakProbe
from tests.support.patience import eventually
from tests.support.proxy_process import Config, ProxyProcess, ready, running_proxy

pytestmark = pytest.mark.slow


class Sizes(NamedTuple):
    """How much of each, and how often memory is looked at."""

    requests: int
    cancellations: int
    uploads: int
    upload_b: int
    stalled: int
    points: int
    arenas_b: int
    """Growth of resident memory in all that says nothing: allocators settle, and a short run ends before they have."""


SIZES = {
    "short": Sizes(4_000, 2_000, 400, 1 << 20, 60, 4, 2 << 20),
    "full": Sizes(200_000, 100_000, 10_000, 8 << 20, 2_000, 20, 0),
}
SIZE = SIZES[os.environ.get("TIDEGATE_SOAK", "short")]
REST_S = 15.0
FRAGMENTS_B = 4.0
"""Of resident memory, with each repetition, where nothing is kept: what lies between blocks in use."""
TABLES = 600
TABLES_B = 64 << 10
"""Growth in all of what is in use, blocks and bytes: tables reach their size, and counters leave the small numbers. Of
100,000 cancellations one in 200 may not leave a single object."""
KEPT, KEPT_BLOCKS = 300, 48
"""So many of the last requests are kept for the page, of so many objects each; kept for longer is a leak."""
WARM_UP = 3
"""Measured is only what comes after as much as one part in so many of the whole."""


def config(plain: QuickEngine, narrow: QuickEngine, secure: QuickEngine, deaf: int, certificate: Certificate) -> Config:
    """One backend per way to wait: none, a permit, a handshake, a connection."""
    return {
        "backends": [
            {"name": "plain", "url": plain.url, "models": ["open"]},
            {"name": "narrow", "url": narrow.url, "models": ["narrow"], "max_concurrency": 2},
            {"name": "secure", "url": secure.url, "models": ["secure"], "tls": {"ca_file": str(certificate.path)}},
            {"name": "deaf", "url": f"http://127.0.0.1:{deaf}", "models": ["deaf"], "connect": "200ms"},
        ],
        "limits": {"connections": {"write_stall": "500ms"}, "upstream": {"keepalive": "500ms"}},
        "hold": {"min_jobs": 1000},
        "timings": {"keep": 0},
    }


class Memory(NamedTuple):
    """Of one proxy, over a load."""

    resident: Growth
    blocks: Growth
    """Of Python's allocator: objects, nearly."""
    heap: Growth
    """Bytes of C's."""


class Soak:
    """One proxy, its engines and the crowd before it."""

    def __init__(self, proxy: ProxyProcess, engines: list[QuickEngine], inside: Witness) -> None:
        self.proxy = proxy
        self.inside = inside
        self.crowd = Crowd(proxy.address)
        self.probe = LeakProbe(proxy, engines)
        self.before = self._ended()

    async def grows(self, count: int, load: Load) -> Memory:
        """Memory after each part of a load, at rest; the first part warms up and is not measured."""
        memory = Memory(Growth(), Growth(), Growth())
        await load(count // WARM_UP)
        await self._measure(memory, 0)
        for number in range(1, SIZE.points + 1):
            await load(count // SIZE.points)
            await self._measure(memory, number * (count // SIZE.points))
        for name, growth in memory._asdict().items():
            print(f"{load.__name__}, {name}: {growth}")
        return memory

    async def _measure(self, memory: Memory, count: int) -> None:
        await self.rest()
        in_use = await asyncio.to_thread(self.inside.ask)
        memory.resident.add(count, self.proxy.rss_b())
        memory.blocks.add(count, in_use.blocks)
        memory.heap.add(count, in_use.heap_b)

    async def grows_by_at_most(self, most_b: float, count: int, load: Load) -> None:
        """AssertionError when each repetition costs more bytes, and that is no noise; 0: nothing in use is kept."""
        memory = await self.grows(count, load)
        memory.resident.assert_at_most((most_b or FRAGMENTS_B) + SIZE.arenas_b / count)
        if not most_b:
            memory.blocks.assert_at_most(TABLES / count + KEPT_BLOCKS * min(1.0, KEPT / count))
            memory.heap.assert_at_most(TABLES_B / count)

    @property
    def ended(self) -> int:
        """Requests of the crowd that ended, whatever their end."""
        return self._ended() - self.before

    def _ended(self) -> int:
        return int(self.proxy.metrics().total("tidegate_requests_total"))

    async def rest(self) -> None:
        """Waits until descriptors, connections, permits, held jobs and tasks are as before."""
        await asyncio.to_thread(self.probe.assert_settled, REST_S)
        await asyncio.to_thread(eventually, self._is_alone, "no connection to an engine", REST_S)

    def _is_alone(self) -> bool:
        """A connection that is kept, most of all one with TLS, weighs more than what is looked for."""
        return self.proxy.metrics().total("tidegate_upstream_connections") == 0


@asynccontextmanager
async def soaking(certificate: Certificate) -> AsyncIterator[Soak]:
    """Everything started, and in the end stopped."""
    with deaf_listener() as deaf, witness() as inside:
        async with (
            quick_engine("open") as plain,
            quick_engine("narrow") as narrow,
            quick_engine("secure", certificate.server_context()) as secure,
        ):
            settings = config(plain, narrow, secure, deaf, certificate)
            started = running_proxy(settings, env=inside.environment)
            proxy = await asyncio.to_thread(started.__enter__)
            proxy.log = deque(proxy.log, 1000)  # type: ignore[assignment]  # the test process must not grow either
            try:
                await asyncio.to_thread(ready, proxy, 4)
                yield await asyncio.to_thread(Soak, proxy, [plain, narrow, secure], inside)
            finally:
                await asyncio.to_thread(started.__exit__, None, None, None)


def test_requests(certificate: Certificate) -> None:
    async def play() -> None:
        async with soaking(certificate) as soak:
            await soak.grows_by_at_most(2.0, SIZE.requests, soak.crowd.requests)
            assert set(soak.crowd.statuses) == {200, 404}
            assert soak.ended == soak.crowd.asked

    uvloop.run(play())


def test_cancellations_at_random_instants(certificate: Certificate) -> None:
    async def play() -> None:
        async with soaking(certificate) as soak:
            await soak.grows_by_at_most(0.0, SIZE.cancellations, soak.crowd.cancellations)

    uvloop.run(play())


def test_uploads_cut_at_random_bytes(certificate: Certificate) -> None:
    async def play() -> None:
        async with soaking(certificate) as soak:

            async def cut_uploads(count: int) -> None:
                await soak.crowd.cut_uploads(count, SIZE.upload_b)

            await soak.grows_by_at_most(0.0, SIZE.uploads, cut_uploads)

    uvloop.run(play())


def test_stalled_readers(certificate: Certificate) -> None:
    async def play() -> None:
        async with soaking(certificate) as soak:

            async def stalled_readers(count: int) -> None:
                await soak.crowd.stalled_readers(count, count)

            await soak.grows_by_at_most(0.0, SIZE.stalled, stalled_readers)

    uvloop.run(play())
