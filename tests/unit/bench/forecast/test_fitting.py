"""The search finds constants that were true, and what does not fit moves them little."""

from dataclasses import replace

import pytest

from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.fitting import LEAST_CALLS, Constants, Times, fit, loss
from tests.unit.bench.forecast.queue_of_one import TRUE, recorded, served


def test_true_constants_are_found() -> None:
    found = fit(recorded(), served)
    assert found.prefill_s_per_token == pytest.approx(TRUE.prefill_s_per_token, rel=0.1)
    assert found.step_s + found.step_s_per_sequence == pytest.approx(TRUE.step_s, rel=0.05)


def test_what_a_request_costs_before_its_engine_has_it_is_told_apart() -> None:
    true = replace(TRUE, request_s=0.03)
    found = fit(recorded(true), served)
    assert found.request_s == pytest.approx(true.request_s, rel=0.2)
    assert found.prefill_s_per_token == pytest.approx(true.prefill_s_per_token, rel=0.15)


def test_an_engine_that_was_always_full_is_not_told_to_be_as_slow_when_it_is_not() -> None:
    """Sixteen answers side by side, always: what a step costs alone is not in the log, and is not all of it."""
    true = Constants(2e-5, 0.0, 0.006, 0.0005, 0.0)
    calls = [Call("a", at / 10, at / 10 + 0.1, at / 10 + 1.7, 500, 0, 115) for at in range(150)]
    found = fit(calls, lambda _, ones: [Times(one.sent, one.first, one.done) for one in ones])
    full = true.step_s + 16 * true.step_s_per_sequence
    assert found.step_s + 16 * found.step_s_per_sequence + 16 * 557 * found.step_s_per_kv_token == pytest.approx(
        full, rel=0.05
    )
    assert found.step_s < 0.75 * full


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
