"""Metrics of the GenAI conventions: names and units by option, attempts and requests, bounded whatever names come."""

import random

import pytest

from proxy.model.faults import Kind, upstream
from proxy.model.outcome import Phase, failed_with
from proxy.model.windows import Company
from proxy.obs import genai_metrics as module
from proxy.obs.genai_metrics import GenAiMetrics, Key, Point
from proxy.obs.record import Record
from tests.unit.obs.traces import ENGINES, traced, untried


def counted(*told: Record, semconv: str = "current") -> dict[str, dict[Key, Point]]:
    metrics = GenAiMetrics(ENGINES, semconv)
    for record in told:
        metrics.count(record)
    return {metric.name: dict(points) for metric, points in metrics.all()}


def one(points: dict[Key, Point]) -> tuple[dict[str, str | int], Point]:
    ((key, point),) = points.items()
    return dict(key), point


SERVER = {"gen_ai.server.request.duration", "gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"}
INFERENCE = {
    f"gen_ai.client.inference.{name}"
    for name in (
        *("duration", "time_to_first_chunk", "time_per_output_chunk", "usage.input_tokens", "usage.output_tokens"),
        "usage.cache_read.input_tokens",
    )
}
OLD = {
    *(f"gen_ai.client.operation.{name}" for name in ("duration", "time_to_first_chunk", "time_per_output_chunk")),
    "gen_ai.client.token.usage",
}


@pytest.mark.parametrize(("semconv", "names"), [("current", INFERENCE), ("legacy", OLD), ("both", INFERENCE | OLD)])
def test_names(semconv: str, names: set[str]) -> None:
    assert counted(traced(), semconv=semconv).keys() == names | SERVER


def test_units_and_kinds() -> None:
    metrics = GenAiMetrics(ENGINES, "both")
    metrics.count(traced())
    found = {metric.name: metric for metric, _ in metrics.all()}
    counters = {name for name, metric in found.items() if not metric.bounds}
    assert counters == {name for name in INFERENCE if ".usage." in name}
    tokens = {*counters, "gen_ai.client.token.usage"}
    assert {found[name].unit for name in tokens} == {"{token}"}
    assert {metric.unit for name, metric in found.items() if name not in tokens} == {"s"}


def test_each_attempt_is_a_call_and_each_request_one() -> None:
    found = counted(traced())
    durations = found["gen_ai.client.inference.duration"]
    calls = {dict(key).get("error.type", ""): (dict(key), point) for key, point in durations.items()}
    assert (calls["reset"][0]["gen_ai.provider.name"], calls["reset"][0]["server.port"]) == ("llama_cpp", 8001)
    assert calls["reset"][1].total == pytest.approx(0.047)
    assert calls[""][1].total == pytest.approx(1.94)
    attributes, request = one(found["gen_ai.server.request.duration"])
    assert request.total == pytest.approx(2.0)
    assert "server.address" not in attributes
    _, first = one(found["gen_ai.client.inference.time_to_first_chunk"])
    assert first.total == pytest.approx(0.19)
    _, server_first = one(found["gen_ai.server.time_to_first_token"])
    assert server_first.total == pytest.approx(0.25)


def test_every_chunk_counts() -> None:
    told = traced()
    told.meter.goes_on(103.9, 1)
    _, chunks = one(counted(told)["gen_ai.client.inference.time_per_output_chunk"])
    assert sum(chunks.counts) == 2
    assert chunks.total == pytest.approx(103.9 - 100.25)


def test_embeddings_are_no_inference() -> None:
    found = counted(traced(endpoint="embeddings", stream=False))
    assert "gen_ai.client.operation.duration" in found
    assert "gen_ai.client.inference.duration" not in found


def test_who_shares_an_answer_has_made_no_call() -> None:
    assert counted(traced(company=Company(1, False, joins=True))).keys() == SERVER


def test_a_failure_has_no_time_to_its_first_token() -> None:
    told = traced(outcome=failed_with(upstream(Kind.CUT, "x"), Phase.STREAM))
    found = counted(told)
    assert "gen_ai.server.time_to_first_token" not in found
    attributes, _ = one(found["gen_ai.server.request.duration"])
    assert attributes["error.type"] == "cut"


def test_what_no_model_works_at_is_none_of_these() -> None:
    assert counted(untried(endpoint="models"), untried(endpoint="other")) == {}


def test_ten_thousand_names_that_nobody_serves_are_one_point() -> None:
    dice = random.Random(3)
    told = [untried(model_asked=f"model-{dice.random()}", path=f"/{dice.random()}") for _ in range(10_000)]
    found = counted(*told)
    attributes, point = one(found["gen_ai.server.request.duration"])
    assert sum(point.counts) == 10_000
    assert "gen_ai.request.model" not in attributes


def test_points_are_bounded_even_where_an_engine_takes_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 10)
    found = counted(*(traced(model_asked=f"m{n}", model_served=f"m{n}") for n in range(50)))
    for name, points in found.items():
        assert 1 < len(points) <= 11, name
    requests = found["gen_ai.server.request.duration"]
    (overflow,) = [point for key, point in requests.items() if key[0][0].startswith("otel")]
    assert sum(overflow.counts) + len(requests) - 1 == 50


def test_buckets_hold_their_upper_bound() -> None:
    point = Point(4)
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        point.count(value, (1.0, 2.0, 3.0))
    assert (point.counts, point.low, point.high, point.total) == ([2, 2, 0, 1], 0.5, 9.0, 14.0)
