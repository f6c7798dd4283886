"""Requests whose head came before are what the parser makes of them, whatever comes between, after and instead."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from random import Random
from typing import Any

import pytest

from proxy.live.downstream.budget import Budget
from proxy.live.downstream.message import Message
from proxy.live.downstream.reader import Reader
from proxy.live.downstream.terms import Terms
from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.limits import BodyLimits, HeadLimits, Limits
from proxy.wire.headers import Head, HeaderPolicy

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n"
LIMITS = Limits(head=HeadLimits(total=1 << 10, target=100, count=10), body=BodyLimits(size=1 << 10))
LINES = (
    *(b"Content-Type: application/json", b"content-type: text/plain", b"X-Request-Id: mine", b"X-Request-Id: @@ no"),
    *(b"Connection: keep-alive", b"Connection: close", b"Connection: x-a", b"X-A: 1", b"Openai-B: 2", b"x: \xff"),
    *(
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Upgrade: h2c",
        b"X-Pad: " + b"p" * 700,
    ),
    *(b"Content-Length : 3", b" folded", b"no colon", b"X: a\nb", b"Authorization: Bearer other", b"Host: b"),
)


def message(*lines: bytes, body: bytes = b"{}", length: bytes | None = None) -> bytes:
    told = b"%d" % len(body) if length is None else length
    fields = b"".join(line + b"\r\n" for line in lines)
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: " + told + b"\r\n" + fields + b"\r\n" + body
    )


def reader(*, recognises: bool, gate: Any = None, budget: Budget | None = None) -> Reader:
    ids = itertools.count()
    terms = Terms(LIMITS, HeaderPolicy(), lambda: f"id{next(ids)}", budget or Budget(1 << 20), lambda: 0.0, gate)
    one = Reader(terms)
    if not recognises:
        one._recognised._vain = 1 << 20
    return one


def seen(messages: Sequence[Message]) -> list[Any]:
    return [
        (
            None if one.head is None else asdict(one.head),
            (one.body, one.keep_alive, one.http10, one.charge_b, one.target),
            None if one.fault is None else (one.fault.kind, one.fault.message),
        )
        for one in messages
    ]


def test_the_third_of_its_kind_is_recognised() -> None:
    one = reader(recognises=True)
    for body in (b"{}", b"{}"):
        one.feed(message(body=body))
    before = one._headers
    (third,) = one.feed(message(body=b'{"a": 1}'))
    assert one._headers is before
    assert third.body == b'{"a": 1}'
    assert third.head is not None
    assert (third.head.request_id, third.head.fields[b"content-length"]) == ("id2", b"8")
    (other,) = one.feed(message(b"X-A: 1"))
    assert one._headers is not before
    assert other.head is not None
    assert b"x-a" in other.head.fields


def test_who_may_come_in_is_asked_every_time() -> None:
    welcome = [True, True, True, False]

    def gate(head: Head, peer: str) -> None:
        head.forward, head.tenant = [], "t"
        if not welcome.pop(0):
            raise FaultError(downstream(Kind.UNAUTHORIZED, "no"))

    one = reader(recognises=True, gate=gate)
    for _ in range(3):
        (let_in,) = one.feed(message(b"X-A: 1"))
        assert let_in.head is not None
        assert (let_in.head.forward, let_in.head.tenant) == ([], "t")
    (kept_out,) = one.feed(message(b"X-A: 1"))
    assert kept_out.fault is not None
    assert kept_out.fault.kind is Kind.UNAUTHORIZED
    assert kept_out.head is not None
    assert kept_out.charge_b == 0
    assert one.feed(message()) == []


def test_other_terms_hold_from_the_next_request_on() -> None:
    one = reader(recognises=True)
    for _ in range(3):
        one.feed(message(b"X-New: 1"))
    one._terms.policy = HeaderPolicy(["x-new"])
    (found,) = one.feed(message(b"X-New: 1"))
    assert found.head is not None
    assert (b"X-New", b"1") in found.head.forward


def test_what_follows_a_request_that_ends_the_connection_is_none() -> None:
    one = reader(recognises=True)
    for _ in range(3):
        one.feed(message())
    assert [found.keep_alive for found in one.feed(message(b"Connection: close"))] == [False]
    (after,) = one.feed(message())
    assert after.fault is not None
    assert after.fault.kind is Kind.MALFORMED


def test_memory_is_taken_and_missed_as_ever() -> None:
    budget = Budget(10)
    one = reader(recognises=True, budget=budget)
    assert [one.feed(message())[0].charge_b for _ in range(2)] == [4, 4]
    (refused,) = one.feed(message())
    assert refused.fault is not None
    assert refused.fault.kind is Kind.MEMORY
    assert budget.refused == 1


def _one(random: Random) -> bytes:
    lines = [random.choice(LINES) for _ in range(random.choice((0, 0, 1, 1, 2)))]
    body = b"b" * random.choice((0, 1, 2, 9, 10, 99, 100, 1000, 1024, 1025))
    length = random.choice(
        (None, None, None, None, b"%d" % (len(body) + random.choice((-1, 1, 40))), b"0%d" % len(body))
    )
    return message(*lines, body=body, length=length)


def _stream(random: Random) -> list[bytes]:
    """Reads of one connection: mostly the same request with another body, cut and joined in all ways."""
    usual = _one(random)
    end = usual.find(b"\r\n\r\n") + 4
    reads: list[bytes] = []
    for _ in range(random.randrange(3, 9)):
        body = b"c" * random.choice((1, 2, 3, 10, 500))
        data = usual[:end].replace(b"Content-Length: %d" % (len(usual) - end), b"Content-Length: %d" % len(body)) + body
        way = random.random()
        if way < 0.1:
            data = _one(random)
        elif way < 0.2:
            at = random.randrange(len(data))
            data = (
                data[:at]
                + bytes([random.choice((data[at] ^ 32, 10, 13, 32, 48, random.randrange(256)))])
                + data[at + 1 :]
            )
        elif way < 0.3:
            data += usual
        if random.random() < 0.15:
            at = random.randrange(len(data))
            reads += [data[:at], data[at:]]
        else:
            reads.append(data)
    return reads


@pytest.mark.parametrize("seed", range(20))
def test_nothing_shows_whether_a_head_was_recognised(seed: int) -> None:
    random = Random(seed)
    recognised = 0
    for _ in range(100):
        quick, slow = reader(recognises=True), reader(recognises=False)
        for data in _stream(random):
            before = quick._headers
            fast = quick.feed(data)
            recognised += len(fast) == 1 and quick._headers is before and fast[0].fault is None
            assert seen(fast) == seen(slow.feed(data)), data
            assert (quick.state, quick.body_b, quick.wants_continue) == (slow.state, slow.body_b, slow.wants_continue)
            assert quick._terms.budget.free_b == slow._terms.budget.free_b
    assert recognised > 20
