"""The client's connection on a transport of ours: requests in any cut, limits at their edge, order, endings."""

import asyncio
import gc
from itertools import pairwise

import pytest

from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ANSWERING, GONE, LINGERING, READING, ClientConnection, Edge
from proxy.live.downstream.message import Message
from proxy.live.downstream.reader import Reader
from proxy.live.watch import Watch
from proxy.model.faults import Kind
from proxy.model.limits import BodyLimits, ConnectionLimits, HeadLimits, Limits
from proxy.wire.headers import HeaderPolicy
from tests.support.virtual_time import Clock
from tests.unit.live.standins import Transport

GET = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(b"%b\r\n" % header for header in headers)
    return b"POST /v1/completions HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, len(body), body)


class ClientTransport(Transport):
    """What the edge asks of a server's transport."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent_b = 0
        self.sent_eof = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.marks = (high, low)

    def get_write_buffer_size(self) -> int:
        return self.unsent_b

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.sent_eof = True


class Server:
    """An edge whose handler answers each request with its number, when told to, or at once."""

    def __init__(self, limits: Limits | None = None, max_connections: int = 10, at_once: bool = True) -> None:
        self.clock = Clock()
        self.messages: list[Message] = []
        self.go_on = asyncio.Event()
        if at_once:
            self.go_on.set()
        loop = asyncio.get_running_loop()
        self.budget = Budget(1 << 30)
        self.edge = Edge(
            self.handle,
            limits=limits or Limits(),
            policy=HeaderPolicy(),
            new_id=lambda: "id",
            watch=Watch(loop, self.clock),
            loop=loop,
            max_connections=max_connections,
            budget=self.budget,
        )

    async def handle(self, connection: ClientConnection, message: Message) -> None:
        self.messages.append(message)
        number = len(self.messages)
        try:
            await self.go_on.wait()
            if message.fault is None:
                connection.respond(200, [], b"%d" % number)
            else:
                connection.respond(400, [], message.fault.kind.value.encode())
        finally:
            connection.finished()

    def connect(self) -> tuple[ClientConnection, ClientTransport]:
        connection, transport = self.edge.connection(), ClientTransport()
        connection.connection_made(transport)
        return connection, transport

    @property
    def kinds(self) -> list[Kind | None]:
        return [message.fault.kind if message.fault else None for message in self.messages]


async def settled() -> None:
    """Until every handler that can go on has done so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def sent(server: Server, *pieces: bytes) -> ClientTransport:
    connection, transport = server.connect()
    for piece in pieces:
        if not transport.closed:
            connection.data_received(piece)
        await settled()
    return transport


@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_a_request_in_any_cut(step: int) -> None:
    server = Server()
    raw = post(b'{"a":1}', b"Content-Type: application/json")
    transport = await sent(server, *(raw[i : i + step] for i in range(0, len(raw), step)))
    (message,) = server.messages
    assert message.head is not None
    assert (message.body, message.keep_alive, message.head.content_type) == (b'{"a":1}', True, b"application/json")
    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not transport.sent_eof


async def test_a_chunked_request() -> None:
    server = Server()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    await sent(server, head + b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n0\r\nHost: evil\r\n", b"\r\n" + GET)
    assert [message.body for message in server.messages] == [b"abcde", b""]
    head_of_first = server.messages[0].head
    assert head_of_first is not None
    assert head_of_first.host == b"a", "a trailer is never merged"


async def test_pipelined_requests_are_answered_in_order() -> None:
    server = Server()
    transport = await sent(server, post(b"1") + post(b"2") + GET)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in transport.written.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"1", b"2", b"3"]


async def test_one_at_a_time() -> None:
    server = Server(at_once=False)
    transport = await sent(server, GET + GET)
    assert (len(server.messages), transport.written) == (1, b"")
    server.go_on.set()
    await settled()
    assert len(server.messages) == 2


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_how_many_may_wait(over: int) -> None:
    server = Server(Limits(connections=ConnectionLimits(pipeline=3)), at_once=False)
    transport = await sent(server, GET * (1 + 3 + over))
    server.go_on.set()
    await settled()
    assert len(server.messages) == min(4, 4 + over)
    assert transport.sent_eof is (over > 0)


async def test_junk_behind_a_request_is_answered_in_its_turn() -> None:
    server = Server()
    transport = await sent(server, GET + b"\x16\x03\x01junk\r\n\r\n")
    assert server.kinds[0] is None
    assert server.kinds[1] in (Kind.MALFORMED, Kind.METHOD)
    assert transport.written.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 400" in transport.written
    assert transport.sent_eof


