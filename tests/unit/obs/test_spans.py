"""Spans of a finished request: one tree, times within each other, no more than the access log tells."""

import pytest

from proxy.model.faults import Kind, downstream, internal, upstream
from proxy.model.outcome import Outcome, Phase, Verdict, failed_with
from proxy.model.windows import Closed, Company
from proxy.obs.record import Record
from proxy.obs.spans import Span, Spans
from proxy.wire.meter import Meter
from tests.unit.obs.records import record, timeline
from tests.unit.obs.traces import ENGINES, PARENT, TRACE, traced, untried

OFFSET = 1_700_000_000.0


def spans_of(told: Record) -> list[Span]:
    return Spans(ENGINES, "goodput").of(told, OFFSET)


def named(told: Record) -> dict[str, Span]:
    return {span.name: span for span in spans_of(told)}


def at(seconds: float) -> int:
    return int((seconds + OFFSET) * 1e9)


def test_one_tree() -> None:
    spans = spans_of(traced())
    own, *parts = spans
    assert [span.name for span in spans] == ["POST chat.completions", "queue", "chat alias", "chat alias", "stream"]
    assert own.parent_id == PARENT
    assert {span.parent_id for span in parts} == {own.span_id}
    assert {span.trace_id for span in spans} == {TRACE}
    assert len({span.span_id for span in spans}) == len(spans)
    assert [span.kind for span in spans] == ["server", "internal", "client", "client", "internal"]


def test_times_are_those_of_the_stopwatch() -> None:
    own, queue, first, second, stream = spans_of(traced())
    expected = [(own, 100.0, 102.0), (queue, 100.001, 100.003), (first, 100.003, 100.05), (second, 100.06, 102.0)]
    for span, start, end in [*expected, (stream, 100.25, 102.0)]:
        assert abs(span.start_ns - at(start)) < 1000, span.name
        assert abs(span.end_ns - at(end)) < 1000, span.name


def test_the_routing_decision_is_in_the_attempts() -> None:
    _, _, first, second, _ = spans_of(traced(prompt_version="support@3"))
    assert first.error == first.attributes["error.type"] == "reset"
    assert (first.attributes["tidegate.backend"], first.attributes["tidegate.route.reason"]) == ("beta", "first")
    assert first.attributes["tidegate.predicted_ttft_s"] == 0.2
    assert "gen_ai.usage.output_tokens" not in first.attributes
    assert second.error == ""
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.prompt.name": "support",
        "gen_ai.prompt.version": "3",
        "gen_ai.request.model": "alias",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "model",
        "gen_ai.usage.input_tokens": 25,
        "gen_ai.usage.output_tokens": 8,
        "gen_ai.usage.cache_read.input_tokens": 16,
        "server.address": "10.0.0.1",
        "server.port": 8000,
        "tidegate.attempt": 2,
        "tidegate.backend": "alpha",
        "tidegate.held_s": 0.01,
        "tidegate.in_flight": 3,
        "tidegate.predicted_ttft_s": 0.25,
        "tidegate.route.policy": "goodput",
        "tidegate.route.reason": "retry",
    }
    assert expected.items() <= second.attributes.items()
    assert second.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.19)


def test_a_second_job_of_the_same_request_is_asked_again() -> None:
    """An answer that is to be repaired: the first attempt has ended well, and is not the last."""
    told = traced()
    assert told.trace is not None
    told.trace.sent("alpha", 1, 101.0)
    told.trace.finish(told.timeline, "")
    *_, second, third, _ = spans_of(told)
    assert [span.attributes["tidegate.route.reason"] for span in (second, third)] == ["retry", "again"]
    assert "gen_ai.usage.output_tokens" not in second.attributes
    assert third.attributes["gen_ai.usage.output_tokens"] == 8


def test_a_refusal_was_held_until_its_end_and_says_why() -> None:
    fault = internal(Kind.HOLD_TIMEOUT, "words of ours")
    told = untried("ttft", outcome=failed_with(fault, Phase.QUEUE), status=503, stream=False, meter=Meter())
    own, queue = spans_of(told)
    assert own.attributes["tidegate.refused"] == "ttft"
    assert own.error == own.attributes["error.type"] == "hold_timeout"
    assert (queue.start_ns, queue.end_ns) == (at(100.001), at(102.0))
    assert "words of ours" not in str((own, queue))


def test_one_that_could_not_be_understood_is_one_span() -> None:
    fault = downstream(Kind.MALFORMED, "words of ours")
    told = untried(
        outcome=failed_with(fault, Phase.READ), status=400, timeline=timeline(understood=None, released=None)
    )
    told.meter = Meter()
    (own,) = spans_of(told)
    assert (own.error, own.attributes["error.type"]) == ("", "malformed")
    assert "gen_ai.request.model" not in own.attributes


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (upstream(Kind.CUT, "x"), 200, "cut"),
        (upstream(Kind.RESET, "x"), 502, "reset"),
        (downstream(Kind.INVALID, "x"), 400, ""),
        (internal(Kind.QUOTA, "x"), 429, ""),
        (downstream(Kind.LEFT, "x"), 499, ""),
    ],
)
def test_what_is_an_error_of_the_server(fault: object, status: int, error: str) -> None:
    told = traced(outcome=failed_with(fault, Phase.STREAM), status=status)  # type: ignore[arg-type]
    assert spans_of(told)[0].error == error


def test_a_window_and_with_whom() -> None:
    line = timeline(gathered=100.002, released=100.052)
    spans = named(traced(timeline=line, company=Company(4, True, Closed.AGE, 0.05)))
    assert (spans["window"].start_ns, spans["window"].end_ns) == (at(100.002), at(100.052))
    assert spans["window"].attributes == {
        "tidegate.window.jobs": 4,
        "tidegate.window.leads": True,
        "tidegate.window.closed": "age",
    }


def test_no_time_runs_backwards_whatever_the_stopwatch_says() -> None:
    told = traced(timeline=timeline(understood=105.0, gathered=90.0, released=80.0, done=99.0))
    assert all(span.end_ns >= span.start_ns for span in spans_of(told))


def test_without_a_trace_there_is_none() -> None:
    assert spans_of(record()) == []


def test_what_a_fault_says_and_a_client_asked_for_is_not_told() -> None:
    outcome = Outcome(Verdict.FAILED, "CR", downstream(Kind.MODEL_NOT_FOUND, "s3cret"))
    told = untried(outcome=outcome, status=404, model_asked="s3cret", path="/s3cret")
    assert "s3cret" not in str(spans_of(told))
