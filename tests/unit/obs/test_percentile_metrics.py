"""Percentiles as gauges."""

import pytest

from proxy.obs.percentile_metrics import percentile_families
from proxy.obs.percentiles import Percentiles


def test_each_percentile_of_each_window_is_a_series() -> None:
    told = Percentiles()
    for number in range(100):
        told.add(("chat", "m", "a", "prefix", "free"), 0.01 * (number + 1), None, 1.0, None, 100.0)
    samples = {
        (sample.name.removeprefix("tidegate_recent_"), *sample.labels.values()): sample.value
        for family in percentile_families(told.read(100.0))
        for sample in family.samples
    }
    assert samples["ttft_seconds", "class", "chat", "1m", "50"] == pytest.approx(0.5, rel=0.01)
    assert samples["ttft_seconds", "warmth", "prefix", "5m", "95"] == pytest.approx(0.95, rel=0.01)
    assert samples["e2e_seconds", "all", "all", "1m", "99"] == pytest.approx(1.0, rel=0.01)
    assert samples["values", "backend", "a", "1m", "ttft"] == 100
    assert not [key for key in samples if key[0] in ("tpot_seconds", "queue_seconds")]


def test_nothing_counted_is_no_series() -> None:
    families = list(percentile_families(Percentiles().read(1.0)))
    assert len(families) == 5
    assert not [sample for family in families for sample in family.samples]
