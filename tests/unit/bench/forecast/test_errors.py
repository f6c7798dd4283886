"""Percentiles of a model beside those of the log."""

from dataclasses import replace

import pytest

from proxy.bench.forecast.errors import figures, worst
from tests.unit.bench.forecast.queue_of_one import TRUE, recorded, served


def test_the_truth_is_not_off() -> None:
    calls = recorded(n=150)
    found = figures(calls, served(TRUE, calls))
    assert [figure.name for figure in found] == ["ttft_p50", "ttft_p99", "tpot_p50", "e2e_p50"]
    assert worst(found) == pytest.approx(0.0, abs=1e-9)


def test_a_model_that_is_too_fast_is_below_zero() -> None:
    calls = recorded(n=150)
    by_name = {figure.name: figure for figure in figures(calls, served(replace(TRUE, step_s=0.008), calls))}
    assert by_name["tpot_p50"].error == pytest.approx(-0.2)
    assert worst(list(by_name.values())) == pytest.approx(0.2)


def test_a_percentile_that_the_sample_does_not_reach_is_not_judged() -> None:
    calls = recorded(n=60)
    assert "ttft_p99" not in [figure.name for figure in figures(calls, served(TRUE, calls))]
    assert worst([]) == 1.0
