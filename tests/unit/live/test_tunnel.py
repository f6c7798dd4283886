"""A tunnel between stand-ins: what passes, what is said at the end, and what is not read meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.live.tunnel import Tunnel, Tunnels
from proxy.model.faults import FaultError, Kind
from proxy.model.realtime import RealtimeSettings
from proxy.wire.websocket import close

HELLO, BYE = b"\x82\x05hello", close(1000, "", masked=False)
BYE_MASKED = close(1000, "", masked=True)


class Wire:
    """A transport."""

    def __init__(self) -> None:
        self.got = b""
        self.is_paused = self.is_closed = False

    def write(self, data: bytes) -> None:
        self.got += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Client:
    """The client's connection."""

    def __init__(self) -> None:
        self.transport: Any = Wire()
        self.tunnel: Callable[[bytes], None] | None = None
        self.on_pause: Callable[[bool], None] | None = None
        self.is_aborted = False

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def abort(self) -> None:
        self.is_aborted = True


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.now = 0.0
        self.tunnels, self.client, self.engine = Tunnels(), Client(), Wire()
        self.lost: list[Exception | None] = []
        self.tunnel = Tunnel(self.client, RealtimeSettings(connections=1, **settings), self.tunnels, lambda: self.now)
        engine: Any = self.engine
        self.tunnel.begin(engine, b"", b"", self.lost.append)

    def says(self, data: bytes) -> None:
        assert self.client.tunnel is not None
        self.client.tunnel(data)


async def test_bytes_pass_and_who_closes_first_is_told() -> None:
    bench = Bench()
    running = asyncio.ensure_future(bench.tunnel.run())
    bench.says(HELLO + BYE_MASKED)
    bench.tunnel.data_received(HELLO + BYE)
    assert (bench.engine.got, bench.client.transport.got) == (HELLO + BYE_MASKED, HELLO + BYE)
    bench.tunnel.connection_lost(None)
    await running
    assert bench.lost == [None]
    assert bench.tunnels.ends == {"client": 1}
    view = bench.tunnels.view(RealtimeSettings())
    assert (view.from_clients_b, view.to_clients_b) == (len(HELLO + BYE_MASKED), len(HELLO + BYE))
    assert bench.client.tunnel is None


@pytest.mark.parametrize("begun", [b"", b"\x82\x05he"])
async def test_a_close_of_ours_waits_for_the_end_of_a_frame(begun: bytes) -> None:
    bench = Bench()
    running = asyncio.ensure_future(bench.tunnel.run())
    bench.tunnel.data_received(begun)
    bench.tunnel.close("drain", 1001, "bye")
    said = close(1001, "bye", masked=False)
    if begun:
        assert bench.client.transport.got == begun
        bench.tunnel.data_received(b"llo" + HELLO)
        begun += b"llo"
    assert bench.client.transport.got == begun + said
    assert bench.engine.got == close(1001, "bye", masked=True)
    bench.tunnel.data_received(BYE)
    bench.says(BYE_MASKED)
    await asyncio.wait_for(running, 5.0)
    assert bench.client.transport.got == begun + said, "nothing after a close"
    assert bench.engine.is_closed
    assert bench.tunnels.ends == {"drain": 1}


@pytest.mark.parametrize("end", ["life", "drain"])
async def test_who_answers_no_close_is_waited_for_no_longer(end: str) -> None:
    bench = Bench()
    bench.tunnel.close(end, 1001, "")
    bench.now = 1.1
    await asyncio.wait_for(bench.tunnel.run(), 5.0)
    assert bench.engine.is_closed
    assert bench.client.is_aborted is (end == "drain"), "but for a drain it may still read what is left"


async def test_limits_of_time_and_bytes() -> None:
    for settings, end, at_s in (({"idle": 5.0}, "idle", 6.0), ({"life": 5.0, "idle": 50.0}, "life", 6.0)):
        bench = Bench(**settings)
        bench.now = at_s
        running = asyncio.ensure_future(bench.tunnel.run())
        await asyncio.sleep(0)
        bench.now += 2.0
        bench.tunnel._news.set()
        await asyncio.wait_for(running, 5.0)
        assert bench.tunnel.end == end
    bench = Bench(size=10)
    bench.says(HELLO * 2)
    assert bench.tunnel.end == "size"


async def test_an_engine_that_is_lost_is_told_between_frames_and_a_cut_frame_is_cut() -> None:
    bench = Bench()
    bench.tunnel.data_received(HELLO)
    bench.tunnel.connection_lost(OSError())
    assert bench.client.transport.got.startswith(HELLO + b"\x88")
    assert not bench.client.is_aborted
    other = Bench()
    other.tunnel.data_received(HELLO[:3])
    other.tunnel.connection_lost(OSError())
    assert other.client.is_aborted
    await other.tunnel.run()
    assert other.tunnels.ends == {"engine_lost": 1}


async def test_who_is_slow_keeps_the_other_one_from_being_read() -> None:
    bench = Bench()
    assert bench.client.on_pause is not None
    bench.client.on_pause(True)
    assert bench.engine.is_paused
    bench.client.on_pause(False)
    assert not bench.engine.is_paused
    bench.tunnel.pause_writing()
    assert bench.client.transport.is_paused
    bench.tunnel.resume_writing()
    assert not bench.client.transport.is_paused


async def test_a_client_that_is_gone_closes_the_engine() -> None:
    bench = Bench()
    running = asyncio.ensure_future(bench.tunnel.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.engine.is_closed
    assert bench.tunnels.ends == {"client_lost": 1}


def test_places_are_counted_and_given_back() -> None:
    tunnels, settings = Tunnels(), RealtimeSettings(connections=2, per_tenant=1)
    tunnels.enter(b"a", settings)
    for whose, kind in ((b"a", Kind.QUOTA),):
        with pytest.raises(FaultError) as told:
            tunnels.enter(whose, settings)
        assert told.value.fault.kind is kind
    tunnels.enter(b"b", settings)
    with pytest.raises(FaultError) as full:
        tunnels.enter(b"c", settings)
    assert full.value.fault.kind is Kind.CONNECTIONS
    tunnels.leave(b"a")
    tunnels.enter(b"a", settings)
    assert tunnels.open == 2
    assert tunnels.view(settings).refused == {"tenant": 1, "full": 1}
