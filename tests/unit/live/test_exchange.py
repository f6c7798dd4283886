"""One request from its bytes to its record, whatever happens on the way; time is advanced, not waited for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from proxy.config.plain import read
from proxy.core.tenancy.classify import Classifier
from proxy.live.account import Accounts
from proxy.live.background.address_space import AddressSpace
from proxy.live.background.memory import MemoryGuard
from proxy.live.background.stream_watch import StreamWatch
from proxy.live.catalogue import ModelList
from proxy.live.downstream.bodies import Bodies
from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ClientConnection, Edge
from proxy.live.exchange import Exchange, Exchanges
from proxy.live.job_builder import JobBuilder
from proxy.live.own import OwnAnswers
from proxy.live.request_parser import RequestParser
from proxy.live.response_headers import ResponseHeaders
from proxy.live.serving import Serving
from proxy.live.short_first import ShortFirst
from proxy.live.timings import Timings
from proxy.live.watch import Watch
from proxy.model.classes import with_built_in
from proxy.model.faults import Kind, internal
from proxy.model.limits import Limits, MemoryLimits
from proxy.model.timings import StageSettings, TimingSettings
from proxy.obs.record import Record
from proxy.obs.stage_metrics import StageMetrics
from proxy.wire.cors import Cors
from proxy.wire.headers import HeaderPolicy
from proxy.wire.hops import Hops
from tests.support.route_engine import route_engine
from tests.unit.live.downstream.test_connection import ClientTransport
from tests.unit.live.test_job import GOOD, PATH, Bed, hangs

CHAT = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'


def post(body: bytes, header: bytes = b"x-none: 1") -> bytes:
    line = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n%b\r\n" % (PATH.encode(), header)
    return b"%bcontent-length: %d\r\n\r\n%b" % (line, len(body), body)


class House(Bed):
    """All that a request passes, with its edge before and two engines behind."""

    def __init__(self, engines: dict[str, Any], why_not_ready: Callable[[], str | None]) -> None:
        super().__init__(engines)
        loop, limits, cors = asyncio.get_running_loop(), Limits(), Cors((), 60.0)
        self.records: list[Record] = []
        self.running = set[Exchange]()
        self.rss_b = 0
        self.memory = MemoryGuard(
            read(MemoryLimits, {"limit": "1GiB"}),
            lambda: None,
            lambda: None,
            lambda: self.rss_b,
            AddressSpace(lambda: None),
        )
        self.budget = Budget(1 << 20)
        models = ModelList(self.scheduler, 0)
        builder = self.builder = JobBuilder(Classifier(with_built_in(()), [], 2048), models, None, foresees=True)
        watch = self.watch = StreamWatch(self.running, self.driver, self.scheduler.gives_up, None, self.clock)
        self.response_headers = ResponseHeaders(self.scheduler.quota_for, "goodput", cors, self.clock, self.clock)
        self.stages = StageMetrics({"retrieval": StageSettings(budget=0.1)})
        self.timings = Timings(TimingSettings(), self.stages, self.clock)
        self.accounts = Accounts(
            self.budget,
            builder,
            watch,
            self.scheduler.upstream_model,
            self.records.append,
            self.clock,
            self.timings,
        )
        self.serving = Serving(
            RequestParser(limits, self.memory, Bodies(limits, self.budget, loop), Hops("me"), self.backends),
            OwnAnswers(models, builder.models_of, self.backends.values(), why_not_ready, cors, self.timings),
            builder,
            self.jobs,
            self.accounts,
            self.response_headers,
            ShortFirst(self.clock, is_on=False),
        )
        exchanges = self.exchanges = Exchanges(self.serving, self.running)
        self.edge = Edge(
            exchanges.handle,
            limits=limits,
            policy=HeaderPolicy(()),
            new_id=lambda: "made",
            watch=Watch(loop, monotonic),
            loop=loop,
            max_connections=10,
            budget=self.budget,
        )

    def client(self, data: bytes) -> tuple[ClientConnection, ClientTransport]:
        connection, transport = self.edge.connection(), ClientTransport()
        connection.connection_made(transport)
        connection.data_received(data)
        return connection, transport

    async def told(self, count: int = 1) -> Record:
        """The last of so many records; nothing is left of its request."""
        async with asyncio.timeout(5):
            while len(self.records) < count or self.running:
                await asyncio.sleep(0.001)
        counts = self.counts
        assert (counts.in_flight, counts.held, self.budget.taken_b, len(self.records)) == (0, 0, 0, count)
        return self.records[-1]


@asynccontextmanager
async def house(answer: Any, why_not_ready: Callable[[], str | None] = lambda: None) -> AsyncIterator[House]:
    async def said(request: web.Request) -> web.StreamResponse:
        found: web.StreamResponse = (
            await answer(request) if callable(answer) else web.Response(status=answer[0], text=answer[1])
        )
        return found

    async with route_engine({PATH: said}) as a, route_engine({PATH: said}) as b:
        made = House({"a": a, "b": b}, why_not_ready)
        yield made
        for backend in made.backends.values():
            backend.pool.close()


async def test_a_served_request_is_told_once_with_all_that_is_known_of_it() -> None:
    async with house(GOOD) as one:
        _, transport = one.client(post(CHAT))
        record = await one.told()
        assert transport.written.endswith(b'\r\n\r\n{"id":"x"}')
        assert (record.status, record.outcome.end_code, record.endpoint) == (200, "--", "chat.completions")
        assert (record.path, record.model_asked, record.model_served) == (PATH, "m", "m")
        assert (record.attempts, record.backend in one.backends, record.body_bytes) == (1, True, len(CHAT))
        line = record.timeline
        assert line.received == line.understood == line.released == line.done == one.now, "one clock tells all"


@pytest.mark.parametrize(
    ("wire", "status", "path"),
    [
        (b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", 200, "/v1/models"),
        (b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n", 503, "/health"),
        (b"OPTIONS /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", 204, "/v1/models"),
        (b"GET /nowhere?key=1 HTTP/1.1\r\nhost: x\r\n\r\n", 404, "/nowhere"),
        (b"nonsense\r\n\r\n", 400, ""),
        (post(b"no JSON"), 400, PATH),
    ],
)
async def test_what_no_engine_is_asked_for_is_told_too(wire: bytes, status: int, path: str) -> None:
    async with house(GOOD, lambda: "starting") as one:
        _, transport = one.client(wire)
        record = await one.told()
        assert (record.status, record.path, record.backend, record.attempts) == (status, path, "", 0)
        assert transport.written.startswith(b"HTTP/1.1 %d " % status)
        assert record.outcome.end_code == ("--" if record.outcome.fault is None else "CR")


async def test_a_client_that_leaves_is_told_as_far_as_its_answer_was() -> None:
    async with house(hangs) as one:
        connection, _ = one.client(post(CHAT))
        await one.asked(1)
        connection.connection_lost(None)
        record = await one.told()
        assert (record.outcome.end_code, record.attempts) == ("CH", 1)


async def test_what_a_drain_cuts_is_told_the_client() -> None:
    async with house(hangs) as one:
        _, transport = one.client(post(CHAT))
        await one.asked(1)
        for exchange in list(one.running):
            exchange.cut(internal(Kind.DRAINING, "enough"))
        record = await one.told()
        assert record.outcome.fault is not None
        assert record.outcome.fault.kind is Kind.DRAINING
        assert transport.written.startswith(b"HTTP/1.1 503 ")


async def test_bulk_is_refused_while_memory_is_tight_and_others_are_not() -> None:
    async with house(GOOD) as one:
        one.rss_b = int(0.94 * (1 << 30))
        one.memory.check()
        assert (one.memory.is_tight, one.memory.is_full) == (True, False)
        one.client(post(CHAT))
        assert (await one.told(1)).status == 200
        one.client(post(CHAT, b"x-tidegate-class: bulk"))
        record = await one.told(2)
        assert record.outcome.fault is not None
        assert (record.outcome.fault.kind, record.outcome.end_code, record.attempts) == (Kind.MEMORY, "PQ", 0)


async def test_a_bug_becomes_one_500_and_the_next_request_is_served(caplog: pytest.LogCaptureFixture) -> None:
    def breaks() -> str | None:
        raise ZeroDivisionError

    async with house(GOOD, breaks) as one:
        with caplog.at_level(logging.ERROR):
            connection, transport = one.client(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            record = await one.told()
        assert (record.status, record.outcome.end_code[0]) == (500, "P")
        assert "ZeroDivisionError" in caplog.text
        transport.written = b""
        connection.data_received(post(CHAT))
        assert (await one.told(2)).status == 200


async def test_nothing_streams_before_it_is_a_job() -> None:
    async with house(hangs) as one:
        one.client(post(CHAT, b"x-tidegate-class: bulk"))
        (exchange,) = [*one.running] or [None]
        assert exchange is None or exchange.streaming is None
        await one.asked(1)
        (exchange,) = one.running
        assert exchange is not None
        streaming = exchange.streaming
        assert streaming is not None
        assert (streaming.endpoint, streaming.traffic_class) == ("chat.completions", "bulk")
        assert exchange.attempt_id > 0
        assert not exchange.fits("a"), "no stream"
        exchange.cut(internal(Kind.DRAINING, "enough"))
        await one.told()
