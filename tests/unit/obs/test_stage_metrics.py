"""Metrics of stages: whose, with which labels, and how often above their budget."""

import random
import string

from proxy.model.timings import StageSettings
from proxy.obs.families import Histograms
from proxy.obs.stage_metrics import StageMetrics
from proxy.wire.server_timing import of_fields, parse
from tests.unit.obs.records import record, timeline


def samples(metrics: StageMetrics) -> dict[tuple[str, ...], float]:
    """By name without prefix, and label values; of histograms the count and the sum."""
    found: dict[tuple[str, ...], float] = {}
    for family in metrics.families():
        name = family.name.removeprefix("tidegate_stage_")
        if name == family.name:
            continue
        if isinstance(family, Histograms):
            for labels, histogram in family.rows:
                found[f"{name}_count", *labels] = histogram.seen()
                found[f"{name}_sum", *labels] = histogram.sum
        else:
            for sample in family.samples:
                found[sample.name.removeprefix("tidegate_stage_"), *sample.labels.values()] = sample.value
    return found


def test_what_nobody_reports_is_not_looked_at() -> None:
    metrics = StageMetrics({"retrieval": StageSettings()})
    metrics.count(record())
    assert samples(metrics) == {}


def test_a_report_counts_its_stages_and_ours() -> None:
    metrics = StageMetrics()
    one = record()
    one.timeline.reported = parse(b"retrieval;dur=42;hit=1, rerank;dur=18, mine;dur=5, his;dur=6, x;dur=-1")
    metrics.count(one)
    metrics.report(of_fields({"post_process": 7, "retrieval": {"dur": 1, "hit": 0}}, {}))
    found = samples(metrics)
    assert round(found["seconds_sum", "retrieval"], 6) == 0.043
    assert found["seconds_count", "retrieval"] == 2
    assert found["seconds_count", "other"] == 2
    assert found["seconds_sum", "post_process"] == 0.007
    assert round(found["seconds_sum", "prefill"], 6) == 0.247
    assert round(found["seconds_sum", "decode"], 6) == 1.65
    assert (found["cache_lookups_total", "retrieval", "hit"], found["cache_hit_ratio", "retrieval"]) == (1, 0.5)
    assert found["cache_lookups_total", "retrieval", "miss"] == 1
    assert found["entries_ignored_total", "duration"] == 1


def test_breaches_are_counted_by_stage_for_every_request_that_is_measured_here() -> None:
    budgets = {"prefill": 0.2, "decode": 5.0, "retrieval": 0.04, "total": 2.01, "mine": 0.1}
    metrics = StageMetrics({name: StageSettings(budget=budget) for name, budget in budgets.items()})
    metrics.count(record())
    one = record()
    one.timeline.reported = parse(b"retrieval;dur=42, mine;dur=100")
    metrics.count(one)
    found = samples(metrics)
    assert {name: found["budget_exceeded_total", name] for name in budgets} == {
        "prefill": 2,
        "decode": 0,
        "retrieval": 1,
        "total": 1,
        "mine": 0,
    }
    assert {name: found["budget_seconds", name] for name in budgets} == budgets


def test_what_never_became_a_job_has_no_stages() -> None:
    metrics = StageMetrics({"queue": StageSettings(budget=0.0)})
    metrics.count(record(timeline=timeline(understood=None)))
    metrics.count(record(timeline=timeline(done=None)))
    assert samples(metrics)["budget_exceeded_total", "queue"] == 0


def test_any_names_make_no_more_series() -> None:
    dice = random.Random(15)
    metrics = StageMetrics({"mine": StageSettings()})
    for _ in range(10_000):
        name = "".join(dice.choices(string.printable, k=dice.randrange(1, 12)))
        metrics.report(parse(name.encode() + b";dur=1;hit=1"))
    assert {key[1] for key in samples(metrics)} <= {"other", "name", "duration", "malformed", "mine"}
