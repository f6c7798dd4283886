"""One connection to an engine, on a transport of ours: framing, reuse, deadlines, and what is never trusted again."""

import asyncio
import itertools
import random
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.faults import Kind, Retry
from tests.unit.live.standins import Receiver, connected, pool

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    "answer", [OK, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"HTTP/1.1 103 Hints\r\nlink: a\r\n\r\n" + OK]
)
@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_an_answer_in_any_cut(answer: bytes, step: int) -> None:
    to = pool()
    connection, transport = connected(to)
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    assert transport.written == REQUEST
    for start in range(0, len(answer), step):
        assert receiver.ends == 0
        connection.data_received(answer[start : start + step])
    assert (receiver.status, receiver.body, receiver.ends, receiver.faults) == (200, b"hi", 1, [])
    assert to.take_idle() is connection
    assert to.take_idle() is None
    assert connection.reused


async def test_a_second_request_on_the_same_connection() -> None:
    to = pool()
    connection, _ = connected(to)
    for _ in range(3):
        receiver = Receiver()
        connection.send(REQUEST, receiver)
        connection.data_received(OK)
        assert (receiver.body, receiver.ends) == (b"hi", 1)
        assert to.take_idle() is connection


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    ],
)
async def test_an_engine_that_says_close_is_not_reused(answer: bytes) -> None:
    to = pool()
    connection, transport = connected(to)
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(answer)
    assert (receiver.ends, transport.closed, to.take_idle()) == (1, True, None)


async def test_a_body_until_the_connection_closes() -> None:
    to = pool()
    connection, _ = connected(to)
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhi")
    assert (receiver.body, receiver.ends) == (b"hi", 0)
    connection.connection_lost(None)
    assert (receiver.ends, receiver.faults, to.open_connections) == (1, [], 0)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_without_a_body(status: bytes) -> None:
    connection, _ = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(b"HTTP/1.1 %b\r\n\r\n" % status)
    assert (receiver.body, receiver.ends) == (b"", 1)


NONSENSE = [
    b"SSH-2.0-OpenSSH\r\n",
    b"HTTP/1.1 200 OK\r\na: \x00\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    b"HTTP/1.1 200 OK\r\na: " + b"x" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: xxxxxxxx\r\n" * 8000 + b"\r\n",
]


@pytest.mark.parametrize("answer", NONSENSE)
async def test_nonsense_is_a_fault_and_the_end_of_the_connection(answer: bytes) -> None:
    to = pool()
    connection, transport = connected(to)
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(answer)
    assert [fault.kind for fault in receiver.faults] == [Kind.NONSENSE]
    assert (transport.closed, to.take_idle()) == (True, None)
    connection.connection_lost(None)
    assert len(receiver.faults) == 1


async def test_an_engine_that_talks_unasked_is_dropped() -> None:
    to = pool()
    connection, transport = connected(to)
    to.idle(connection)
    connection.data_received(OK)
    assert transport.closed
    assert to.take_idle() is None


@pytest.mark.parametrize(
    ("before", "reused", "kind", "retry"),
    [
        (b"", False, Kind.RESET, Retry.SAFE),
        (b"", True, Kind.RESET, Retry.REUSED_CONNECTION_ONLY),
        (b"HTTP/1.1 100 Continue\r\n\r\n", False, Kind.RESET, Retry.SAFE),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi", False, Kind.CUT, Retry.NEVER),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", True, Kind.CUT, Retry.NEVER),
    ],
)
@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_a_lost_connection(
    before: bytes, reused: bool, kind: Kind, retry: Retry, error: Exception | None
) -> None:
    to = pool()
    connection, _ = connected(to)
    if reused:
        connection.send(REQUEST, Receiver())
        connection.data_received(OK)
        assert to.take_idle() is connection
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    if before:
        connection.data_received(before)
    connection.connection_lost(error)
    assert [(fault.kind, fault.retry) for fault in receiver.faults] == [(kind, retry)]
    assert (receiver.ends, to.open_connections) == (0, 0)


async def test_a_body_until_close_that_ends_in_a_reset_is_cut() -> None:
    connection, _ = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhi")
    connection.connection_lost(ConnectionResetError())
    assert [fault.kind for fault in receiver.faults] == [Kind.CUT]


async def test_deadlines_of_an_answer() -> None:
    connection, transport = connected(pool(first_byte_s=50.0, idle_s=20.0, keepalive_s=4.0))
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    assert 45 < connection.deadline - monotonic() <= 50
    connection.data_received(OK[:-1])
    assert 15 < connection.deadline - monotonic() <= 20
    connection.pause()
    assert connection.deadline == float("inf"), "a slow client is not the engine's fault"
    connection.resume()
    assert 15 < connection.deadline - monotonic() <= 20
    connection.data_received(OK[-1:])
    assert 0 < connection.deadline - monotonic() <= 4
    connection.expired(monotonic())
    assert transport.closed
    assert receiver.faults == []