HEAD = HeadLimits(total=1 << 10, field=256)


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_the_size_of_one_header(over: int) -> None:
    server = Server(Limits(head=HEAD))
    await sent(server, GET[:-2] + b"x: " + b"a" * (255 + over) + b"\r\n\r\n")
    assert server.kinds == [Kind.HEAD_TOO_LARGE if over > 0 else None]


@pytest.mark.parametrize("step", [1, 100, 10_000])
async def test_all_headers_together(step: int) -> None:
    server = Server(Limits(head=HEAD))
    raw = GET[:-2] + b"x: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 60 + b"\r\n"
    transport = await sent(server, *(raw[i : i + step] for i in range(0, len(raw), step)))
    assert server.kinds == [Kind.HEAD_TOO_LARGE]
    assert transport.sent_eof


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_the_size_of_a_body(over: int) -> None:
    server = Server(Limits(body=BodyLimits(size=1 << 10)))
    raw = post(bytes(1024 + over))
    transport = await sent(server, raw[: raw.index(b"\r\n\r\n") + 4])
    assert server.kinds == ([Kind.BODY_TOO_LARGE] if over > 0 else []), "said before it is sent"
    assert transport.sent_eof is (over > 0)
    server = Server(Limits(body=BodyLimits(size=1 << 10)))
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (1024 + over, bytes(1024 + over))
    await sent(server, b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
    assert server.kinds == [Kind.BODY_TOO_LARGE if over > 0 else None]


async def test_expect_continue() -> None:
    raw = post(b"abc", b"Expect: 100-continue")
    head, body = raw[:-3], raw[-3:]
    transport = await sent(Server(), head, body)
    assert transport.written.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_an_upgrade_is_ignored() -> None:
    server = Server()
    transport = await sent(server, GET[:-2] + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
    assert server.kinds == [None]
    assert transport.written.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("raw", "closes"),
    [
        (GET, False),
        (GET[:-2] + b"Connection: close\r\n\r\n", True),
        (GET.replace(b"1.1", b"1.0"), True),
        (GET.replace(b"1.1", b"1.0")[:-2] + b"Connection: keep-alive\r\n\r\n", False),
    ],
)
async def test_who_closes(raw: bytes, closes: bool) -> None:
    transport = await sent(Server(), raw)
    assert transport.sent_eof is closes
    assert (b"connection: close" in transport.written) is closes


@pytest.mark.parametrize(("version", "body"), [(b"1.1", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), (b"1.0", b"abc")])
async def test_a_flowing_body(version: bytes, body: bytes) -> None:
    """What comes as a chunk leaves as that chunk, unless the client knows no chunks."""
    server = Server(at_once=False)
    connection, transport = server.connect()
    connection.data_received(GET.replace(b"1.1", version))
    await settled()
    connection.begin(200, [], None)
    assert not connection.sent
    connection.send(b"a")
    connection.send_chunk(b"bc", b"2\r\nbc\r\n")
    connection.end()
    assert connection.sent
    assert transport.written.partition(b"\r\n\r\n")[2] == body
    connection.connection_lost(None)
    connection.send(b"nobody hears")
    await settled()


async def test_a_client_that_leaves_takes_its_handler_with_it() -> None:
    server = Server(at_once=False)
    connection, _ = server.connect()
    connection.data_received(GET + GET)
    await settled()
    task = connection._task
    assert task is not None
    connection.connection_lost(None)
    await settled()
    assert task.cancelled()
    assert len(server.messages) == 1, "what waited behind it is dropped"
    assert server.edge.connections == set()


async def test_too_many_connections() -> None:
    server = Server(max_connections=2)
    for _ in range(2):
        assert not server.connect()[1].closed
    _, transport = server.connect()
    assert transport.closed
    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert b'"too_many_connections"' in transport.written
    assert server.edge.refused == 1
    assert len(server.edge.connections) == 2


async def test_deadlines() -> None:
    limits = Limits()
    server = Server(limits, at_once=False)
    connection, _ = server.connect()
    clock = server.clock
    assert connection.deadline == clock.now + limits.head.timeout
    clock.now += 5.0
    connection.data_received(GET[:10])
    assert connection.deadline == clock.now + limits.head.timeout
    clock.now += 1.0
    connection.data_received(GET[10:])
    assert connection.deadline == float("inf"), "an engine may take its time"
    server.go_on.set()
    await settled()
    assert connection.deadline == clock.now + limits.connections.idle


async def test_a_slow_reader_has_time_as_long_as_it_reads() -> None:
    server = Server(at_once=False)
    connection, transport = server.connect()
    connection.data_received(GET)
    await settled()
    told: list[bool] = []
    connection.on_pause = told.append
    transport.unsent_b = 100
    connection.pause_writing()
    now, stall_s = server.clock.now, Limits().connections.write_stall
    assert connection.deadline <= now + stall_s
    transport.unsent_b = 99
    for look in range(int(stall_s)):
        connection.expired(now + look)
        assert not transport.closed
        assert not connection.stalled
    connection.expired(now + stall_s)
    assert transport.closed
    assert connection.stalled
    connection.resume_writing()
    assert told == [True, False]


async def test_draining_closes_what_is_idle_and_lets_answers_end() -> None:
    server = Server(at_once=False)
    _, idle = server.connect()
    busy_connection, busy = server.connect()
    busy_connection.data_received(GET)
    await settled()
    server.edge.drain()
    assert idle.closed
    assert not busy.closed
    server.go_on.set()
    await settled()
    assert b"connection: close" in busy.written
    assert busy.sent_eof


CLOSING = GET[:-2] + b"Connection: close\r\n\r\n"


async def test_a_complete_answer_is_delivered_as_slowly_as_it_is_read() -> None:
    server = Server()
    connection, transport = server.connect()
    transport.unsent_b = 1000
    connection.data_received(CLOSING)
    await settled()
    assert transport.sent_eof
    assert server.edge.is_delivering()
    now, stall_s = server.clock.now, Limits().connections.write_stall
    for transport.unsent_b in (900, 10, 0):
        now += stall_s * 0.9
        connection.expired(now)
        assert not transport.closed, "it reads"
        assert connection.deadline <= now + 1.0
    assert not server.edge.is_delivering()
    connection.expired(now + 1.0)
    assert transport.closed
    assert not connection.stalled


async def test_who_takes_nothing_of_a_complete_answer_is_given_up() -> None:
    server = Server()
    connection, transport = server.connect()
    transport.unsent_b = 1000
    connection.data_received(CLOSING)
    await settled()
    now, stall_s = server.clock.now, Limits().connections.write_stall
    for look in range(int(stall_s)):
        connection.expired(now + look)
        assert not transport.closed
    connection.expired(now + stall_s)
    assert transport.closed
    assert connection.stalled


async def test_what_is_sent_after_an_early_answer_is_dropped_for_a_while() -> None:
    """As long as it comes, but not for ever: a reset would destroy the answer."""
    server = Server(Limits(body=BodyLimits(size=1 << 10)))
    connection, transport = server.connect()
    connection.data_received(post(bytes(2000))[:100])
    await settled()
    begin, last = connection.deadline, 0.0
    for _ in range(1000):
        connection.data_received(b"x" * 1000)
        last = connection.deadline
    assert begin <= last <= server.clock.now + 1.0
    while connection.deadline > server.clock.now:
        server.clock.now += 0.5
        assert server.clock.now < begin + 60.0, "not for ever"
        connection.data_received(b"x")
    connection.expired(server.clock.now)
    assert transport.closed


async def test_a_drain_lets_slow_readers_of_idle_connections_finish() -> None:
    server = Server()
    connection, transport = server.connect()
    connection.data_received(GET)
    await settled()
    transport.unsent_b = 5
    server.edge.drain()
    assert transport.sent_eof
    assert not transport.closed
    assert server.edge.is_delivering()


@pytest.mark.parametrize("cut", ["in the body", "behind it", "answering", "queued", "before its handler began"])
async def test_a_cut_gives_everything_back(cut: str) -> None:
    """The budget at once, and no object waits for a collection."""
    server = Server(at_once=cut == "behind it")
    gc.collect()
    gc.disable()
    try:
        connection, transport = server.connect()
        raw = post(bytes(100_000))
        connection.data_received(raw[:-1] if cut == "in the body" else raw * 2 if cut == "queued" else raw)
        if cut != "before its handler began":
            await settled()
        assert server.budget.free_b < server.budget.total_b or cut == "behind it"
        connection.connection_lost(None)
        assert server.budget.free_b == server.budget.total_b
        await settled()
        server.messages.clear()
        del connection, transport
        await settled()
        left = [each for each in gc.get_objects() if isinstance(each, ClientConnection | Reader | ClientTransport)]
        assert not left
    finally:
        gc.enable()


@pytest.mark.parametrize("end", [b"", b"0\r\n\r\n"])
async def test_bodies_are_charged_twice_their_size(end: bytes) -> None:
    server = Server(at_once=False)
    connection, _ = server.connect()
    connection.data_received(post(bytes(100_000))[:-1])
    assert server.budget.total_b - server.budget.free_b == 200_000
    connection.data_received(b"x")
    await settled()
    assert connection.take_charge() == 200_000
    assert connection.take_charge() == 0


async def test_a_spent_budget_is_said_before_the_body_is_read() -> None:
    server = Server()
    server.budget.take(server.budget.total_b - 1000)
    connection, transport = server.connect()
    connection.data_received(post(bytes(501)))
    await settled()
    assert server.kinds == [Kind.MEMORY]
    assert transport.sent_eof
    assert (await sent(server, post(bytes(500)))).written.startswith(b"HTTP/1.1 200")
    assert server.budget.free_b == 1000
    head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    await sent(server, head, b"3\r\nabc\r\n")
    assert server.kinds[-1] is Kind.MEMORY
    assert server.budget.free_b == 1000


async def test_a_body_behind_an_answer_is_welcome_when_its_turn_comes() -> None:
    server = Server(at_once=False)
    connection, transport = server.connect()
    connection.data_received(GET + post(b"abc", b"Expect: 100-continue")[:-3])
    await settled()
    assert b"100 Continue" not in transport.written
    server.go_on.set()
    await settled()
    assert transport.written.endswith(b"HTTP/1.1 100 Continue\r\n\r\n")


async def test_a_steady_upload_has_no_end() -> None:
    server = Server()
    connection, transport = server.connect()
    raw = post(bytes(1 << 20))
    connection.data_received(raw[:1000])
    for day in range(1, 4):
        server.clock.now += 86_400.0
        connection._reader.body_b = 1 << 30
        connection.data_received(b"x")
        assert connection.deadline > server.clock.now, day
    connection._reader.body_b = 0
    connection.data_received(b"x")
    connection.expired(server.clock.now)
    await settled()
    assert transport.written.startswith(b"HTTP/1.1 400"), "slower than it may be on average"


LARGE = post(bytes(300_000))
BORDER = LARGE.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize("borders", [[0, BORDER, len(LARGE)], [0, BORDER + 1, len(LARGE)]])
async def test_a_large_body_in_one_large_read(borders: list[int]) -> None:
    """The head comes first, then up to 256 KiB at once: so do honest clients send."""
    server = Server()
    await sent(server, *(LARGE[a:b] for a, b in pairwise(borders)))
    assert server.kinds == [None]


async def test_one_refusal_is_enough() -> None:
    server = Server()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    await sent(server, head, b"1;" + b"x" * 70_000 + b"\r\na\r\nnot hex\r\n")
    assert len(server.messages) == 1


async def test_a_slow_body_behind_an_answer_does_not_end_the_answer() -> None:
    server = Server(at_once=False)
    connection, transport = server.connect()
    connection.data_received(GET + post(b"abc")[:-1])
    await settled()
    connection.data_received(b"")
    connection.deadline = 0.0
    for _ in range(3):
        if connection.deadline <= server.clock.now:
            connection.expired(server.clock.now)
    server.go_on.set()
    await settled()
    assert not transport.closed


async def test_the_states_of_a_connection() -> None:
    server = Server(at_once=False)
    connection, transport = server.connect()
    assert connection.state == READING
    connection.data_received(post(b"1") + GET.replace(b"Host: a", b"Host: a\r\nConnection: close"))
    assert connection.state == ANSWERING
    server.go_on.set()
    await settled()
    assert (connection.state, transport.sent_eof) == (LINGERING, True)
    connection.data_received(GET)
    assert len(server.messages) == 2, "what comes behind our FIN is dropped"
    connection.connection_lost(None)
    assert connection.state == GONE
    assert not server.edge.connections


async def test_a_client_that_left_while_it_was_answered_stays_gone() -> None:
    server = Server(at_once=False)
    connection, _ = server.connect()
    connection.data_received(GET)
    await settled()
    connection.connection_lost(None)
    await settled()
    assert connection.state == GONE
