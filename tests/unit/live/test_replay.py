"""A kept stream on its way: at once, at a pace, no faster than it is read, cut as the class wants it."""

import asyncio

from proxy.live.replay import Replay, ReplayedStream
from proxy.model.classes import StreamSettings
from proxy.model.faults import Kind, internal
from proxy.wire.accounting import Undo
from proxy.wire.plan import StreamPlan
from proxy.wire.usage import NO_USAGE, Usage
from tests.unit.live.standins import Sink

EVENTS = b"".join(b'data: {"choices":[{"index":0,"delta":{"content":"t%d"}}]}\n\n' % number for number in range(5))
TOLD = EVENTS + b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n' + b"data: [DONE]\n\n"
LARGE = EVENTS * 2000


def stream(events: bytes, plan: StreamPlan | None = None, per_s: float = 0.0) -> ReplayedStream:
    return ReplayedStream(events, NO_USAGE, plan, per_s, asyncio.get_running_loop())


async def test_a_whole_answer_is_complete() -> None:
    answer = Replay(b"{}", Usage(1, 2, 0))
    assert (answer.status, answer.complete, answer.body, answer.events) == (200, True, b"{}", None)
    assert answer.usage() == Usage(1, 2, 0)
    assert answer.meter.first_token is None, "nothing of it is a service time"


async def test_a_stream_leaves_at_once() -> None:
    answer, sink = stream(TOLD), Sink()
    assert not answer.complete
    assert answer.events is answer
    assert answer.saw_done
    assert answer.start(sink).done()
    assert b"".join(sink.sent) == TOLD


async def test_usage_that_was_not_asked_for_is_taken_out() -> None:
    answer, sink = stream(TOLD, StreamPlan(StreamSettings(), 1 << 20, Undo.ALL)), Sink()
    assert answer.start(sink).done()
    assert b"".join(sink.sent) == EVENTS + b"data: [DONE]\n\n"


async def test_it_goes_no_faster_than_the_client_reads() -> None:
    answer = stream(LARGE)
    sink = Sink(lambda: answer.on_pause(True))
    done = answer.start(sink)
    assert len(sink.sent) == 1
    assert not done.done()
    while not done.done():
        before = len(sink.sent)
        answer.on_pause(False)
        assert len(sink.sent) <= before + 1
    assert b"".join(sink.sent) == LARGE


async def test_it_may_have_a_pace() -> None:
    answer, sink = stream(EVENTS, per_s=200.0), Sink()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await answer.start(sink)
    assert loop.time() - began > 0.02
    assert [piece.count(b"data: ") for piece in sink.sent] == [1] * 5
    assert b"".join(sink.sent) == EVENTS


async def test_a_pause_and_a_pace_together_lose_nothing() -> None:
    answer, sink = stream(EVENTS, per_s=500.0), Sink()
    done = answer.start(sink)
    answer.on_pause(True)
    await asyncio.sleep(0.02)
    held = len(sink.sent)
    answer.on_pause(False)
    await done
    assert held < 5
    assert b"".join(sink.sent) == EVENTS


async def test_it_can_be_given_up() -> None:
    answer, sink = stream(EVENTS, per_s=0.1), Sink()
    done = answer.start(sink)
    fault = internal(Kind.DRAINING, "x")
    answer.give_up(fault)
    assert done.done()
    assert answer.fault is fault


async def test_a_client_that_left_leaves_no_timer() -> None:
    answer, sink = stream(EVENTS, per_s=0.1), Sink()
    answer.start(sink)
    assert answer._timer is not None
    answer.release()
    assert answer._timer is None
    answer.on_pause(False)
    assert len(sink.sent) == 1
