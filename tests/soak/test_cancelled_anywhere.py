"""A client leaves at each await of a request's path: in this very process, everything that was made is gone again.

Instants are steps of the loop, and where a request stood when its client left is looked up, so that none is missed:
`TIDEGATE_SOAK=full` makes it 14,000 on each of two loops. What is dropped must be free without a collector, which
is rare after `gc.freeze`.
"""

import asyncio
import gc
import os
import random
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from time import monotonic
from typing import Any, NamedTuple

import pytest
import uvloop

from proxy.app.proxy import Proxy
from proxy.core.jobs.open_job import OpenJob
from proxy.live.attempt import Try
from proxy.live.cache.flights import Flight
from proxy.live.cache.use import CacheUse
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.live.downstream.reader import Reader
from proxy.live.exchange import Exchange
from proxy.live.job import JobLoop
from proxy.live.relay import Relay
from proxy.live.stream import TimedStream
from proxy.live.upstream.connection import UpstreamConnection
from proxy.live.watch import Limit
from proxy.model.request import Job
from proxy.wire.tap import Tap
from tests.soak.clients import PATH, chat, chunked, connect, many
from tests.soak.quick_engine import quick_engine
from tests.support.certificates import Certificate
from tests.support.deaf_listener import deaf_listener
from tests.support.live_proxy import before
from tests.support.raw_client import request_bytes

pytestmark = pytest.mark.slow
FULL = os.environ.get("TIDEGATE_SOAK") == "full"
TIMES = 1_000 if FULL else 40
LOOPS = {"uvloop": uvloop.run, **({"asyncio": asyncio.run} if FULL else {})}
REST_S = 10.0
COUNTED = (
    *(ClientConnection, Reader, Message, Exchange, JobLoop, Try, Relay, TimedStream, Limit),
    *(UpstreamConnection, Job, OpenJob, asyncio.Task, asyncio.Future),
    *(CacheUse, Flight, Tap),
)
OPTIONS = """
classes:
  - {name: hedged, hedge: {after: 1ms, budget: 50%}}
  - {name: pinging, stream: {ping: 5ms}}
  - {name: retold, stream: {granularity: token, pace: smooth}}
  - {name: kept, cache: all}
cache: {size: 8MiB}
limits: {upstream: {connect: 5s}, connections: {write_stall: 20s}}
hold: {min_jobs: 1000}
health: {probe_interval: 60s}
routing: {scrape: 0}
"""


class Kind(NamedTuple):
    """Requests that stand at some awaits more than others do."""

    model: str
    way: str
    stands_at: set[str]
    """Where a client must have left some of them."""
    most_steps: int = 60
    traffic_class: str = "interactive"
    pad: int = 0
    form: str = "length"
    cut: bool = False
    reads: bool = True


KINDS = {
    "body": Kind("open", "short", {"body"}, pad=300_000, cut=True),
    "chunked body": Kind("open", "short", {"body"}, pad=300_000, form="chunked", cut=True),
    "parsing": Kind("open", "hang", {"parsing"}, 200, pad=1_100_000),
    "unpacking": Kind("open", "hang", {"parsing"}, 200, pad=200_000, form="gzip"),
    "held": Kind("narrow", "hang", {"held"}),
    "connecting": Kind("deaf", "hang", {"connecting"}),
    "handshake": Kind("secure", "hang", {"connecting"}, 400),
    "head": Kind("open", "hang", {"head"}),
    "half a body": Kind("open", "half", {"head"}, 100),
    "stream": Kind("open", "drip", {"stream"}, 300),
    "retold stream": Kind("open", "drip", {"stream"}, 300, "retold"),
    "stalled": Kind("open", "flood", {"stalled"}, 200, reads=False),
    "hedged": Kind("twice", "hang", {"race"}, 3000, "hedged"),
    "led and waited for": Kind("open", "hang", {"head", "placing"}, 200, "kept"),
    "pinging": Kind("open", "hang", {"head"}, 600, "pinging"),
}


class Left(NamedTuple):
    """What there is at one moment."""

    objects: dict[str, int]
    fds: int
    tasks: int
    in_flight: int
    held: int
    held_b: int
    waiting: int
    watched: int
    charged_b: int
    open_requests: int

    def is_within(self, other: "Left") -> bool:
        """Whether there is no more of anything; of what was there before, probes of the start may have ended."""
        objects = all(count <= other.objects[kind] for kind, count in self.objects.items())
        return objects and all(mine <= others for mine, others in zip(self[1:], other[1:], strict=True))


