"""One connection to an engine, on a transport of ours: framing, reuse, deadlines, and what is never trusted again."""

import asyncio
import itertools
import random
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.live.upstream.connection import UpstreamConnection
from proxy.model.faults import Kind, Retry
from tests.support.virtual_time import Clock
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
    b"HTTP/1.1 000 Zero\r\ncontent-length: 2\r\n\r\nhi" + OK,
    b"HTTP/1.1 099 Below\r\ncontent-length: 2\r\n\r\nhi" + OK,
    b"HTTP/1.1 600 Above\r\ncontent-length: 2\r\n\r\nhi",
    b"HTTP/1.1 999 Far above\r\ncontent-length: 2\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n" * 4000,
    b"HTTP/1.1 102 Processing\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" + OK,
]


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: repr(answer[:60]))
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
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi", False, Kind.CUT, Retry.SAFE),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", True, Kind.CUT, Retry.SAFE),
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
    clock = Clock()
    connection, transport = connected(pool(clock, first_byte_s=50.0, idle_s=20.0, keepalive_s=4.0))
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    assert connection.deadline == clock.now + 50.0
    clock.now += 30.0
    connection.data_received(OK[:-1])
    connection.answer_begun(clock.now)
    assert connection.deadline == clock.now + 20.0
    connection.pause()
    assert connection.deadline == float("inf"), "a slow client is not the engine's fault"
    clock.now += 3600.0
    connection.resume()
    assert connection.deadline == clock.now + 20.0
    connection.data_received(OK[-1:])
    assert connection.deadline == clock.now + 4.0
    connection.expired(connection.deadline)
    assert transport.closed
    assert receiver.faults == []


@pytest.mark.parametrize(("before", "kind"), [(b"", Kind.FIRST_BYTE_TIMEOUT), (OK[:-1], Kind.IDLE_TIMEOUT)])
async def test_expired(before: bytes, kind: Kind) -> None:
    connection, transport = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    if before:
        connection.data_received(before)
    connection.expired(connection.deadline)
    assert [fault.kind for fault in receiver.faults] == [kind]
    assert transport.closed


async def test_an_aborted_receiver_hears_nothing_more() -> None:
    connection, transport = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.abort()
    connection.connection_lost(None)
    assert (receiver.ends, receiver.faults, transport.closed) == (0, [], True)


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
        def on_body(self, data: bytes, now: float) -> None:
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


# --- what moves a deadline


def left_s(connection: UpstreamConnection) -> float:
    return connection.deadline - connection.watch.clock()


VAIN = {
    "a head byte by byte": (b"", b"HTTP/1.1 200 OK\r\na: b"),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hints\r\na: b\r\n\r\n"),
    "a chunk extension": (CHUNKED[:-5], b"2;" + b"x" * 40),
    "a chunk extension in mid stream": (CHUNKED[:-5] + b"2\r\nhi\r\n", b"2;" + b"x" * 40),
    "a size with leading zeros": (CHUNKED[:-5], b"0" * 12),
    "trailers": (CHUNKED[:-2], b"a: b\r\nc: d\r\n"),
    "one long trailer": (CHUNKED[:-2], b"a: " + b"b" * 40),
}


@pytest.mark.parametrize(("before", "vain"), VAIN.values(), ids=VAIN.keys())
async def test_bytes_that_carry_nothing_move_no_deadline(before: bytes, vain: bytes) -> None:
    clock = Clock()
    connection, _ = connected(pool(clock, first_byte_s=5.0, idle_s=3.0))
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    if before:
        connection.data_received(before)
    at = connection.deadline
    for byte in vain:
        clock.now += 0.05
        connection.data_received(bytes([byte]))
    assert connection.deadline == at
    assert (receiver.ends, receiver.faults) == (0, [])


