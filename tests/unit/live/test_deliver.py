"""The one writer: what it is given may come from anywhere, so that a replay from memory is written like an engine's
answer, and a bad end is told apart from a good one."""

import asyncio
from time import monotonic

import pytest

from proxy.live.answer import Sink
from proxy.live.call import Call
from proxy.live.deliver import Writer
from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ClientConnection, Edge
from proxy.live.downstream.message import Message
from proxy.live.job import JobLoop
from proxy.live.response_headers import ResponseHeaders
from proxy.live.watch import Watch
from proxy.model.classes import StreamSettings
from proxy.model.faults import Fault, Kind, upstream
from proxy.model.limits import Limits
from proxy.model.outcome import SERVED, Outcome, Verdict
from proxy.model.request import Endpoint, Job, Request
from proxy.model.timeline import Timeline
from proxy.wire.cors import Cors
from proxy.wire.headers import HeaderPolicy
from proxy.wire.meter import Meter
from proxy.wire.tokens import CountSource
from proxy.wire.usage import NO_USAGE, Usage
from tests.support.route_engine import RouteEngine
from tests.unit.live.downstream.test_connection import ClientTransport, post
from tests.unit.live.test_job import Bed

SSE = (b"content-type", b"text/event-stream")
JSON = (b"content-type", b"application/json")


class Remembered:
    """A second kind of answer: all of it is in memory."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, done: bool = True) -> None:
        self.backend = "memory"
        self.status, self.headers, self.body = status, headers, body
        self.complete = SSE not in headers
        self.fault: Fault | None = None
        self.meter = Meter()
        self.saw_done, self.has_ended = done, True
        self.saw_error, self.unsent_error, self.last_event = False, b"", b""

    @property
    def events(self) -> "Remembered | None":
        return None if self.complete else self

    def start(self, sink: Sink) -> "asyncio.Future[None]":
        sink.send(self.body)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def on_pause(self, paused: bool) -> None:
        """All was written at once."""

    def usage(self) -> Usage:
        return NO_USAGE

    def token_source(self) -> CountSource:
        return CountSource.ESTIMATE


class Desk:
    """A client's connection whose requests are answered from memory."""

    def __init__(self, answer: Remembered, ping_s: float = 0.0, wait_s: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        self._answer, self._ping_s, self._wait_s = answer, ping_s, wait_s
        self._marks = ResponseHeaders(lambda tenant, now: None, "goodput", Cors((), 60.0), monotonic, monotonic)
        self.outcome: Outcome | None = None
        edge = Edge(
            self._handle,
            limits=Limits(),
            policy=HeaderPolicy(()),
            new_id=lambda: "made",
            watch=Watch(loop, monotonic),
            loop=loop,
            max_connections=10,
            budget=Budget(1 << 20),
        )
        self.connection, self.transport = edge.connection(), ClientTransport()
        self.connection.connection_made(self.transport)

    async def asked(self) -> bytes:
        self.connection.data_received(post(b"{}"))
        async with asyncio.timeout(5):
            while self.outcome is None:
                await asyncio.sleep(0.001)
        return self.transport.written

    async def _handle(self, connection: ClientConnection, message: Message) -> None:
        line = Timeline(monotonic())
        writer = Writer(connection, message, line, self._marks)
        writer.ping_s = self._ping_s
        request = Request("r", "POST", "/v1/chat/completions", Endpoint.CHAT, "m", stream=True)
        call = Call(request, Job(1, "m"), [], b"", StreamSettings(), line, Meter())
        nowhere = RouteEngine({})
        nowhere.url = "http://127.0.0.1:9"
        job = JobLoop(Bed({"a": nowhere}).jobs, call, {})
        await writer.with_pings(asyncio.sleep(self._wait_s))
        self.outcome = await writer.deliver(job, self._answer)
        connection.finished()


async def test_a_whole_answer_from_memory() -> None:
    desk = Desk(Remembered(200, [JSON, (b"x-engine", b"1")], b'{"id":"x"}'))
    written = await desk.asked()
    assert written.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nx-request-id: made\r\n" in written
    assert written.endswith(b'\r\n\r\n{"id":"x"}')
    assert desk.outcome == SERVED


@pytest.mark.parametrize("done", [True, False])
async def test_a_stream_from_memory_owes_no_done_of_an_engine(done: bool) -> None:
    desk = Desk(Remembered(200, [SSE], b"data: {}\n\n", done=done))
    written = await desk.asked()
    assert b"data: {}\n\n" in written
    assert written.endswith(b"0\r\n\r\n")
    assert desk.outcome == SERVED


async def test_a_stream_that_broke_off_ends_with_an_error_and_the_connection() -> None:
    answer = Remembered(200, [SSE], b"data: {}\n\n", done=False)
    answer.fault = upstream(Kind.RESET, "cut")
    desk = Desk(answer)
    written = await desk.asked()
    assert b'"error"' in written
    assert desk.outcome is not None
    assert (desk.outcome.verdict, desk.outcome.end_code) == (Verdict.FAILED, "US")
    assert desk.connection.closing


async def test_an_error_is_written_as_the_asked_api_writes_it() -> None:
    desk = Desk(Remembered(429, [JSON], b'{"detail":"slow down"}'))
    written = await desk.asked()
    assert written.startswith(b"HTTP/1.1 429 ")
    assert b'"error"' in written
    assert b"slow down" in written
    assert b"\r\nretry-after: 1\r\n" in written
    assert desk.outcome is not None
    assert desk.outcome.end_code == "UH"


async def test_silence_is_filled_and_an_error_after_it_is_an_event() -> None:
    desk = Desk(Remembered(500, [JSON], b'{"error":{"message":"boom"}}'), ping_s=0.01, wait_s=0.05)
    written = await desk.asked()
    assert written.startswith(b"HTTP/1.1 200 ")
    assert b": ping\n" in written
    assert b"data: " in written
    assert b"boom" in written
