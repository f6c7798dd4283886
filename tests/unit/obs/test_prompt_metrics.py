"""Requests by named prompt, as series: versions of one prompt stand side by side."""

from typing import Any

import pytest

from proxy.model.histogram import Histogram
from proxy.obs.prompt_metrics import PromptMetrics
from proxy.wire.meter import Meter
from proxy.wire.usage import Usage
from tests.unit.obs.records import record, timeline


def samples(metrics: PromptMetrics, **assembly: Histogram) -> dict[tuple[Any, ...], float]:
    families = metrics.families({f"{name}@1": histogram for name, histogram in assembly.items()})
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_versions_of_a_prompt_are_counted_apart() -> None:
    metrics = PromptMetrics()
    metrics.count(record(prompt_version="support@3"))
    metrics.count(record(prompt_version="support@3"))
    metrics.count(record(prompt_version="support@4", usage=Usage(7, 2, 0)))
    found = samples(metrics)
    ended = {key[1:3]: value for key, value in found.items() if key[0] == "tidegate_prompt_requests_total"}
    assert ended == {("support", "3"): 2, ("support", "4"): 1}
    tokens = "tidegate_prompt_tokens_total"
    assert [found[tokens, "support", "3", kind] for kind in ("prompt", "completion", "cached")] == [50, 16, 32]
    assert found[tokens, "support", "4", "prompt"] == 7
    assert found["tidegate_prompt_ttft_seconds_sum", "support", "3"] == pytest.approx(0.5)
    assert found["tidegate_prompt_e2e_seconds_sum", "support", "4"] == pytest.approx(2.0)


def test_what_did_not_come_is_not_measured() -> None:
    metrics = PromptMetrics()
    metrics.count(record(prompt_version="p@1", usage=Usage(), meter=Meter(), timeline=timeline(done=None)))
    found = samples(metrics)
    assert found["tidegate_prompt_ttft_seconds_count", "p", "1"] == 0
    assert found["tidegate_prompt_e2e_seconds_count", "p", "1"] == 0
    assert found["tidegate_prompt_tokens_total", "p", "1", "prompt"] == 0


def test_assembly_is_told_of_versions_that_nobody_has_finished_yet() -> None:
    took = Histogram()
    took.observe(0.002)
    found = samples(PromptMetrics(), greeting=took)
    assert found["tidegate_prompt_assembly_seconds_count", "greeting", "1"] == 1
    assert found["tidegate_prompt_assembly_seconds_sum", "greeting", "1"] == pytest.approx(0.002)
