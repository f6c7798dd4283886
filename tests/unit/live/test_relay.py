"""The copy loop of one answer, fed by hand: captured streams in every cut, small and large answers, cut ones."""

import asyncio
import gc
from collections.abc import Iterable

import pytest

from proxy.live.relay import Relay
from proxy.model.classes import StreamSettings
from proxy.model.faults import Kind, Source, upstream
from proxy.model.limits import UpstreamLimits
from proxy.model.timeline import Timeline
from proxy.wire import sse, usage
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from tests.engines_captures.reading import STREAMS, Capture, capture
from tests.unit.live.standins import Sink

LIMITS = UpstreamLimits()
JSON = [(b"Content-Type", b"application/json")]
SSE = [(b"Content-Type", b"text/event-stream; charset=utf-8")]
NOW = 100.0
CUT = upstream(Kind.CUT, "The backend went away.")


class EngineSide:
    """The connection as the relay uses it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.lingers_s = 0.0
        self.vain: list[bool] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def abort(self) -> None:
        self.calls.append("abort")

    def linger(self, seconds: float) -> None:
        self.lingers_s = seconds

    def answer_begun(self, now: float) -> None:
        """How long silence may last is the connection's business."""

    def in_vain(self, now: float, *, anew: bool) -> None:
        self.vain.append(anew)


def relay_of(limits: UpstreamLimits = LIMITS) -> tuple[Relay, EngineSide]:
    plan = StreamPlan(StreamSettings(), limits.event)
    loop = asyncio.get_running_loop()
    relay = Relay("alpha", plan, limits.answer_buffer, Timeline(NOW), Meter(), loop, lambda: NOW)
    side = EngineSide()
    relay.connection = side
    return relay, side


def play(found: Capture, pieces: Iterable[bytes]) -> tuple[Relay, Sink]:
    """Head, pieces, end; the client's head goes out as soon as the relay is ready."""
    relay, _ = relay_of()
    sink = Sink()
    relay.on_head(found.status, list(found.headers), NOW)
    for piece in pieces:
        relay.on_body(piece, NOW)
        if relay.ready.done() and relay.done is None:
            relay.start(sink)
    if found.is_whole:
        relay.on_end()
    else:
        relay.on_fault(CUT)
    assert relay.done is not None
    assert relay.done.done()
    return relay, sink


def expected_of(found: Capture) -> tuple[bytes, list[bytes]]:
    """(what the client gets, the events that count), by the plain rules."""
    out, counted = b"", []
    for event in sse.EventSplitter(LIMITS.event).feed(found.body):
        clean = sse.cleaned(event)
        out += clean
        if sse.payload(clean) == sse.DONE:
            break
        if clean.endswith(b"\n\n"):
            counted.append(clean)
            if Event(clean).is_error:
                break
    return out, counted


def cuts_of(found: Capture) -> dict[str, list[bytes]]:
    body = found.body
    return {
        "as it came": list(found.pieces),
        "one event each": [event + b"\n\n" for event in body.split(b"\n\n") if event],
        "one piece": [body],
        "single bytes": [body[i : i + 1] for i in range(len(body))],
        "7 bytes": [body[i : i + 7] for i in range(0, len(body), 7)],
        "200 bytes": [body[i : i + 200] for i in range(0, len(body), 200)],
        "inside every border": [piece for event in body.split(b"\n\n") if event for piece in (event + b"\n", b"\n")],
        "CRLF": [piece.replace(b"\n", b"\r\n") for piece in found.pieces],
    }


@pytest.mark.parametrize("name", STREAMS)
async def test_captured_streams_in_every_cut(name: str) -> None:
    found = capture(name)
    out, counted = expected_of(found)
    for cut, pieces in cuts_of(found).items():
        relay, sink = play(found, pieces)
        assert sink.bytes == out, cut
        assert relay.stream is not None
        assert relay.stream.tail == counted[-3:], cut
        assert relay.usage() == usage.of_events(counted[-3:]), cut
        assert relay.stream.saw_done is out.endswith(b"data: [DONE]\n\n"), cut
        assert relay.stream.saw_error is (bool(counted) and Event(counted[-1]).is_error), cut
        assert (relay.fault is None) is found.is_whole, cut


