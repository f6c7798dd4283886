"""Who used what: every request in exactly one series, and what is kept apart."""

import pytest

from proxy.model.faults import Kind, downstream
from proxy.model.outcome import Phase, failed_with
from proxy.obs.usage_metrics import UsageMetrics, truncated_families
from proxy.wire.usage import NO_USAGE, Usage
from tests.unit.obs.records import record, timeline


def told(usage: UsageMetrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("tidegate_usage_"), *sample.labels.values()): sample.value
        for family in usage.families()
        for sample in family.samples
    }


def test_tokens_and_time_by_model_and_tenant() -> None:
    usage = UsageMetrics()
    usage.count("m", "acme", record())
    usage.count("m", "acme", record())
    usage.count("m", "other", record(usage=Usage(1, 2, None)))
    found = told(usage)
    assert found["requests_total", "m", "acme", "served"] == 2
    assert found["tokens_total", "m", "acme", "prompt"] == 50
    assert found["tokens_total", "m", "acme", "completion"] == 16
    assert found["tokens_total", "m", "acme", "cached"] == 32
    assert found["tokens_total", "m", "other", "completion"] == 2
    assert found["service_seconds_total", "m", "acme"] == pytest.approx(2 * 1.997)
    assert found["queue_seconds_total", "m", "acme"] == pytest.approx(2 * 0.002)


def test_answers_from_memory_are_no_work_of_an_engine() -> None:
    usage = UsageMetrics()
    usage.count("m", "none", record(cache="hit"))
    found = told(usage)
    assert found["tokens_total", "m", "none", "kept"] == 8
    assert ("tokens_total", "m", "none", "completion") not in found


def test_every_verdict_is_counted() -> None:
    usage = UsageMetrics()
    left = failed_with(downstream(Kind.LEFT, "x"), Phase.QUEUE)
    usage.count("m", "acme", record(outcome=left, usage=NO_USAGE, timeline=timeline(released=None)))
    assert told(usage) == {
        ("requests_total", "m", "acme", "cancelled"): 1,
        ("service_seconds_total", "m", "acme"): 0,
        ("queue_seconds_total", "m", "acme"): 0,
    }


def test_truncated_requests_by_backend_model_and_what() -> None:
    (family,) = truncated_families({("a", "m", "prompt"): 2})
    (sample,) = family.samples
    assert (sample.name, sample.value) == ("tidegate_truncated_requests_total", 2)
    assert sample.labels == {"backend": "a", "model": "m", "what": "prompt"}
