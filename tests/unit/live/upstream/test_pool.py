"""Connecting, on real sockets and both loops: whoever leaves at any instant leaves nothing behind."""

import asyncio
import contextlib
import gc
import os
import random
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from time import monotonic
from typing import Any

import pytest
import uvloop

from proxy.live.upstream.connection import UpstreamConnection
from proxy.live.upstream.pool import ConnectionPool
from proxy.live.watch import NEVER, Watch
from proxy.model.faults import FaultError, Kind, Retry
from tests.support.certificates import Certificate, self_signed
from tests.support.deaf_listener import deaf_listener
from tests.unit.live.standins import Receiver, address, connected, pool

Run = Callable[[Coroutine[Any, Any, None]], None]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@pytest.fixture(params=[uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on a loop of its own."""
    return request.param


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "engine", "engine", "IP:127.0.0.1")


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is dropped must be free without it: after `gc.freeze` full collections are rare."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Answering(asyncio.Protocol):
    """An engine that says `hi` to whatever comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(OK)


@contextlib.asynccontextmanager
async def listening(certificate: Certificate | None = None, **changes: Any) -> AsyncIterator[ConnectionPool]:
    """A pool of connections to an engine that is there."""
    loop = asyncio.get_running_loop()
    served = client = None
    if certificate is not None:
        served = certificate.server_context()
        client = ssl.create_default_context(cafile=certificate.path)
    server = await loop.create_server(Answering, "127.0.0.1", 0, ssl=served)
    port = server.sockets[0].getsockname()[1]
    to = ConnectionPool(address(port=port, tls=client, connect_s=30.0, **changes), loop, Watch(loop, monotonic))
    try:
        yield to
    finally:
        to.close()
        server.close()


def left(to: ConnectionPool) -> tuple[int, int, int]:
    """Connections as the gauge says, things watched, Connection objects that anybody holds."""
    objects = sum(isinstance(thing, UpstreamConnection) for thing in gc.get_objects())
    return to.open_connections, len(to.watch._things), objects


async def settled(to: ConnectionPool, fds: int) -> None:
    """Waits until nothing is left."""
    async with asyncio.timeout(10):
        while left(to) != (0, 0, 0) or len(os.listdir("/proc/self/fd")) > fds:
            await asyncio.sleep(0.01)


async def descriptors(to: ConnectionPool) -> int:
    """Open ones while nothing is connected; a loop opens its own with the first connection."""
    (await to.connect()).abort()
    while to.open_connections:
        await asyncio.sleep(0.01)
    return len(os.listdir("/proc/self/fd"))


def time_is_up(to: ConnectionPool) -> None:
    """Every limit that runs passes now."""
    for thing in list(to.watch._things):
        thing.deadline = 0.0
        thing.expired(0.0)


async def storm(to: ConnectionPool, times: int, most_steps: int) -> Counter[str]:
    """Leaves `times` connects after a random number of steps of the loop, by a cancellation or by the limit; how each
    of them ended."""
    fds, dice, ends = await descriptors(to), random.Random(times), Counter[str]()

    async def connect() -> None:
        try:
            (await to.connect()).abort()
            ends["connected"] += 1
        except FaultError as error:
            ends[error.fault.kind] += 1

    for _ in range(times):
        task = asyncio.ensure_future(connect())
        for _ in range(dice.randrange(most_steps)):
            await asyncio.sleep(0)
        time_is_up(to) if dice.random() < 0.3 else task.cancel()
        await asyncio.wait([task])
        ends["cancelled"] += task.cancelled()
    await settled(to, fds)
    return ends


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("times", [10_000])
def test_connects_cut_at_random_instants_leave_nothing(run: Run, times: int) -> None:
    """The awaits of the path: the name, the connection, the loop's news that it is there."""

    async def play() -> None:
        async with listening() as to:
            ends = await storm(to, times, 10)
            assert set(ends) == {"connected", "cancelled", Kind.CONNECT_TIMEOUT}

    run(play())


@pytest.mark.usefixtures("no_collector")
def test_handshakes_cut_at_random_instants_leave_nothing(run: Run, certificate: Certificate) -> None:
    async def play() -> None:
        async with listening(certificate) as to:
            ends = await storm(to, 600, 30)
            assert set(ends) == {"connected", "cancelled", Kind.CONNECT_TIMEOUT}

    run(play())


@pytest.mark.usefixtures("no_collector")
def test_an_answered_connection_is_free_when_it_closes(run: Run) -> None:
    async def play() -> None:
        async with listening() as to:
            fds = await descriptors(to)
            for _ in range(20):
                connection, receiver = await to.connect(), Receiver()
                connection.send(b"x", receiver)
                while not receiver.ends:
                    await asyncio.sleep(0)
                assert to.take_idle() is connection
                connection.abort()
                del connection
            await settled(to, fds)

    run(play())


def test_over_tls(run: Run, certificate: Certificate) -> None:
    async def play() -> None:
        async with listening(certificate) as to:
            connection, receiver = await to.connect(), Receiver()
            connection.send(b"x" * 300_000, receiver)
            while not receiver.ends:
                await asyncio.sleep(0)
            assert receiver.body == b"hi"
            connection.abort()

    run(play())


def test_a_connection_that_nobody_uses_is_closed(run: Run) -> None:
    """Whatever bug it is that drops one: no descriptor is lost for good."""

    async def play() -> None:
        async with listening(keepalive_s=0.0) as to:
            connection = await to.connect()
            assert connection.deadline < NEVER
            connection.deadline = 0.0
            async with asyncio.timeout(5):
                while to.open_connections:
                    await asyncio.sleep(0.01)

    run(play())


def test_nobody_answers(run: Run) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        with deaf_listener() as port:
            to = ConnectionPool(address(port=port, connect_s=0.2), loop, Watch(loop, monotonic))
            with pytest.raises(FaultError) as raised:
                await to.connect()
            assert (raised.value.fault.kind, raised.value.fault.retry) == (Kind.CONNECT_TIMEOUT, Retry.SAFE)
            assert left(to)[:2] == (0, 0)

    run(play())


def test_nobody_listens(run: Run) -> None:
    async def play() -> None:
        with pytest.raises(FaultError) as raised:
            await pool().connect()
        fault = raised.value.fault
        assert (fault.kind, fault.retry) == (Kind.CONNECT, Retry.SAFE)
        assert "alpha" in fault.message

    run(play())


async def test_one_made_too_late_is_closed_at_once() -> None:
    """A loop may still have the news under way when its maker has left."""
    to = pool()
    connection = UpstreamConnection(to, to.address, to.watch)
    connection.abandon()
    _, transport = connected(to)
    transport.closed = False
    connection.connection_made(transport)
    assert transport.closed
    assert to.open_connections == 1


async def test_the_newest_idle_connection_is_taken_first() -> None:
    to = pool()
    older, newer, gone = (connected(to)[0] for _ in range(3))
    for connection in (older, newer, gone):
        to.idle(connection)
    gone.abort()
    assert to.take_idle() is newer
    assert to.open_connections == 3
    to.close()
    assert not older.is_open
    assert newer.is_open


async def test_a_loss_that_is_told_twice_counts_once() -> None:
    to = pool()
    connection, _ = connected(to)
    other, _ = connected(to)
    connection.connection_lost(None)
    connection.abandon()
    assert to.open_connections == 1
    assert other.is_open
