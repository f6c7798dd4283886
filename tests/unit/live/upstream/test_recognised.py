"""Answers whose head came before are told as the parser tells them, whatever comes between, after and instead."""

from random import Random
from typing import Any

import pytest

from proxy.live.upstream.connection import UpstreamConnection
from tests.unit.live.standins import Receiver, connected, pool

REQUEST = b"POST / HTTP/1.1\r\n\r\n"
LINES = (
    *(b"Content-Type: application/json", b"content-type: text/event-stream", b"connection: close", b"Server: x"),
    *(
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"Upgrade: h2c",
        b"Content-Length : 3",
        b" folded",
        b"what",
    ),
)
STATUSES = (*[b"200 OK"] * 12, b"204 No Content", b"500 Oh", b"101 Switching Protocols", b"099 x")


def answer(*lines: bytes, body: bytes = b"{}", status: bytes = b"200 OK", length: bytes | None = None) -> bytes:
    told = b"%d" % len(body) if length is None else length
    fields = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 " + status + b"\r\nServer: a\r\ncontent-length: " + told + b"\r\n" + fields + b"\r\n" + body


def asked(connection: UpstreamConnection, *reads: bytes) -> Receiver:
    receiver = Receiver()
    connection.send(REQUEST, receiver)
    for data in reads:
        connection.data_received(data)
    return receiver


def told(receiver: Receiver) -> Any:
    return receiver.status, receiver.headers, receiver.body, receiver.ends, receiver.faults


async def test_the_third_of_its_kind_is_recognised() -> None:
    to = pool()
    connection, _ = connected(to)
    for _ in range(2):
        asked(connection, answer())
        assert to.take_idle() is connection
    before = connection._headers
    receiver = asked(connection, answer(body=b"12345678901"))
    assert receiver.headers is not before
    assert (b"content-length", b"11") in receiver.headers
    assert (receiver.status, receiver.body, receiver.ends, receiver.faults) == (200, b"12345678901", 1, [])
    assert to.take_idle() is connection


def _one(random: Random) -> bytes:
    lines = [random.choice(LINES) for _ in range(random.choice((0, 0, 0, 1, 2)))]
    return answer(*lines, body=b"b" * random.choice((0, 1, 10, 1000)), status=random.choice(STATUSES))


def _reads(random: Random, usual: bytes) -> list[bytes]:
    body = b"c" * random.choice((1, 2, 10, 500))
    head, _, old = usual.partition(b"\r\n\r\n")
    data = head.replace(b"content-length: %d" % len(old), b"content-length: %d" % len(body)) + b"\r\n\r\n" + body
    way = random.random()
    if way < 0.1:
        data = _one(random)
    elif way < 0.2:
        at = random.randrange(len(data))
        data = data[:at] + bytes([random.choice((data[at] ^ 32, 10, 13, 48, random.randrange(256)))]) + data[at + 1 :]
    elif way < 0.25:
        data = b"HTTP/1.1 100 Continue\r\n\r\n" + data
    elif way < 0.3:
        data += usual
    at = random.randrange(len(data)) if random.random() < 0.15 else 0
    return [data[:at], data[at:]] if at else [data]


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_shows_whether_a_head_was_recognised(seed: int) -> None:
    random = Random(seed)
    recognised = 0
    for _ in range(50):
        (quick, fast), (slow, thorough) = connected(pool()), connected(pool())
        slow._recognised._vain = 1 << 20
        usual = _one(random)
        while quick.is_open and slow.is_open and quick._receiver is None and random.random() < 0.95:
            reads = _reads(random, usual)
            recognised += quick._recognised.body_at(reads[0]) > 0
            one, other = asked(quick, *reads), asked(slow, *reads)
            assert told(one) == told(other)
            assert (quick.reused, fast.closed) == (slow.reused, thorough.closed)
            assert len(quick._owner._idle) == len(slow._owner._idle)  # type: ignore[attr-defined]
        assert quick.is_open == slow.is_open
    assert recognised > 10