@pytest.mark.parametrize(
    ("before", "more"),
    [
        (b"HTTP/1.1 200 OK\r\na: ", b"b"),
        (b"HTTP/1.1 200 ", b"O"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (CHUNKED[:-5] + b"2;", b"x"),
        (CHUNKED[:-2], b"a: b\r\n"),
        (CHUNKED[:-2] + b"a: ", b"b"),
    ],
)
async def test_framing_without_end_is_bounded(before: bytes, more: bytes) -> None:
    connection, transport = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    if before:
        connection.data_received(before)
    fed = 0
    while not transport.closed:
        connection.data_received(more * 64)
        fed += 64 * len(more)
        assert fed < 80_000
    assert fed > 60_000
    assert [fault.kind for fault in receiver.faults] == [Kind.NONSENSE]


async def test_a_thought_inside_an_answer_may_last_as_long_as_the_first() -> None:
    clock = Clock()
    connection, _ = connected(pool(clock, first_byte_s=600.0, idle_s=60.0))
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ntext\r\n")
    connection.answer_begun(clock.now)
    receiver.thinks = True
    clock.now = connection.deadline
    connection.expired(clock.now)
    assert left_s(connection) == 540.0, "600 s since the text"
    assert receiver.faults == []
    clock.now = connection.deadline
    connection.expired(clock.now)
    assert [fault.kind for fault in receiver.faults] == [Kind.IDLE_TIMEOUT]


async def test_a_head_gives_the_body_as_long_as_a_first_byte_may_take() -> None:
    """Some engines send the head first and think then."""
    clock = Clock()
    connection, _ = connected(pool(clock, first_byte_s=50.0, idle_s=3.0))
    connection.send(REQUEST, Receiver())
    clock.now += 49.0
    connection.data_received(CHUNKED[:-12])
    assert left_s(connection) == 50.0
    connection.answer_begun(clock.now)
    connection.data_received(b"2\r\nhi")
    assert left_s(connection) == 3.0


async def test_what_the_receiver_calls_vain_lasts_as_long_as_a_first_byte_may_take() -> None:
    clock = Clock()
    connection, _ = connected(pool(clock, first_byte_s=5.0, idle_s=3.0))
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(CHUNKED[:-5])
    connection.answer_begun(clock.now)
    connection.in_vain(clock.now, anew=False)
    assert left_s(connection) == 3.0, "not more than silence is given"
    for seconds in (2.0, 2.0):
        clock.now += seconds
        connection.data_received(b"6\r\n: on\n\n\r\n")
        connection.in_vain(clock.now, anew=False)
    assert left_s(connection) == 1.0
    connection.data_received(b"2\r\nhi\r\n")
    connection.in_vain(clock.now, anew=True)
    assert left_s(connection) == 3.0, "something came in between"
    for seconds in (2.5, 2.5):
        clock.now += seconds
        connection.data_received(b"6\r\n: on\n\n\r\n")
        connection.in_vain(clock.now, anew=False)
    assert left_s(connection) == 0.0
    connection.expired(clock.now)
    assert [fault.kind for fault in receiver.faults] == [Kind.IDLE_TIMEOUT]
    assert "no further for 5 s" in receiver.faults[0].message


async def test_a_pause_of_the_client_is_not_vain() -> None:
    connection, _ = connected(pool())
    connection.send(REQUEST, Receiver())
    connection.data_received(OK[:-1])
    connection.pause()
    connection.in_vain(connection.watch.clock(), anew=False)
    assert connection.deadline == float("inf")


async def test_what_lingers_is_kept_by_nothing_but_its_end() -> None:
    """After the last word the client has its answer: whatever the engine still says costs a moment at most."""
    clock = Clock()
    to = pool(clock)
    connection, _ = connected(to)
    connection.send(REQUEST, Receiver())
    connection.data_received(CHUNKED[:-5])
    connection.linger(0.5)
    for seconds in (0.5, 0.25, 0.0):
        assert left_s(connection) == seconds
        connection.data_received(b"2\r\nhi\r\n")
        clock.now += 0.25
    connection.data_received(b"0\r\n\r\n")
    assert to.take_idle() is connection
    assert left_s(connection) == 4.0


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\na: "])
async def test_a_head_that_is_late_says_how(head: bytes) -> None:
    connection, _ = connected(pool())
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    if head:
        connection.data_received(head)
    connection.expired(connection.deadline)
    said = "did not finish the head" if head else "sent nothing"
    assert said in receiver.faults[0].message


# --- answers before the request was read


EARLY = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"


@pytest.mark.parametrize("answer", [OK, EARLY])
async def test_a_connection_with_unsent_bytes_is_not_used_again(answer: bytes) -> None:
    to = pool()
    connection, transport = connected(to)
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    transport.unsent_b = 1
    connection.data_received(answer)
    assert (receiver.ends, receiver.faults) == (1, [])
    assert (transport.closed, to.take_idle()) == (True, None)


@pytest.mark.parametrize(("size", "again"), [(64 * 1024, True), (64 * 1024 + 1, False)])
async def test_a_refused_large_request_may_not_have_been_read(size: int, again: bool) -> None:
    """It lies in the engine's kernel then, where nobody can see whether the engine ever takes it."""
    to = pool()
    connection, transport = connected(to)
    connection.send(bytes(size), Receiver())
    connection.data_received(EARLY)
    assert (to.take_idle() is connection, transport.closed) == (again, not again)


@pytest.mark.parametrize("read", [True, False])
async def test_a_large_request_that_the_kernel_still_holds(read: bool) -> None:
    """Nothing waits in this process, but the engine has not taken it: real sockets."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        to = pool()
        _, connection = await loop.create_connection(lambda: UpstreamConnection(to, to.address, to.watch), sock=ours)
        receiver = Receiver()
        connection.send(bytes(100_000), receiver)
        if read:
            theirs.recv(100_000, socket.MSG_WAITALL)
        theirs.sendall(OK)
        while not receiver.ends:
            await asyncio.sleep(0)
        assert connection.is_open is read
        assert (to.take_idle() is connection) is read
        connection.abort()
        await asyncio.sleep(0)


# --- whatever comes


_WORDS = (b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/2 ", b"200", b"099", b"204", b"304", b"500", b" OK", b"\r\n", b"\n", b"\r")
_FIELDS = (
    b"content-length: 2",
    b"content-length: 0",
    b"transfer-encoding: chunked",
    b"transfer-encoding: gzip",
    b"a:b",
)
_BODIES = (b"hi", b"2\r\nhi\r\n", b"0\r\n\r\n", b"\x00", b"\xff", b": ", b"connection: close", b"connection: upgrade")


def random_answer(dice: random.Random) -> bytes:
    """Half of it usual, half of it not."""
    if dice.random() < 0.3:
        return b"".join(dice.choices(_WORDS + _FIELDS + _BODIES, k=dice.randrange(1, 20)))
    version, status = dice.choice(_WORDS[:3]), b"%03d" % dice.choice([200, 204, 304, dice.randrange(1000)])
    fields = [field + b"\r\n" for field in dice.choices(_FIELDS + _BODIES[-2:], k=dice.randrange(4))]
    return version + status + b" OK\r\n" + b"".join(fields) + b"\r\n" + b"".join(dice.choices(_BODIES, k=3))


@pytest.mark.parametrize("seed", range(4))
async def test_random_answers_end_in_one_way(seed: int) -> None:
    """2,000 heads and what follows: no exception, one end, and no connection in the pool that is in doubt."""
    dice = random.Random(seed)
    for _ in range(500):
        to = pool()
        connection, transport = connected(to)
        receiver = Receiver()
        connection.send(REQUEST, receiver)
        answer = random_answer(dice)
        cut = dice.randrange(len(answer) + 1)
        for piece in (answer[:cut], answer[cut:]):
            if piece and not transport.closed:
                connection.data_received(piece)
        pooled = to.take_idle() is connection
        connection.connection_lost(None)
        assert receiver.ends + len(receiver.faults) == 1, answer
        assert receiver.ends or not receiver.status or receiver.faults[0].kind in (Kind.CUT, Kind.NONSENSE), answer
        assert receiver.status == 0 or 200 <= receiver.status < 600, answer
        assert not pooled or not transport.closed, answer


async def test_a_first_byte_may_take_as_long_as_whoever_asks_will_wait() -> None:
    connection, _ = connected(pool(Clock(), first_byte_s=None))
    connection.send(REQUEST, Receiver(), 1800.0)
    assert left_s(connection) == 1800.0
    configured, _ = connected(pool(Clock(), first_byte_s=7.0))
    configured.send(REQUEST, Receiver(), 1800.0)
    assert left_s(configured) == 7.0


async def test_silence_means_something_only_after_the_answer_has_begun() -> None:
    clock = Clock()
    connection, _ = connected(pool(clock, first_byte_s=600.0, idle_s=60.0))
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nrole\r\n")
    assert left_s(connection) == 600.0, "a model may think"
    clock.now += 500.0
    connection.answer_begun(clock.now)
    assert left_s(connection) == 60.0
    clock.now += 59.0
    connection.data_received(b"4\r\ntext\r\n")
    assert left_s(connection) == 60.0
