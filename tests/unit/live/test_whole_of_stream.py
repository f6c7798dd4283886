"""The receiver that puts a stream together: what it becomes at each kind of end, and what it holds."""

import asyncio
from time import monotonic
from typing import Any

import orjson
import pytest

from proxy.live.whole_of_stream import WholeOfStream
from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind, upstream
from proxy.model.timeline import Timeline
from proxy.model.whole_answers import AS_OPENAI
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan

SSE = [(b"Content-Type", b"text/event-stream"), (b"X-Accel-Buffering", b"no"), (b"Date", b"now")]


class Side:
    """The engine's side."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def abort(self) -> None:
        self.calls.append("abort")

    def linger(self, seconds: float) -> None:
        self.calls.append("linger")

    def answer_begun(self, now: float) -> None:
        self.calls.append("begun")

    def in_vain(self, now: float, *, anew: bool) -> None:
        self.calls.append("in vain, anew" if anew else "in vain")


def event(text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": reason}
    return b"data: " + orjson.dumps({"id": "1", "choices": [choice]}) + b"\n\n"


def relay(answer_buffer_b: int = 1000) -> tuple[WholeOfStream, Side]:
    loop, side = asyncio.get_running_loop(), Side()
    plan = StreamPlan(StreamSettings(), 1 << 20)
    line, clock = Timeline(monotonic()), monotonic
    made = WholeOfStream("a", plan, answer_buffer_b, line, Meter(), loop, clock, Endpoint.COMPLETIONS, AS_OPENAI)
    made.connection = side
    return made, side


def fed(made: WholeOfStream, *data: bytes) -> None:
    made.on_head(200, SSE, 1.0)
    for one in data:
        made.on_body(one, 2.0)


async def test_it_is_whole_at_done_and_the_connection_may_end_in_peace() -> None:
    made, side = relay()
    fed(made, event("a"), event("b", "stop")[:20], event("b", "stop")[20:])
    assert (made.ready.done(), made.flow(), made.events) == (False, 2, None)
    made.on_body(b"data: [DONE]\n\n", 3.0)
    assert (made.ready.done(), made.complete, made.status, made.flow()) == (True, True, 200, None)
    assert orjson.loads(made.body)["choices"] == [{"index": 0, "text": "ab", "finish_reason": "stop"}]
    assert made.headers == [(b"Date", b"now"), (b"content-type", b"application/json")]
    assert made.meter.tokens == 0, "its client saw none of them come"
    assert made.progress.tokens == 2
    made.on_fault(upstream(Kind.CUT, "late"))
    made.release()
    assert (made.fault, side.calls) == (None, ["in vain, anew", "linger"])


@pytest.mark.parametrize(("last", "kind"), [(event("b", "stop"), None), (event("b"), Kind.CUT)])
async def test_an_end_without_done_counts_where_all_texts_have_ended(last: bytes, kind: Kind | None) -> None:
    made, _ = relay()
    fed(made, event("a"), last)
    made.on_end()
    assert made.ready.done()
    assert (made.fault.kind if made.fault is not None else None) is kind
    assert made.complete is (kind is None)


async def test_a_fault_in_the_middle_is_one() -> None:
    made, side = relay()
    fed(made, event("a"))
    made.on_fault(upstream(Kind.RESET, "gone"))
    assert made.ready.done()
    assert made.fault is not None
    made.release()
    assert side.calls == ["abort"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"error": {"code": 500, "message": "x"}}, 500),
        ({"error": {"code": 400, "message": "x"}}, 400),
        ({"error": "x"}, 500),
    ],
)
async def test_an_error_is_an_answer_with_its_status(error: dict[str, Any], status: int) -> None:
    made, side = relay()
    fed(made, event("a"), b"data: " + orjson.dumps(error) + b"\n\n" + event("b"))
    assert (made.complete, made.status, orjson.loads(made.body)) == (True, status, error)
    assert side.calls == ["abort"]


async def test_comments_bring_it_no_further() -> None:
    made, side = relay()
    fed(made, b": ping\n\n", event("a")[:5], event("a")[5:], b": ping\n\n", b": ping\n\n")
    assert side.calls == ["in vain", "in vain", "in vain, anew", "in vain"]


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"choices":[{"index":0,"text":1}]}\n\n',
        event("x" * 16_000),
        b"data: [DONE]\n\n",
        b'data: {"choices":[{"index":0,"text":"\\ud800","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    ],
)
async def test_what_is_not_known_or_too_large_is_unfit_and_holds_nothing_up(data: bytes) -> None:
    made, side = relay()
    fed(made, data)
    assert (made.is_unfit, made.complete, made.ready.done(), side.calls) == (True, False, True, ["abort"])
    made.on_fault(upstream(Kind.CUT, "we did"))
    made.on_end()
    assert made.fault is None


async def test_an_event_over_the_limit_ends_it() -> None:
    made, _ = relay()
    made.plan.event_limit_b = 100
    fed(made, b"data: " + b"x" * 200)
    assert made.fault is not None


async def test_what_is_no_stream_is_relayed_as_it_is() -> None:
    made, _ = relay()
    made.on_head(500, [(b"content-type", b"application/json")], 1.0)
    made.on_body(b'{"error":1}', 1.0)
    made.on_end()
    assert (made.status, made.body, made.complete, made.is_unfit) == (500, b'{"error":1}', True, False)
