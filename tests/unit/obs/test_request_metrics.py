"""Times and tokens of requests: bounds where something is promised, whose time it was, and what was wasted."""

from typing import Any

import pytest

from proxy.model.classes import NOTHING_PROMISED, Promise
from proxy.model.faults import Kind, downstream
from proxy.model.outcome import Phase, failed_with
from proxy.obs.exposition import Writer
from proxy.obs.families import Histograms
from proxy.obs.record import Streaming
from proxy.obs.request_metrics import Bounds, RequestMetrics
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.usage import NO_USAGE, Usage
from tests.unit.obs.records import record, timeline
from tests.unit.obs.traces import TRACE, traced

WHO = 'endpoint="chat.completions",class="interactive",backend="alpha"'
CLASS = 'endpoint="chat.completions",class="interactive"'
BACKEND = 'endpoint="chat.completions",backend="alpha"'


def told(*records: Any, promises: Any = (), hedge_tokens: float = 0.0, retry_tokens: float = 0.0) -> dict[str, float]:
    metrics = RequestMetrics(Bounds(promises))
    for one in records:
        metrics.count(one)
    return read(metrics, hedge_tokens, retry_tokens)


def read(metrics: RequestMetrics, hedge_tokens: float = 0.0, retry_tokens: float = 0.0) -> dict[str, float]:
    text = "".join(Writer().pieces(metrics.families(hedge_tokens, retry_tokens), is_open=False))
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("tidegate_"): float(value) for name, _, value in lines}


def test_what_is_promised_is_a_bound_of_its_histogram_alone() -> None:
    promises = [
        Promise(0.25, 0.0421, 2.0, 0, 3600.0),
        NOTHING_PROMISED,
        Promise(ttft_s=0.18),
    ]
    found = told(record(), promises=promises)
    assert found[f'ttft_seconds_bucket{{{WHO},le="0.25"}}'] == 1
    assert found[f'ttft_seconds_bucket{{{WHO},le="0.18"}}'] == 0
    assert found[f'answer_ttft_seconds_bucket{{{CLASS},le="0.25"}}'] == 1
    assert f'tpot_seconds_bucket{{{WHO},le="0.0421"}}' in found
    assert found[f'e2e_seconds_bucket{{{WHO},le="3600.0"}}'] == 1
    assert f'queue_seconds_bucket{{{CLASS},le="0.25"}}' not in found
    assert f'e2e_seconds_bucket{{{WHO},le="0.25"}}' not in found


def test_whose_time_it_was() -> None:
    found = told(record(timeline=timeline(last_byte=101.9995)))
    assert found[f"queue_seconds_sum{{{CLASS}}}"] == pytest.approx(0.002)
    assert found[f"connect_seconds_sum{{{BACKEND}}}"] == pytest.approx(0.001)
    assert found[f"engine_wait_seconds_sum{{{BACKEND}}}"] == pytest.approx(0.097)
    assert found[f"service_seconds_sum{{{WHO}}}"] == pytest.approx(1.997)
    assert found[f"overhead_seconds_sum{{{CLASS}}}"] == pytest.approx(0.0015)


def test_times_of_an_attempt_before_the_last_one_are_not_of_the_last_one() -> None:
    found = told(record(timeline=timeline(released=101.0)))
    assert f"connect_seconds_count{{{BACKEND}}}" not in found
    assert f"engine_wait_seconds_count{{{BACKEND}}}" not in found


def test_thinking_is_no_answer() -> None:
    meter = Meter()
    for at, field in ((100.2, "reasoning_content"), (100.4, "reasoning_content"), (101.0, "content")):
        raw = b'data: {"choices":[{"delta":{"%b":"word"},"finish_reason":null}]}\n\n' % field.encode()
        meter.saw(Event(raw), at)
    found = told(record(meter=meter))
    assert found[f"ttft_seconds_sum{{{WHO}}}"] == pytest.approx(0.2)
    assert found[f"answer_ttft_seconds_sum{{{CLASS}}}"] == pytest.approx(1.0)


def test_an_answer_that_never_begins_has_no_such_time() -> None:
    meter = Meter()
    meter.saw(Event(b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'), 100.2)
    found = told(record(meter=meter))
    assert found[f"ttft_seconds_count{{{WHO}}}"] == 1
    assert f"answer_ttft_seconds_count{{{CLASS}}}" not in found


def test_tokens_for_nobody() -> None:
    left = failed_with(downstream(Kind.LEFT, "x"), Phase.STREAM)
    found = told(
        record(outcome=left, usage=Usage(None, 3, None), expected_prompt=40),
        record(outcome=left, usage=Usage(25, 8, 16)),
        record(outcome=left, usage=NO_USAGE, expected_prompt=999, timeline=timeline(released=None)),
        record(),
        hedge_tokens=70,
        retry_tokens=5,
    )
    wasted = {key: value for key, value in found.items() if key.startswith("wasted_tokens_total")}
    assert wasted == {
        'wasted_tokens_total{cause="client_gone",direction="prompt"}': 65,
        'wasted_tokens_total{cause="client_gone",direction="completion"}': 11,
        'wasted_tokens_total{cause="hedge_lost",direction="prompt"}': 70,
        'wasted_tokens_total{cause="retry",direction="prompt"}': 5,
    }


def test_streams_that_run_show_their_gaps_and_count_them_once() -> None:
    metrics, meter = RequestMetrics(Bounds()), Meter()
    for number in range(5):
        meter.saw(Event(b'data: {"choices":[{"text":"a"}]}\n\n'), 100 + 0.1 * number)
    running = Streaming("chat.completions", "interactive", "alpha", meter)
    metrics.meter([running])
    assert read(metrics)[f"itl_seconds_count{{{WHO}}}"] == 4
    metrics.count(record(meter=meter))
    assert read(metrics)[f"itl_seconds_count{{{WHO}}}"] == 4


@pytest.mark.parametrize(("flags", "kept"), [("01", True), ("00", False)])
def test_what_is_sampled_is_an_example_of_its_times(flags: str, kept: bool) -> None:
    counts = RequestMetrics(Bounds())
    counts.count(traced(flags))
    rows = {
        family.name: histogram.exemplars
        for family in counts.families()
        if isinstance(family, Histograms)
        for _, histogram in family.rows
        if histogram.exemplars
    }
    expected = {"tidegate_queue_seconds", "tidegate_e2e_seconds", "tidegate_ttft_seconds", "tidegate_tpot_seconds"}
    assert rows.keys() == (expected if kept else set())
    assert all(trace_id == TRACE for found in rows.values() if found for _, trace_id in found.values())
