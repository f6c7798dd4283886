"""When predictions may refuse, when they no longer may, and how busy a pool is."""

import pytest

from proxy.core.pool import MAX_WAIT_S, Pool


def proven(off: float = 1.0, samples: int = 300) -> Pool:
    pool = Pool("p")
    for number in range(samples):
        pool.model.residuals.learn(1.0, off * (0.5 if number % 10 else 1.2))
    pool.review(200)
    return pool


def test_the_gate_opens_when_predictions_have_proven_themselves() -> None:
    assert not proven(samples=199).trusted
    assert proven().trusted


def test_predictions_that_are_much_too_high_refuse_nobody() -> None:
    assert not proven(0.05).trusted


def test_those_that_are_too_low_may_refuse() -> None:
    assert proven(5.0).trusted


def test_the_gate_closes_when_truth_falls_far_below_them() -> None:
    pool = proven()
    for _ in range(400):
        pool.model.residuals.learn(1.0, 0.02)
    pool.review(200)
    assert not pool.trusted


@pytest.mark.parametrize(("kept", "open_still"), [(False, True), (True, False)])
def test_refusals_that_prove_false_close_it(kept: bool, open_still: bool) -> None:
    pool = proven()
    for _ in range(200):
        pool.probed(kept)
    assert (pool.trusted, pool.alarms) == (open_still, int(not open_still))
    pool.review(200)
    assert pool.trusted is open_still


def test_utilisation_and_the_wait_it_predicts() -> None:
    pool = Pool("p")
    pool.backends = 4
    assert pool.predicted_wait_s(0.0) == 0
    for second in range(600):
        pool.arrived(2.0, float(second))
    assert pool.utilisation(599.0) == pytest.approx(0.5, rel=0.05)
    assert 0 < pool.predicted_wait_s(599.0) < 1
    for second in range(600, 900):
        pool.arrived(8.0, float(second))
    assert pool.predicted_wait_s(899.0) == MAX_WAIT_S
    assert pool.utilisation(5000.0) < 0.01