async def test_the_first_token_is_the_first_content() -> None:
    found = capture("vllm/chat_stream")
    relay, _ = relay_of()
    relay.on_head(200, list(found.headers), NOW)
    relay.on_body(found.pieces[0], NOW)
    line = relay._timeline
    assert line.first_byte is not None
    assert relay.meter.first_token is None
    relay.on_body(found.pieces[1], NOW)
    assert relay.meter.first_token is not None


async def test_nothing_flows_before_it_is_started() -> None:
    relay, _ = relay_of()
    relay.on_head(200, SSE, NOW)
    assert not relay.ready.done()
    relay.on_body(b'data: {"a"', NOW)
    assert not relay.ready.done()
    relay.on_body(b":1}\n\n", NOW)
    assert relay.ready.done()
    relay.on_body(b'data: {"a":2}\n\n', NOW)
    sink = Sink()
    done = relay.start(sink)
    assert sink.sent == [b'data: {"a":1}\n\ndata: {"a":2}\n\n']
    assert not done.done()
    relay.on_body(b"data: [DONE]\n\n", NOW)
    assert done.done()


async def test_a_stream_that_begins_with_an_error_can_still_be_repeated() -> None:
    relay, side = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_body(b'data:{"error":"Model is overloaded","error_type":"overloaded"}\n\ndata: [DONE]\n\n', NOW)
    assert relay.ready.done()
    assert relay.said_its_last_word
    relay.turn_into_error(503, b'{"error":"Model is overloaded"}')
    assert (relay.stream, relay.complete, relay.body) == (None, True, b'{"error":"Model is overloaded"}')
    assert side.calls == ["abort"]


async def test_nothing_after_the_error_of_an_engine() -> None:
    relay, _ = relay_of()
    relay.on_head(200, SSE, NOW)
    sink = Sink()
    relay.on_body(b'data: {"a":1}\n\n', NOW)
    done = relay.start(sink)
    relay.on_body(b'data: {"error":{"message":"x"}}\n\ndata: {"a":2}\n\ndata: [DONE]\n\n', NOW)
    assert sink.bytes == b'data: {"a":1}\n\ndata: {"error":{"message":"x"}}\n\n'
    assert done.done()
    assert relay.stream is not None
    assert (relay.stream.saw_error, relay.stream.saw_done) == (True, False)


async def test_done_inside_a_string_is_text() -> None:
    relay, _ = relay_of()
    relay.on_head(200, SSE, NOW)
    event = b'data: {"choices":[{"delta":{"content":"data: [DONE]\\n\\n"}}]}\n\n'
    relay.on_body(event, NOW)
    sink = Sink()
    relay.start(sink)
    relay.on_body(event, NOW)
    assert sink.bytes == event * 2
    assert not relay.said_its_last_word


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_the_limit_of_one_event(over: int) -> None:
    relay, side = relay_of(UpstreamLimits(event=64))
    relay.on_head(200, SSE, NOW)
    event = b'data: {"a":"%b"}' % (b"x" * (64 - 14 + over))
    assert len(event) == 64 + over
    pieces = [event[index : index + 1] for index in range(len(event))] + [b"\n", b"\n"]
    for piece in pieces:
        if not side.calls:  # an aborted connection hands nothing on
            relay.on_body(piece, NOW)
    if over <= 0:
        assert relay.fault is None
        assert relay.body == event + b"\n\n"
    else:
        assert relay.fault is not None
        assert relay.fault.kind is Kind.EVENT_TOO_LARGE
        assert side.calls == ["abort"]
    assert relay.ready.done()


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_small_answers_are_held_until_they_are_whole(over: int) -> None:
    relay, side = relay_of(UpstreamLimits(answer_buffer=1 << 10))
    relay.on_head(200, JSON, NOW)
    body = bytes(1024 + over)
    for start in range(0, len(body), 100):
        relay.on_body(body[start : start + 100], NOW)
    assert relay.ready.done() is (over > 0)
    assert side.calls == (["pause"] if over > 0 else [])
    relay.on_end()
    assert relay.ready.done()
    assert (relay.complete, relay.body) == (True, body)


