"""The search finds constants that were true, and what does not fit moves them little."""

from dataclasses import replace

import pytest

from proxy.bench.forecast.fitting import LEAST_CALLS, fit, loss
from tests.unit.bench.forecast.queue_of_one import TRUE, recorded, served


def test_true_constants_are_found() -> None:
    found = fit(recorded(), served)
    assert found.prefill_s_per_token == pytest.approx(TRUE.prefill_s_per_token, rel=0.1)
    assert found.step_s + found.step_s_per_sequence == pytest.approx(TRUE.step_s, rel=0.05)


def test_a_few_calls_that_took_much_longer_change_little() -> None:
    calls = recorded()
    for index in (10, 40, 70):
        calls[index] = replace(calls[index], done=calls[index].done + 30)
    found = fit(calls, served)
    assert found.step_s + found.step_s_per_sequence == pytest.approx(TRUE.step_s, rel=0.1)


def test_the_loss_is_nothing_at_the_truth_and_grows_with_what_is_off() -> None:
    calls = recorded()
    slower = [loss(calls, served(replace(TRUE, step_s=TRUE.step_s * factor), calls)) for factor in (1, 1.1, 1.5)]
    assert slower[0] == pytest.approx(0.0, abs=1e-9)
    assert slower == sorted(slower)


def test_too_few() -> None:
    with pytest.raises(ValueError, match=f"39 calls to fit to; at least {LEAST_CALLS}"):
        fit(recorded(n=LEAST_CALLS - 1), served)
