"""Who watches: one status a second for all, nothing while nobody does, and nobody is waited for."""

import asyncio
from time import monotonic
from typing import Any

import orjson
import pytest

from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ClientConnection, Edge
from proxy.live.page import feed as feeds
from proxy.live.page.feed import Feed
from proxy.live.watch import Watch
from proxy.model.limits import Limits
from proxy.obs.merge_patch import patched
from proxy.wire.headers import HeaderPolicy
from tests.unit.live.downstream.test_connection import ClientTransport

GET = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Numbers:
    """A status that changes each time it is made."""

    def __init__(self) -> None:
        self.made = 0
        self.seq = 0

    def now(self) -> dict[str, Any]:
        self.made += 1
        return {"made": self.made, "same": {"a": 1}, "decisions_seq": self.seq}

    def decisions(self, since: int, most: int) -> dict[str, Any]:
        return {"decisions": [{"seq": seq} for seq in range(self.seq, since, -1)][:most]}

    def past(self) -> dict[str, Any]:
        return {}


class Port:
    """Connections whose every request is answered by the feed."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.numbers = Numbers()
        self.feed = Feed(self.numbers, loop, monotonic)
        self.edge = Edge(
            lambda connection, message: self.feed.watch(connection),
            limits=Limits(),
            policy=HeaderPolicy(),
            new_id=lambda: "x",
            watch=Watch(loop, monotonic),
            loop=loop,
            max_connections=1000,
            budget=Budget(1 << 30),
        )

    async def viewer(self) -> tuple[ClientConnection, ClientTransport]:
        connection, transport = self.edge.connection(), ClientTransport()
        connection.connection_made(transport)
        connection.data_received(GET)
        await asyncio.sleep(0)
        return connection, transport


def events(transport: ClientTransport) -> list[tuple[str, dict[str, Any]]]:
    """(name, data) of what was written, chunks undone."""
    head, _, rest = bytes(transport.written).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            found.append((fields["event"], orjson.loads(fields["data"])))
    return found


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "EVERY_S", 0.01)


async def until(condition: Any) -> None:
    async with asyncio.timeout(5.0):
        while not condition():
            await asyncio.sleep(0.002)


async def test_all_at_first_then_what_changed() -> None:
    port = Port()
    connection, transport = await port.viewer()
    await until(lambda: len(events(transport)) >= 3)
    (first, known), *changes = events(transport)
    assert first == "status"
    assert {name for name, _ in changes} == {"change"}
    assert "same" not in changes[0][1]
    for _, change in changes:
        known = patched(known, change)
    assert known["made"] == port.numbers.made
    assert known["same"] == {"a": 1}
    connection.connection_lost(None)


async def test_one_status_for_all() -> None:
    port = Port()
    viewers = [await port.viewer() for _ in range(50)]
    made, seen = port.numbers.made, len(events(viewers[0][1]))
    assert made <= 5, "not one for each"
    await until(lambda: port.numbers.made >= made + 3)
    assert len(events(viewers[0][1])) - seen == port.numbers.made - made
    for connection, _ in viewers:
        connection.connection_lost(None)


async def test_nothing_runs_while_nobody_looks() -> None:
    port = Port()
    for connection, _ in [await port.viewer() for _ in range(3)]:
        connection.connection_lost(None)
    await until(lambda: port.feed.viewers == 0)
    made = port.numbers.made
    await asyncio.sleep(0.05)
    assert port.numbers.made == made
    connection, transport = await port.viewer()
    await until(lambda: len(events(transport)) >= 2)
    connection.connection_lost(None)


async def test_who_takes_no_bytes_is_left_out_and_told_all_of_it_later() -> None:
    port = Port()
    slow, transport = await port.viewer()
    quick, other = await port.viewer()
    slow.pause_writing()
    written = len(transport.written)
    await until(lambda: len(events(other)) >= 4)
    assert len(transport.written) == written
    slow.resume_writing()
    await until(lambda: len(events(transport)) >= 2)
    assert [name for name, _ in events(transport)][:2] == ["status", "status"]
    await until(lambda: len(events(transport)) >= 3)
    assert events(transport)[2][0] == "change"
    for connection in (slow, quick):
        connection.connection_lost(None)


async def test_only_new_decisions_are_told_and_not_too_many() -> None:
    port = Port()
    port.numbers.seq = 80
    connection, transport = await port.viewer()
    port.numbers.seq = 82
    await until(lambda: "decisions" in events(transport)[-1][1] and len(events(transport)) > 1)
    await until(lambda: len(events(transport)) >= 3)
    told = events(transport)
    assert [one["seq"] for one in told[0][1]["decisions"]] == list(range(80, 30, -1))
    assert [one["seq"] for one in told[1][1]["decisions"]] == [82, 81]
    assert "decisions" not in told[2][1]
    connection.connection_lost(None)


async def test_a_status_that_takes_long_is_made_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    port, loop = Port(), asyncio.get_running_loop()
    pauses: list[float] = []
    later = loop.call_later
    monkeypatch.setattr(loop, "call_later", lambda s, call, *more: pauses.append(s) or later(min(s, 0.01), call, *more))
    for took_s, pause_s in ((0.0001, 0.01), (0.01, 0.5), (0.08, 4.0), (3.0, 5.0)):
        moments = iter(range(1 << 20))
        port.feed = Feed(port.numbers, loop, lambda took_s=took_s, moments=moments: next(moments) * took_s)
        connection, transport = await port.viewer()
        await until(lambda transport=transport: len(events(transport)) >= 3)
        assert any(pause == pytest.approx(pause_s) for pause in pauses)
        connection.connection_lost(None)
        await asyncio.sleep(0)


async def test_there_is_an_end_to_viewers() -> None:
    port = Port()
    port.feed = Feed(port.numbers, asyncio.get_running_loop(), monotonic, most=2)
    assert not port.feed.is_full
    viewers = [await port.viewer() for _ in range(2)]
    assert port.feed.is_full
    viewers[0][0].connection_lost(None)
    await until(lambda: not port.feed.is_full)
    viewers[1][0].connection_lost(None)
    await asyncio.sleep(0)