async def test_large_answers_flow() -> None:
    relay, side = relay_of(UpstreamLimits(answer_buffer=1 << 10))
    relay.on_head(200, JSON, NOW)
    relay.on_body(b"a" * 1000, NOW)
    relay.on_body(b"b" * 1000, NOW)
    sink = Sink()
    done = relay.start(sink)
    assert side.calls == ["pause", "resume"]
    relay.on_body(b"c" * 1000, NOW)
    assert sink.sent == [b"a" * 1000 + b"b" * 1000, b"c" * 1000]
    assert not done.done()
    relay.on_end()
    assert done.done()
    assert relay.fault is None


async def test_a_small_answer_that_is_cut_is_a_fault_and_nothing_was_sent() -> None:
    relay, _ = relay_of()
    relay.on_head(200, JSON, NOW)
    relay.on_body(b'{"a":', NOW)
    relay.on_fault(CUT)
    assert relay.ready.done()
    assert (relay.complete, relay.fault, relay.done) == (False, CUT, None)


async def test_usage_of_a_whole_answer() -> None:
    relay, _ = relay_of()
    found = capture("vllm/chat")
    relay.on_head(200, list(found.headers), NOW)
    relay.on_body(found.body, NOW)
    relay.on_end()
    assert relay.usage() == usage.of_body(found.body)
    assert relay.usage().prompt_tokens is not None


async def test_only_a_good_status_streams() -> None:
    relay, _ = relay_of()
    relay.on_head(500, SSE, NOW)
    relay.on_body(b'data: {"error":1}\n\n', NOW)
    relay.on_end()
    assert relay.stream is None
    assert relay.body == b'data: {"error":1}\n\n'


async def test_a_slow_client_pauses_its_own_engine_only_while_the_answer_runs() -> None:
    relay, side = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_pause(paused=True)
    relay.on_pause(paused=False)
    assert side.calls == ["pause", "resume"]
    relay.on_end()
    relay.on_pause(paused=True)
    assert side.calls == ["pause", "resume"], "the connection may already carry somebody else's answer"


async def test_what_is_let_go() -> None:
    relay, side = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_body(b"data: [DONE]\n\n", NOW)
    relay.release()
    assert side.calls == []
    assert 0 < side.lingers_s < 1, "an engine that said its last word has a moment to end its body"
    relay.on_end()
    side.lingers_s = 0.0
    relay.release()
    assert (side.calls, side.lingers_s) == ([], 0.0), "a complete answer has no connection any more"


async def test_what_is_broken_off() -> None:
    relay, side = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.release()
    assert side.calls == ["abort"]


@pytest.mark.parametrize("last", [b"data: [DONE]\n\n", b'data: {"error":{"message":"x"}}\n\n'])
async def test_nothing_follows_the_last_word_in_a_read_of_its_own(last: bytes) -> None:
    """By then the client's next answer may be on its connection."""
    relay, _ = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_body(b'data: {"a":1}\n\n', NOW)
    sink = Sink()
    relay.start(sink)
    relay.on_body(last, NOW)
    relay.on_body(b'data: {"a":2}\n\n', NOW)
    assert sink.bytes == b'data: {"a":1}\n\n' + last


async def test_an_engine_that_drops_its_connection_after_done_has_answered() -> None:
    """Both can come in one turn of the loop, before the exchange looks."""
    relay, _ = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_body(b'data: {"a":1}\n\n', NOW)
    done = relay.start(Sink())
    relay.on_body(b"data: [DONE]\n\n", NOW)
    relay.on_fault(CUT)
    assert done.done()
    assert relay.fault is None


