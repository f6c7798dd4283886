"""Requests out of bytes without a connection: what is complete, what is refused, and what is held meanwhile."""

from collections.abc import Iterable

import pytest

from proxy.live.downstream.budget import Budget
from proxy.live.downstream.message import Message
from proxy.live.downstream.reader import BETWEEN, ENDED, IN_BODY, IN_HEAD, Reader
from proxy.live.downstream.terms import Terms
from proxy.model.faults import Kind
from proxy.model.limits import HeadLimits, Limits
from proxy.wire.headers import HeaderPolicy

GET = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def reader(limits: Limits | None = None, budget: Budget | None = None) -> Reader:
    return Reader(Terms(limits or Limits(), HeaderPolicy(), lambda: "id", budget or Budget(1 << 30), lambda: 0.0))


def fed(to: Reader, *pieces: bytes) -> list[Message]:
    return [message for piece in pieces for message in to.feed(piece)]


def kinds(messages: Iterable[Message]) -> list[Kind | None]:
    return [message.fault.kind if message.fault else None for message in messages]


def test_states() -> None:
    one = reader()
    states = [one.state]
    for piece in (POST[:9], POST[9:] + b"Content-Length: 3\r\n\r\n", b"ab", b"c", b"\x00junk\r\n\r\n"):
        one.feed(piece)
        states.append(one.state)
    assert states == [BETWEEN, IN_HEAD, IN_BODY, IN_BODY, BETWEEN, ENDED]
    assert one.feed(GET) == []


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_several_requests_in_any_cut(step: int) -> None:
    wire = GET + POST + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"1\r\nx\r\n2;e=f\r\nyz\r\n0\r\nT: v\r\n\r\n" + GET
    messages = fed(reader(), *(wire[at : at + step] for at in range(0, len(wire), step)))
    assert [message.body for message in messages] == [b"", b"abc", b"xyz", b""]
    assert [message.charge_b for message in messages] == [0, 6, 2 * 65536, 0]


def test_nothing_is_kept_of_what_was_handed_over() -> None:
    one = reader()
    (message,) = one.feed(POST + b"Content-Length: 3\r\n\r\nabc")
    assert message not in one._ready
    assert one.body_b == 0


LINES = Limits(head=HeadLimits(total=1 << 10, target=100, count=10))
ENDLESS = {
    "a target": b"GET /",
    "a header's name": POST,
    "a header's value": POST + b"x: ",
    "a trailer's name": CHUNKED + b"1\r\nx\r\n0\r\n",
    "a trailer's value": CHUNKED + b"1\r\nx\r\n0\r\nx: ",
    "a chunk's extension": CHUNKED + b"1;",
    "a later chunk's extension": CHUNKED + b"%x\r\n%b\r\n1;" % (1 << 20, bytes(1 << 20)),
    "a trailer after a large body": CHUNKED + b"%x\r\n%b\r\n0\r\nx: " % (1 << 20, bytes(1 << 20)),
}


@pytest.mark.parametrize("step", [100, 65536])
@pytest.mark.parametrize("what", ENDLESS)
def test_a_line_without_an_end(what: str, step: int) -> None:
    budget = Budget(1 << 30)
    one = reader(LINES, budget)
    messages = fed(one, ENDLESS[what])
    read_b = 0
    while not messages and read_b < 1 << 20:
        messages = one.feed(b"y" * step)
        read_b += step
    assert kinds(messages)[0] in (Kind.HEAD_TOO_LARGE, Kind.MALFORMED)
    assert read_b <= 64 * 1024 + 2 * step
    assert one.state == ENDED
    assert budget.free_b == budget.total_b


@pytest.mark.parametrize("split", [1, 9_000])
def test_a_large_head_in_two_reads_is_as_large_as_in_one(split: int) -> None:
    raw = GET[:-2] + b"".join(b"x-%d: %b\r\n" % (number, b"v" * 900) for number in range(30)) + b"\r\n"
    assert kinds(fed(reader(), raw)) == [None]
    assert kinds(fed(reader(), raw[:split], raw[split:])) == [None]


UPGRADE = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: %b\r\nUpgrade: %b\r\n\r\n"


@pytest.mark.parametrize(
    ("connection", "protocol", "kind"),
    [
        (b"Upgrade", b"websocket", Kind.UPGRADE),
        (b"keep-alive, upgrade", b"WebSocket", Kind.UPGRADE),
        (b"Upgrade", b"h2c, websocket/13", Kind.UPGRADE),
        (b"Upgrade, HTTP2-Settings", b"h2c", None),
        (b"Upgrade", b"websocketish", None),
        (b"keep-alive", b"websocket", None),
    ],
)
@pytest.mark.parametrize("target", [b"/v1/models", b"/nowhere"])
def test_upgrades(target: bytes, connection: bytes, protocol: bytes, kind: Kind | None) -> None:
    assert kinds(fed(reader(), UPGRADE % (target, connection, protocol))) == [kind]


def test_a_post_that_would_rather_be_something_else_is_served() -> None:
    raw = POST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc"
    (message,) = fed(reader(), raw)
    assert message.body == b"abc"


def test_closing_gives_back_and_breaks_the_cycle() -> None:
    budget = Budget(1 << 30)
    one = reader(budget=budget)
    fed(one, POST + b"Content-Length: 1000\r\n\r\nabc")
    assert budget.free_b == budget.total_b - 2000
    for _ in range(2):
        one.close()
        assert budget.free_b == budget.total_b
    assert one._parser is None
