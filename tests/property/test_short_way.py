"""An event that is read alone takes the short way through `wire.stream`; cut in two it cannot. Both say the same."""

import asyncio
import json
from dataclasses import dataclass
from time import monotonic
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.live.relay import Relay
from proxy.model.classes import StreamSettings
from proxy.model.faults import Fault
from proxy.model.timeline import Timeline
from proxy.wire.accounting import Undo
from proxy.wire.counting import Evidence
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.tokens import CountSource, Estimator
from proxy.wire.usage import Usage
from tests.engines_captures.reading import capture, named
from tests.support.stream_text import Heard, events_of
from tests.unit.live.standins import Sink

STREAMS = named(lambda found: found.is_stream)
SSE = [(b"content-type", b"text/event-stream")]
LIMIT_B = 2_000

Granularity = Literal["engine", "token"]


@dataclass(frozen=True)
class Way:
    """How a stream is treated."""

    granularity: Granularity = "engine"
    one_token_per_event: bool = False
    undo: Undo = Undo.NOTHING

    def plan(self) -> StreamPlan:
        evidence = Evidence(Estimator(), one_token_per_event=self.one_token_per_event)
        settings = StreamSettings(granularity=self.granularity)
        return StreamPlan(settings, LIMIT_B, self.undo, evidence=evidence)


WAYS = [
    Way(),
    Way(undo=Undo.ALL),
    Way("token"),
    Way("token", one_token_per_event=True),
    Way("token", one_token_per_event=True, undo=Undo.ALL),
]


@dataclass
class Told:
    """Everything a stream leaves behind."""

    out: bytes
    tail: list[bytes]
    counts: tuple[int, int, bool]
    source: CountSource
    usage: Usage
    last_words: tuple[bool, bool]
    fault: Fault | None


def told(way: Way, reads: list[bytes]) -> tuple[Told, int]:
    """What comes of these reads, and how many of them went on as the chunk they were."""

    async def play() -> tuple[Told, int]:
        relay = Relay("a", way.plan(), 1_000, Timeline(monotonic()), Meter(), asyncio.get_running_loop(), monotonic)
        relay.on_head(200, SSE, monotonic())
        assert relay.stream is not None
        sink = Sink()
        relay.start(sink)
        for read in reads:
            if relay.fault is None:
                relay.on_chunk(read, b"%x\r\n%b\r\n" % (len(read), read), monotonic())
        relay.stream.end()
        stream, meter = relay.stream, relay.meter
        counts = (meter.events, meter.tokens, meter.first_token is not None)
        ends = (stream.saw_done, stream.saw_error)
        return Told(
            sink.bytes, stream.tail, counts, relay.token_source(), relay.usage(), ends, relay.fault
        ), sink.chunks

    return asyncio.run(play())


def halves(events: list[bytes]) -> list[bytes]:
    return [half for event in events for half in (event[: len(event) // 2], event[len(event) // 2 :]) if half]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams(name: str, way: Way) -> None:
    events = [event + b"\n\n" for event in capture(name).body.split(b"\n\n") if event]
    alone, _ = told(way, events)
    cut, chunks = told(way, halves(events))
    assert chunks == 0
    assert alone == cut
    if way.undo is Undo.NOTHING and not alone.last_words[1] and alone.fault is None:
        assert Heard(events_of(alone.out)).same_as(Heard(events_of(b"".join(events))))


def _event(text: bytes, reason: bytes = b"null", more: bytes = b"") -> bytes:
    return b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]%b}\n\n' % (
        text,
        reason,
        more,
    )


TEXTS = st.one_of(
    st.text(max_size=6).map(lambda text: json.dumps(text)[1:-1].encode()),
    st.sampled_from(
        [
            b" word",
            b" the",
            b"",
            b'\\"',
            b"\\\\",
            b"\\",
            b'"',
            b"\n",
            b"\r",
            b"a\r\nb",
            b"x\n\ndata: [DONE]\n\ndata: ",
            b"x\n\nid: 7\n\n",
            b'"},"error":{"message":"no',
            b'"},"usage":{"completion_tokens":9},"a":{"b":"',
            b"x" * LIMIT_B,
        ]
    ),
)
EVENTS = st.one_of(
    TEXTS.map(_event),
    TEXTS.map(_event),
    TEXTS.map(_event),
    st.sampled_from(
        [
            _event(b"", b'"stop"'),
            _event(b"a", more=b',"usage":null'),
            _event(b"a", more=b',"usage":{"prompt_tokens":1,"completion_tokens":5}'),
            b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":5}}\n\n',
            b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
            b'data: {"error":{"message":"out of memory"}}\n\n',
            b": ping\n\n",
            b"id: 7\ndata: {}\n\n",
            b"data: [DONE]\n\n",
        ]
    ),
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=12), st.sampled_from(WAYS))
def test_streams_nobody_recorded(events: list[bytes], way: Way) -> None:
    alone, _ = told(way, events)
    cut, chunks = told(way, halves(events))
    assert chunks == 0
    assert alone == cut


@pytest.mark.parametrize("way", [Way(), Way(undo=Undo.ALL), Way("token", one_token_per_event=True)], ids=str)
def test_the_short_way_is_taken(way: Way) -> None:
    events = [_event(b" word%d" % number) for number in range(20)]
    alone, chunks = told(way, events)
    assert chunks == len(events)
    assert alone.out == b"".join(events)
    assert alone.counts == (20, 20, True)
