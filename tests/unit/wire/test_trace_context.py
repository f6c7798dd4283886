"""Trace context: what a client said is gone on with or begun anew, as the W3C standard wants, and passed on."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.timeline import Timeline
from proxy.wire.trace_context import Trace, TracedAttempt, Tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{PARENT}-01".encode()
WHOLE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def begun(header: bytes | None, share: float = 1.0, **more: bytes) -> Trace:
    fields = {b"traceparent": header} if header is not None else {}
    return Tracing(random.Random(7).getrandbits, share).begin(fields | {k.encode(): v for k, v in more.items()})


def told(trace: Trace, headers: list[tuple[bytes, bytes]], attempt: TracedAttempt | None = None) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in trace.told(headers, attempt)}


def test_a_parent_is_gone_on_with() -> None:
    trace = begun(HEADER, tracestate=b"a=1,b=2")
    assert (trace.trace_id, trace.parent_id, trace.is_sampled) == (TRACE, PARENT, True)
    assert trace.span_id not in (PARENT, "0" * 16)
    attempt = trace.sent("alpha", 1, 0.0)
    headers = told(trace, [(b"TraceParent", HEADER), (b"tracestate", b"a=1,b=2"), (b"accept", b"*/*")], attempt)
    assert headers[b"traceparent"] == f"00-{TRACE}-{attempt.span_id}-01".encode()
    assert (headers[b"tracestate"], headers[b"accept"]) == (b"a=1,b=2", b"*/*")
    assert len(headers) == 3


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_the_decision_of_the_parent_is_respected(flags: str, sampled: bool, share: float) -> None:
    assert begun(f"00-{TRACE}-{PARENT}-{flags}".encode(), share).is_sampled is sampled


def test_of_what_is_not_sampled_the_clients_headers_go_on_as_they_came() -> None:
    came = [(b"traceparent", f"00-{TRACE}-{PARENT}-00".encode()), (b"tracestate", b"a=1")]
    trace = begun(came[0][1], tracestate=b"a=1")
    assert trace.told(came, trace.sent("alpha", 1, 0.0)) is came


def test_an_engine_is_told_not_to_begin_a_trace_that_is_not_sampled_here() -> None:
    trace = begun(None, 0.0)
    assert not trace.is_sampled
    assert told(trace, [])[b"traceparent"].endswith(b"-00")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"nonsense",
        HEADER[:-1],
        HEADER.upper(),
        b"ff" + HEADER[2:],
        HEADER + b"-more",
        HEADER + b"," + HEADER,
        f"00-{'0' * 32}-{PARENT}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-{PARENT}-0g".encode(),
    ],
)
def test_what_is_no_parent_begins_a_trace_without_its_state(header: bytes) -> None:
    trace = begun(header, tracestate=b"a=1")
    assert trace.trace_id != TRACE
    assert (trace.parent_id, trace.state) == ("", b"")
    headers = told(trace, [(b"traceparent", header), (b"tracestate", b"a=1")])
    assert WHOLE.fullmatch(headers[b"traceparent"].decode())
    assert b"tracestate" not in headers


def test_a_later_version_is_understood_as_far_as_it_is_known() -> None:
    assert begun(b"cc-" + HEADER[3:] + b"-what-comes-later").trace_id == TRACE


@given(st.binary(max_size=80))
def test_whatever_comes_an_engine_gets_a_whole_header(header: bytes) -> None:
    trace = begun(header)
    assert WHOLE.fullmatch(told(trace, [])[b"traceparent"].decode())


def test_so_many_are_sampled_as_wanted() -> None:
    tracing = Tracing(random.Random(7).getrandbits, 0.25)
    traces = [tracing.begin({}) for _ in range(4000)]
    assert 0.22 < sum(trace.is_sampled for trace in traces) / 4000 < 0.28
    assert len({trace.trace_id for trace in traces}) == len({trace.span_id for trace in traces}) == 4000


def test_ids_are_never_all_zeros() -> None:
    draws = [0, 5, 0, 0, 6]
    trace = Tracing(lambda _: draws.pop(0), 1.0).begin({})
    assert (trace.trace_id, trace.span_id) == (f"{5:032x}", f"{6:016x}")


def test_an_attempt_has_its_own_times_only() -> None:
    """What an attempt before it has left on the stopwatch is not its own."""
    line = Timeline(10.0)
    trace = begun(None)
    first = trace.sent("alpha", 1, 10.0)
    line.connected, line.first_byte = 10.1, 10.2
    first.end(10.3, "cut", line)
    second = trace.sent("beta", 2, 10.4)
    line.done = 11.0
    trace.finish(line, "")
    assert (first.connected, first.first_byte, first.ended, first.end_reason) == (10.1, 10.2, 10.3, "cut")
    assert (second.connected, second.first_byte, second.ended, second.end_reason) == (None, None, 11.0, "")


def test_attempts_are_bounded() -> None:
    trace = begun(None)
    ids = {trace.sent("alpha", number, 0.0).span_id for number in range(1000)}
    assert (len(ids), len(trace.attempts)) == (1000, 64)
