"""Who has how much of an answer that flows to several."""

import asyncio
from typing import Any

from proxy.live.fan_out import FanOut, Room
from proxy.live.relay import Relay
from proxy.model.classes import StreamSettings
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from tests.unit.live.standins import Sink


class Engine:
    """The engine's side: remembers whether it was asked to wait."""

    def __init__(self) -> None:
        self.is_paused = False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        pass

    def linger(self, seconds: float) -> None:
        pass

    def answer_begun(self) -> None:
        pass

    def in_vain(self, *, anew: bool) -> None:
        pass


def fan(most_b: int = 100, room: Room | None = None) -> tuple[FanOut, Engine, Any]:
    loop = asyncio.get_running_loop()
    relay = Relay("a", StreamPlan(StreamSettings(), 1 << 20), 1 << 20, Timeline(0.0), Meter(), loop, loop.time)
    engine = Engine()
    relay.connection = engine
    return FanOut(relay, most_b, room or Room(1000)), engine, loop


async def test_what_is_too_large_is_kept_for_nobody() -> None:
    made, _, loop = fan(10)
    first = made.follow(loop)
    made.send(b"x" * 8)
    assert made.follow(loop) is not None
    made.send(b"x" * 8)
    assert made.follow(loop) is None
    assert first is not None
    sink = Sink()
    done = first.start(sink)
    made.end(None)
    await done
    assert sink.bytes == b"x" * 16


async def test_the_engine_waits_for_an_only_client_at_once_and_for_one_of_several_when_it_is_far_behind() -> None:
    made, engine, loop = fan(10)
    slow, quick = made.follow(loop), made.follow(loop)
    assert slow is not None
    assert quick is not None
    sinks = [Sink(), Sink()]
    slow.start(sinks[0])
    quick.start(sinks[1])
    slow.on_pause(True)
    made.send(b"x" * 8)
    assert not engine.is_paused
    made.send(b"x" * 8)
    assert engine.is_paused
    slow.on_pause(False)
    assert not engine.is_paused
    assert sinks[0].bytes == sinks[1].bytes == b"x" * 16
    made.leave(quick)
    slow.on_pause(True)
    assert engine.is_paused


async def test_a_slow_one_that_leaves_is_waited_for_no_more() -> None:
    made, engine, loop = fan(4)
    slow, quick = made.follow(loop), made.follow(loop)
    assert slow is not None
    assert quick is not None
    slow.start(Sink())
    quick.start(Sink())
    slow.on_pause(True)
    made.send(b"x" * 8)
    assert engine.is_paused
    made.leave(slow)
    assert not engine.is_paused


async def test_it_is_over_for_each_when_its_client_has_all() -> None:
    made, _, loop = fan()
    one = made.follow(loop)
    assert one is not None
    sink = Sink()
    done = one.start(sink)
    made.send_chunk(b"abc", b"3\r\nabc\r\n")
    one.on_pause(True)
    made.send(b"def")
    made.end(None)
    assert not done.done()
    assert not one.complete
    one.on_pause(False)
    assert done.done()
    assert one.complete
    assert (sink.bytes, sink.chunks) == (b"abcdef", 1)


async def test_beginnings_take_no_more_than_there_is_room_for() -> None:
    room = Room(10)
    first, _, loop = fan(100, room)
    second, _, _ = fan(100, room)
    first.send(b"x" * 6)
    second.send(b"x" * 6)
    assert first.follow(loop) is not None
    assert second.follow(loop) is None
    assert room.left_b == 4
    first.end(None)
    second.end(None)
    assert room.left_b == 10
