"""What counts as kept, for which classes, and that it is told."""

from typing import Any

import pytest

from proxy.model.classes import Promise
from proxy.model.faults import Kind, downstream, internal, upstream
from proxy.model.outcome import Phase, failed_with
from proxy.obs.goodput import Goodput, missed_promises
from proxy.obs.record import Record
from proxy.wire.meter import Meter
from proxy.wire.usage import Usage
from tests.unit.obs.records import record, timeline

KEEPING = Promise(ttft_s=0.26, tpot_s=0.24, e2e_s=2.1, e2e_tokens=8, deadline_s=2.1)
"""The usual record: TTFT 250 ms, 8 tokens, TPOT 236 ms, done after 2 s."""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"ttft_s": 0.24}, ["ttft"]),
        ({"tpot_s": 0.2}, ["tpot"]),
        ({"e2e_s": 1.9}, ["e2e"]),
        ({"e2e_s": 1.9, "e2e_tokens": 7}, []),
        ({"e2e_s": 1.9, "e2e_tokens": 0}, ["e2e"]),
        ({"deadline_s": 1.9}, ["deadline"]),
        ({"ttft_s": 0.1, "tpot_s": 0.1, "e2e_s": 0.1, "deadline_s": 0.1}, ["ttft", "tpot", "e2e", "deadline"]),
    ],
)
def test_promises(change: dict[str, Any], expected: list[str]) -> None:
    assert missed_promises(record(promise=KEEPING._replace(**change))) == expected


def test_an_answer_in_one_piece_has_no_first_token_to_miss() -> None:
    whole = record(promise=Promise(ttft_s=0.001, tpot_s=0.001), meter=Meter(), stream=False)
    assert missed_promises(whole) == []


def counted(*records: Record) -> dict[tuple[str, ...], float]:
    told = Goodput()
    for one in records:
        told.count(one)
    return {
        (sample.name.removeprefix("tidegate_"), *sample.labels.values()): sample.value
        for family in told.families()
        for sample in family.samples
    }


def test_goodput_is_what_was_kept() -> None:
    late = record(promise=Promise(ttft_s=0.1), usage=Usage(1, 30))
    refused = record(outcome=failed_with(internal(Kind.QUEUE_FULL, "x"), Phase.QUEUE), usage=Usage())
    broken = record(outcome=failed_with(upstream(Kind.STREAM_ERROR, "x"), Phase.STREAM), usage=Usage(1, 2))
    gone = record(outcome=failed_with(downstream(Kind.LEFT, "x"), Phase.STREAM), usage=Usage())
    wrong = record(outcome=failed_with(downstream(Kind.INVALID, "x"), Phase.READ))
    nobody = record(traffic_class="")
    kept = record(promise=KEEPING)
    found = counted(late, refused, broken, gone, wrong, nobody, kept, record(traffic_class="bulk", usage=Usage(1, 5)))
    assert {key[2]: value for key, value in found.items() if key[:2] == ("slo_requests_total", "interactive")} == {
        "kept": 1,
        "late": 1,
        "refused": 1,
        "failed": 1,
        "left": 1,
    }
    assert found["slo_missed_total", "interactive", "ttft"] == 1
    assert found["throughput_tokens_total", "interactive"] == 40
    assert found["goodput_tokens_total", "interactive"] == 8
    assert found["goodput_ratio", "interactive"] == 0.2
    assert found["slo_attainment", "interactive"] == 0.25
    assert found["slo_attainment", "bulk"] == found["goodput_ratio", "bulk"] == 1


def test_each_promise_has_a_share_of_those_that_can_tell() -> None:
    promise = Promise(ttft_s=0.3, deadline_s=5.0)
    whole = record(promise=promise, stream=False, meter=Meter())
    late = record(promise=promise._replace(ttft_s=0.2))
    found = counted(record(promise=promise), whole, late)
    assert found["slo_promised_total", "interactive", "ttft"] == 2
    assert found["slo_promised_total", "interactive", "deadline"] == 3
    assert found["slo_promise_attainment", "interactive", "ttft"] == 0.5
    assert found["slo_promise_attainment", "interactive", "deadline"] == 1


def test_a_clock_that_never_reached_the_end_misses_nothing() -> None:
    assert missed_promises(record(promise=Promise(deadline_s=0.1), timeline=timeline(done=None))) == []


def test_answers_from_memory_are_no_merit_of_any_engine() -> None:
    goodput = Goodput()
    for how in ("hit", "coalesced"):
        goodput.count(record(cache=how))
    goodput.count(record(cache="miss"))
    told = {(m.name, *s.labels.values()): s.value for m in goodput.families() for s in m.samples}
    assert told["tidegate_slo_requests", "interactive", "cached"] == 2
    assert told["tidegate_slo_requests", "interactive", "kept"] == 1
    assert told["tidegate_cached_tokens", "interactive"] == 2 * told["tidegate_throughput_tokens", "interactive"]
    assert told["tidegate_slo_attainment", "interactive"] == 1.0