async def test_the_limit_of_one_event_holds_on_the_fast_path() -> None:
    relay, _ = relay_of(UpstreamLimits(event=64))
    relay.on_head(200, SSE, NOW)
    relay.on_body(b'data: {"a":1}\n\n', NOW)
    relay.start(Sink())
    relay.on_body(b'data: {"a":"%b"}\n\n' % (b"x" * 100), NOW)
    assert relay.fault is not None


async def test_what_brings_a_stream_no_further_is_told() -> None:
    relay, side = relay_of()
    relay.on_head(200, SSE, NOW)
    told = []
    for piece in (
        b": ping\n\n",
        b": ping\n\n",
        b'data: {"a":1}\n\n',
        b": ping\n\n",
        b'data: {"a"',
        b":1}\n\n: ping\n\n",
    ):
        relay.on_body(piece, NOW)
        told.append(side.vain)
        side.vain = []
    assert told == [[False], [False], [], [True], [False], []]
    relay.on_body(b": ping\n\n", NOW)
    assert side.vain == [True], "something did come since that was last said"


async def test_a_whole_answer_has_as_long_as_a_first_byte_until_it_flows() -> None:
    relay, side = relay_of(UpstreamLimits(answer_buffer=4))
    relay.on_head(200, JSON, NOW)
    relay.on_body(b"ab", NOW)
    relay.on_body(b"cdef", NOW)
    assert side.vain == [False, False]
    relay.start(Sink())
    relay.on_body(b"gh", NOW)
    assert side.vain == [False, False], "now the client sees every byte"


async def test_a_complete_answer_leaves_its_connection_alone() -> None:
    """It may carry the next request by the time somebody looks at this answer."""
    relay, side = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_body(b'data: {"error":{"message":"x"}}\n\n', NOW)
    relay.on_end()
    relay.turn_into_error(503, b"{}")
    relay.complete = False  # as the judge says of a redirect
    relay.release()
    assert side.calls == []
    assert relay.connection is None


async def test_usage_of_an_answer_that_flowed_stands_in_its_last_bytes() -> None:
    relay, _ = relay_of(UpstreamLimits(answer_buffer=1 << 10))
    relay.on_head(200, JSON, NOW)
    body = b'{"data":[{"b64_json":"%b"}],"usage":{"prompt_tokens":5,"completion_tokens":6}}' % (b"x" * 100_000)
    relay.on_body(body[:2000], NOW)
    relay.start(Sink())
    for start in range(2000, len(body), 64):
        relay.on_body(body[start : start + 64], NOW)
    assert relay.usage() == usage.NO_USAGE, "not before it is complete"
    relay.on_end()
    assert relay.usage()[:2] == (5, 6)


async def test_an_event_over_our_limit_accuses_nobody() -> None:
    relay, _ = relay_of(UpstreamLimits(event=64))
    relay.on_head(200, SSE, NOW)
    relay.on_body(b"data: " + b"x" * 100, NOW)
    assert relay.fault is not None
    assert relay.fault.source is Source.INTERNAL


@pytest.mark.parametrize("ending", ["left", "cut", "ended"])
async def test_a_stream_that_is_over_is_free_without_a_collector(ending: str) -> None:
    """A cycle would live until the next full collection, and those are rare: with it the client's connection."""
    gc.collect()
    gc.disable()
    relay, _ = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_body(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', NOW)
    relay.start(Sink())
    if ending == "cut":
        relay.on_fault(CUT)
    elif ending == "ended":
        relay.on_body(b"data: [DONE]\n\n", NOW)
        relay.on_end()
    relay.release()
    del relay
    await asyncio.sleep(0)
    left = [thing for thing in gc.get_objects() if isinstance(thing, Relay)]
    gc.enable()
    assert not left