@pytest.mark.parametrize(("before", "kind"), [(b"", Kind.FIRST_BYTE_TIMEOUT), (OK[:-1], Kind.IDLE_TIMEOUT)])
async def test_expired(before: bytes, kind: Kind) -> None:
    connection, transport = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    if before:
        connection.data_received(before)
    connection.expired(monotonic())
    assert [fault.kind for fault in receiver.faults] == [kind]
    assert transport.closed


async def test_an_aborted_receiver_hears_nothing_more() -> None:
    connection, transport = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.abort()
    connection.connection_lost(None)
    assert (receiver.ends, receiver.faults, transport.closed) == (0, [], True)


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


async def test_nobody_listens() -> None:
    from proxy.model.faults import FaultError

    with pytest.raises(FaultError) as raised:
        await pool().connect()
    fault = raised.value.fault
    assert (fault.kind, fault.retry) == (Kind.CONNECT, Retry.SAFE)
    assert "alpha" in fault.message
    await asyncio.sleep(0)


@pytest.mark.parametrize("extra", [OK, OK[:-1], b"HTTP/1.1 200 OK\r\n"])
async def test_an_answer_nobody_asked_for_ends_the_connection(extra: bytes) -> None:
    """Else the next request gets the rest of it as its own answer, or two requests share one connection."""
    to = pool()
    connection, transport = connected(to)
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(OK + extra)
    assert (receiver.body, receiver.ends) == (b"hi", 1)
    assert transport.closed
    assert to.take_idle() is None


async def test_a_pooled_connection_reads() -> None:
    """A slow client pauses the engine while the last bytes of the answer are already read."""
    to = pool()
    connection, transport = connected(to)

    class SlowClient(Receiver):
        def on_body(self, data: bytes) -> None:
            connection.pause()

    connection.send(REQUEST, SlowClient())
    connection.data_received(OK)
    assert to.take_idle() is connection
    assert not transport.is_reading_paused


async def test_trailers_are_never_merged() -> None:
    connection, _ = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(CHUNKED[:-2] + b"x-should-retry: true\r\n\r\n")
    assert receiver.ends == 1
    assert receiver.headers == [(b"transfer-encoding", b"chunked")]


async def test_chunks_that_come_alone_come_with_their_framing() -> None:
    connection, _ = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    head, *chunks = CHUNKED.replace(b"\r\n\r\n", b"\r\n\r\n|", 1).replace(b"0\r\n", b"|3\r\nyou\r\n|0\r\n").split(b"|")
    for piece in (head, *chunks):
        connection.data_received(piece)
    assert (receiver.body, receiver.ends, receiver.chunks) == (b"hiyou", 1, 1)  # the first one told where chunks begin


_PAYLOADS = (b"hi", b"\r\n", b"2\r\nhi\r\n", b"0\r\n\r\n", b"data: {}\n\n", b"x" * 300)
_LINES = (b"%x", b"%X", b"%03x", b'%x;a="b"', b"%x;c")


@given(st.lists(st.tuples(st.sampled_from(_PAYLOADS), st.sampled_from(_LINES)), min_size=1), st.randoms())
def test_chunks_in_any_cut(chunks: list[tuple[bytes, bytes]], dice: random.Random) -> None:
    """Whether the parser or we read a chunk: the same body, and the same end."""
    pieces = [line % len(payload) + b"\r\n" + payload + b"\r\n" for payload, line in chunks]
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(pieces) + b"0\r\n\r\n"
    borders = {answer.find(b"\r\n\r\n") + 4}
    for piece in pieces:
        borders.add(max(borders) + len(piece))
    borders = {at for at in borders if dice.random() < 0.9} | {dice.randrange(len(answer)) for _ in range(3)}
    cuts = [0, *sorted(borders), len(answer)]

    async def play() -> None:
        to = pool()
        connection, _ = connected(to)
        receiver = Receiver()
        connection.send(REQUEST, receiver)
        for start, end in itertools.pairwise(cuts):
            if end > start:
                connection.data_received(answer[start:end])
        assert (receiver.body, receiver.ends, receiver.faults) == (b"".join(p for p, _ in chunks), 1, [])
        assert to.take_idle() is connection

    asyncio.run(play())


@pytest.mark.parametrize("data", [b"zz\r\nhi\r\n", b"2\r\nhi!\r\n", b"2\nhi\r\n", b"2\r\nhi\n\n"])
async def test_nonsense_after_a_chunk(data: bytes) -> None:
    connection, transport = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(CHUNKED[:-5])
    connection.data_received(data)
    connection.data_received(b"2\r\nhi\r\n")
    assert [fault.kind for fault in receiver.faults] == [Kind.NONSENSE]
    assert transport.closed