class World:
    """One proxy in this process, before engines in this process."""

    def __init__(self, proxy: Proxy, engines: list[Any]) -> None:
        self.proxy = proxy
        self.engines = engines
        host, port = proxy.listen_url.removeprefix("http://").split(":")
        self.address = (host, int(port))
        self.numbers = iter(range(1, 1 << 30))
        self.stood_at: Counter[str] = Counter()
        self.dice = random.Random(7)

    async def leave_at_random(self, kind: Kind) -> None:
        """One client comes, and leaves after some steps of the loop."""
        name = f"r-{next(self.numbers)}"
        client = await connect(self.address, None if kind.reads else 4096)
        if not kind.reads:
            client.transport.pause_reading()
        client.transport.write(self._request(kind, name))
        for _ in range(int(kind.most_steps ** self.dice.random())):
            await asyncio.sleep(0)
        self.stood_at[self._where(name, kind)] += 1
        client.transport.resume_reading()
        client.leave(self.dice.choice(("close", "reset", "half_close")))
        async with asyncio.timeout(REST_S):
            await client.lost

    def _request(self, kind: Kind, name: str) -> bytes:
        headers = (("x-request-id", name), ("x-tidegate-class", kind.traffic_class))
        wire = chat(kind.model, kind.way, 0, pad=kind.pad, headers=headers)
        if kind.form == "chunked":
            wire = chunked(wire)
        elif kind.form == "gzip":
            packed = zlib.compress(wire.partition(b"\r\n\r\n")[2], 1, wbits=31)
            fields = [
                ("x-fake", kind.way),
                *headers,
                ("content-encoding", "gzip"),
                ("content-type", "application/json"),
            ]
            wire = request_bytes("POST", PATH, packed, fields)
        return wire[: self.dice.randrange(200, len(wire))] if kind.cut else wire

    def _where(self, name: str, kind: Kind) -> str:
        """The await at which a request stands."""
        for exchange in self.proxy._running:
            head = exchange._message.head
            if head is not None and head.request_id == name:
                return _await_of(exchange)
        reads = any(connection._reader.state == 2 for connection in self.proxy._edge.connections)
        return "body" if kind.cut and reads else "no request"

    def left(self) -> Left:
        """Without idle connections to engines."""
        proxy = self.proxy
        counts = proxy._scheduler.counts(monotonic())
        assert counts.offered == counts.finished + counts.refused + counts.cancelled + counts.in_flight + counts.held
        driver = proxy._driver
        return Left(
            _objects(),
            len(os.listdir("/proc/self/fd")),
            len(asyncio.all_tasks()),
            counts.in_flight,
            counts.held,
            counts.held_bytes,
            len(driver._boxes),
            len(proxy._lasting.watch._things),
            proxy._lasting.budget.taken_b,
            sum(engine.open_requests for engine in self.engines),
        )

    def forget(self) -> None:
        """What is kept of some hundred requests that ended, on purpose: the page's last ones, and their times."""
        recent, timings = self.proxy._shown.recent, self.proxy._timings
        for kept in (recent._all, recent._notable, timings._young, timings._old):
            kept.clear()

    async def rest(self, most: Left | None = None) -> Left:
        """Waits until nothing runs, and there is no more than `most`."""
        end = monotonic() + REST_S
        while True:
            for backend in self.proxy._backends.values():
                backend.pool.close()
            self.forget()
            await asyncio.sleep(0.02)
            now = self.left()
            if not self.proxy._edge.connections and not now.watched and (most is None or now.is_within(most)):
                return now
            assert monotonic() < end, (now, most)


def _await_of(exchange: Exchange) -> str:
    job, connection = exchange._job, exchange._connection
    if job is None:
        return "parsing"
    if job._reader is not None and not job._out:
        return "held"
    if any(one.task is not None for one in job._out):
        return "race of two" if len(job._out) > 1 else "race"
    relay = job.relay
    if relay is None:
        return "placing"
    if relay.done is not None:
        return "stalled" if connection.write_paused else "stream"
    if relay.connection is None:
        return "connecting"
    return "stream" if connection.head_sent else "head"


def _objects() -> dict[str, int]:
    found = Counter(type(thing) for thing in gc.get_objects() if not _is_of_the_engine(thing))
    return {f"{kind.__module__}.{kind.__name__}": found[kind] for kind in COUNTED}


def _is_of_the_engine(thing: Any) -> bool:
    """CPython before 3.11.9 keeps what waited for a handshake that failed, at the end that accepts (gh-109534): here it
    is the engine's, in the same process."""
    if type(thing) is not asyncio.Future or not thing.done() or thing.cancelled():
        return False
    error = thing.exception()
    steps = traceback.walk_tb(error.__traceback__ if error is not None else None)
    return any(frame.f_code.co_name == "_accept_connection2" for frame, _ in steps)


Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def play(tmp_path: Any, certificate: Certificate, kind: Kind, times: int) -> None:
    """Clients of one kind leave so often."""
    shown, trust = certificate.server_context(), certificate.path
    with deaf_listener() as deaf:
        async with (
            quick_engine("open") as plain,
            quick_engine("narrow") as narrow,
            quick_engine("twice") as twice,
            quick_engine("secure", shown) as secure,
        ):
            entries = {
                "open": [f"{{url: '{plain.url}', name: plain, models: [open]}}"],
                "narrow": [f"{{url: '{narrow.url}', name: narrow, models: [narrow], max_concurrency: 1}}"],
                "twice": [f"{{url: '{twice.url}/{name}', name: {name}, models: [twice]}}" for name in ("one", "two")],
                "secure": [f"{{url: '{secure.url}', name: s, models: [secure], tls: {{ca_file: '{trust}'}}}}"],
                "deaf": [f"{{url: 'http://127.0.0.1:{deaf}', name: deaf, models: [deaf]}}"],
            }
            backends = "".join(f"  - {entry}\n" for entry in entries[kind.model])
            async with before(tmp_path, backends, OPTIONS + "headers: {forward: [x-fake]}\n") as live:
                world = World(live.proxy, [plain, narrow, twice, secure])
                await many(20, 4, lambda _: world.leave_at_random(kind))
                as_before = await world.rest()
                await many(times, 6, lambda _: world.leave_at_random(kind))
                await world.rest(as_before)
                print(dict(world.stood_at))
                assert kind.stands_at <= set(world.stood_at)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_left(tmp_path: Any, certificate: Certificate, run: Run, name: str) -> None:
    run(play(tmp_path, certificate, KINDS[name], TIMES))
