"""One stream as the client gets it: ends that wait for usage, large events, errors in its API's shape, all choices."""

import asyncio
import json
from typing import Any

import pytest

from proxy.live.plan import StreamPlan
from proxy.live.stream import Stream
from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Api
from proxy.wire import sse
from proxy.wire.accounting import Undo
from proxy.wire.allowance import Allowance
from proxy.wire.counting import Evidence
from proxy.wire.meter import Meter
from proxy.wire.tokens import Estimator

MIB = 1 << 20
DONE = b"data: [DONE]\n\n"


class Out(list[bytes]):
    """What came out, and a way to wait for the next of it."""

    def __init__(self) -> None:
        super().__init__()
        self.more = asyncio.Event()

    def emit(self, data: bytes) -> None:
        self.append(data)
        self.more.set()

    @property
    def bytes(self) -> bytes:
        return b"".join(self)


def stream_of(granularity: Any = "engine", **plan: Any) -> tuple[Stream, Out]:
    out = Out()
    evidence = None if granularity == "engine" else Evidence(Estimator())
    made = StreamPlan(StreamSettings(granularity=granularity), 16 * MIB, evidence=evidence, **plan)
    return Stream(made, Meter(), out.emit, asyncio.get_running_loop()), out


def give(stream: Stream, out: Out, *reads: bytes) -> bytes:
    """Each read by the way that it would take; what came out so far."""
    for read in reads:
        short = stream.short_way(read, 1.0)
        if short is None:
            stream.feed(read, 1.0)
        else:
            out.append(short)
    return out.bytes


def chunk(finish: str | None = None, index: int = 0, text: str = "a", **more: Any) -> bytes:
    delta = {"content": text} if text else {}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}, separators=(",", ":")).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2},"system_fingerprint":"fp"}\n\n'
STOP = chunk("stop", text="")
STOP_WITH = chunk("stop", text="", system_fingerprint="fp")


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
@pytest.mark.parametrize("together", [True, False])
async def test_the_end_waits_for_what_was_moved(granularity: Any, together: bool) -> None:
    stream, out = stream_of(granularity, undo=Undo.ALL)
    ends = [STOP + USAGE + DONE] if together else [STOP, USAGE, DONE]
    got = give(stream, out, chunk(), chunk(), *ends)
    assert got.endswith(STOP_WITH + DONE)
    assert got.count(b"stop") == 1
    stream.stop()


async def test_an_end_that_nothing_follows_leaves_soon_and_what_follows_then_keeps_its_order() -> None:
    stream, out = stream_of(undo=Undo.ALL)
    assert give(stream, out, chunk(), STOP) == chunk()
    async with asyncio.timeout(5):
        await out.more.wait()
    assert out.bytes == chunk() + STOP
    more = [chunk(index=1), chunk("stop", 1, ""), DONE]
    assert give(stream, out, *more) == b"".join([chunk(), STOP, *more])


async def test_nothing_overtakes_an_end_that_waits() -> None:
    stream, out = stream_of(undo=Undo.ALL)
    others = [chunk(index=1, text=f"t{number}") for number in range(3)]
    events = [chunk(), chunk(index=1), STOP, *others, chunk("stop", 1, ""), USAGE, DONE]
    assert give(stream, out, *events) == b"".join(events[:-3]) + chunk("stop", 1, "", system_fingerprint="fp") + DONE


async def test_an_end_that_waits_is_not_lost_when_the_engine_ends_or_fails() -> None:
    own = chunk("stop", text="", usage={"completion_tokens": 1})
    stream, out = stream_of(undo=Undo.ALL)
    give(stream, out, own)
    stream.close()
    assert out.bytes == own
    error = b'data: {"error":{"message":"m"}}\n\n'
    stream, out = stream_of(undo=Undo.ALL)
    assert give(stream, out, STOP, error) == STOP + error


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
@pytest.mark.parametrize("late", [0, 1, 127])
async def test_every_choice_has_to_end(granularity: Any, late: int) -> None:
    stream, out = stream_of(granularity)
    give(stream, out, *(chunk(index=index, text=text) for text in ("a b", " c") for index in range(128)))
    give(stream, out, *(chunk("stop", index, "") for index in range(128) if index != late))
    assert not stream.has_ended
    give(stream, out, chunk(index=late), chunk("length", late, ""))
    assert stream.has_ended
    give(stream, out, chunk(index=late))
    assert not stream.has_ended
    stream.stop()


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
async def test_a_large_event_passes_whole_and_leaves_nothing_behind(granularity: Any) -> None:
    allowance = Allowance(64 * MIB)
    stream, out = stream_of(granularity, allowance=allowance)
    image = b'{"type":"image_generation.completed","b64_json":"%b","usage":{"output_tokens":3}}' % (b"A" * 15 * MIB)
    event = b"event: image_generation.completed\ndata: " + image + b"\n\n"
    got = give(stream, out, *(event[at : at + 65536] for at in range(0, len(event), 65536)))
    assert got == event
    assert stream.has_ended
    assert sum(map(len, stream.tail)) < 1000
    assert allowance.left_b < 64 * MIB
    stream.stop()
    assert allowance.left_b == 64 * MIB
    assert len(stream._splitter._buffer) == 0


@pytest.mark.parametrize("api", Api)
async def test_an_engines_error_in_the_shape_that_was_asked(api: Api) -> None:
    stream, out = stream_of(api=api)
    last = b'data: {"type":"x","sequence_number":6}\n\n'
    got = give(stream, out, last, b'data: {"error":{"message":"broke","type":"t","param":null,"code":500}}\n\n')
    error = got.removeprefix(last)
    fields = json.loads(sse.payload(error) or b"")
    assert (fields.get("type") == "error") is (api is not Api.OPENAI)
    assert (fields["message"] if api is Api.RESPONSES else fields["error"]["message"]) == "broke"
    assert fields.get("sequence_number") == (7 if api is Api.RESPONSES else None)
    assert stream.saw_error
