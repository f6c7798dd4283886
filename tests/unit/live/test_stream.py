"""What waits in a stream leaves in time though nothing more comes, and never once it was stopped."""

import asyncio

from proxy.live.stream import TimedStream
from proxy.model.classes import StreamSettings
from proxy.wire.accounting import Undo
from proxy.wire.counting import Evidence
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.tokens import Estimator
from tests.support.virtual_time import in_virtual_time

STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
PART = b'data: {"choices":[{"index":0,"delta":{"content":"unhap"},"finish_reason":null}]}\n\n'


class Out(list[bytes]):
    """What left later."""

    def __init__(self) -> None:
        super().__init__()
        self.more = asyncio.Event()

    def emit(self, data: bytes) -> None:
        self.append(data)
        self.more.set()


def stream_of(plan: StreamPlan) -> tuple[TimedStream, Out]:
    out = Out()
    loop = asyncio.get_running_loop()
    return TimedStream(plan, Meter(), out.emit, loop, loop.time), out


def by_words() -> StreamPlan:
    return StreamPlan(StreamSettings(granularity="text", flush=10.0), 1 << 20, evidence=Evidence(Estimator()))


def fed(stream: TimedStream, data: bytes) -> bytes:
    out = stream.feed(data, asyncio.get_running_loop().time())
    stream.arm()
    return out


@in_virtual_time
async def test_an_end_that_nothing_follows_leaves_soon() -> None:
    stream, out = stream_of(StreamPlan(StreamSettings(), 1 << 20, Undo.ALL))
    assert fed(stream, STOP) == b""
    before = asyncio.get_running_loop().time()
    await out.more.wait()
    assert out == [STOP]
    assert asyncio.get_running_loop().time() - before < 1.0
    assert stream.next_at() is None


@in_virtual_time
async def test_what_waits_when_the_engine_ends_leaves_at_once_and_once() -> None:
    stream, out = stream_of(by_words())
    assert fed(stream, PART) == b""
    stream.end()
    stream.end()
    assert out == [PART]
    assert stream._timer is None


@in_virtual_time
async def test_the_timer_follows_what_waits() -> None:
    stream, _ = stream_of(by_words())
    fed(stream, PART)
    timer = stream._timer
    assert timer is not None
    fed(stream, PART)
    assert stream._timer is timer, "the oldest says when"
    fed(stream, PART.replace(b"unhap", b"py "))
    assert timer.cancelled()
    assert stream._timer is None


@in_virtual_time
async def test_what_waits_leaves_after_as_long_as_its_class_says() -> None:
    stream, out = stream_of(by_words())
    fed(stream, PART)
    await asyncio.sleep(9.999)
    assert out == []
    await asyncio.sleep(0.001)
    assert out == [PART]
    assert stream.next_at() is None


@in_virtual_time
async def test_nothing_leaves_once_it_is_stopped() -> None:
    stream, out = stream_of(by_words())
    fed(stream, PART)
    timer = stream._timer
    stream.stop()
    assert timer is not None
    assert timer.cancelled()
    stream.end()
    assert out == []
