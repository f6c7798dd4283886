"""Counts of answers that must have a form."""

from proxy.model.structured import Verdict
from proxy.obs.families import Histograms
from proxy.obs.labels import OTHER, Labels
from proxy.obs.structured_metrics import StructuredMetrics


def samples(metrics: StructuredMetrics) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for family in metrics.families():
        if isinstance(family, Histograms):
            found |= {(family.name, *labels): histogram.seen() for labels, histogram in family.rows}
        else:
            for sample in family.samples:
                found[sample.name.removeprefix("tidegate_structured_"), *sample.labels.values()] = sample.value
    return found


def test_by_model_and_what_was_found() -> None:
    metrics = StructuredMetrics(Labels(("m",), 8))
    metrics.found("m", Verdict.VALID, 0.25)
    metrics.found("m", Verdict.NOT_JSON, 0.25)
    metrics.repaired("m", "repaired")
    found = samples(metrics)
    assert found["answers_total", "m", "valid"] == found["answers_total", "m", "not_json"] == 1
    assert found["repairs_total", "m", "repaired"] == 1
    assert found["tidegate_structured_check_seconds",] == 2


def test_any_names_of_models_make_no_more_series() -> None:
    metrics = StructuredMetrics(Labels(("m",), 8))
    for number in range(10_000):
        metrics.found(f"m{number}", Verdict.VALID, 0.0)
        metrics.repaired(f"m{number}", "failed")
    assert {key[1] for key in samples(metrics) if len(key) > 1} == {OTHER}
