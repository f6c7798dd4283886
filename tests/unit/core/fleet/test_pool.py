"""When predictions may refuse, when they no longer may, and how busy a pool is."""

from random import Random

import pytest

from proxy.core.fleet.pool import MAX_WAIT_S, Checks, Pool


def proven(off: float = 1.0, samples: int = 300) -> Pool:
    pool = Pool("p")
    for number in range(samples):
        pool.model.calibration.learn(1.0, off * (0.5 if number % 10 else 1.2))
    pool.review(200)
    return pool


def test_the_gate_opens_when_predictions_have_proven_themselves() -> None:
    assert not proven(samples=199).trusted
    assert proven().trusted


VAGUE = 0.6
"""Truth ÷ prediction: good enough with all samples, too far off with a fifth of them."""


def learn(pool: Pool, samples: int, off: float = VAGUE) -> None:
    for _ in range(samples):
        pool.model.calibration.learn(1.0, off)
        pool.review(200, 0.5)


def test_a_fifth_is_enough_where_other_pools_had_the_rest() -> None:
    checks = Checks()
    one, other = Pool("one", checks), Pool("other", checks)
    learn(one, 159)
    learn(other, 40)
    assert not one.trusted
    assert not other.trusted
    learn(other, 1)
    assert other.trusted
    learn(one, 1)
    assert one.trusted


@pytest.mark.parametrize(("own", "off"), [(39, 1.0), (50, 0.05)])
def test_what_others_had_proves_nothing_of_few_or_bad_ones(own: int, off: float) -> None:
    checks = Checks()
    one, other = Pool("one", checks), Pool("other", checks)
    learn(one, 1000)
    learn(other, own, off)
    assert one.trusted
    assert not other.trusted


def test_good_predictions_need_a_fifth_of_the_samples() -> None:
    pool = Pool("p")
    learn(pool, 39, off=1.0)
    assert not pool.trusted
    learn(pool, 1, off=1.0)
    assert pool.trusted
    pool.review(200)
    assert not pool.trusted, "unless it is off"


@pytest.mark.parametrize("off", [(0.7, 0.7), (0.9, 0.35), (0.3, 3.0), (3.0, 3.0)], ids=str)
def test_those_that_are_too_high_or_scattered_need_them_all(off: tuple[float, float]) -> None:
    pool = Pool("p")
    for number in range(199):
        learn(pool, 1, off[number % 2])
        assert not pool.trusted
    learn(pool, 1, off[1])
    assert pool.trusted


def test_the_gate_closes_again_when_few_good_ones_become_bad() -> None:
    pool = Pool("p")
    learn(pool, 50, off=1.0)
    assert pool.trusted
    learn(pool, 50, off=0.2)
    assert not pool.trusted


def test_after_an_alarm_a_pool_proves_itself_alone() -> None:
    checks = Checks()
    one, other = Pool("one", checks), Pool("other", checks)
    learn(one, 1000, off=1.0)
    learn(other, 100, off=1.0)
    assert other.trusted
    assert other.tells_late(3.0, 1.0)
    for _ in range(200):
        other.probed(True)
    assert not other.tells_late(3.0, 1.0)
    learn(other, 199, off=1.0)
    assert not other.trusted
    learn(other, 1)
    assert other.trusted


def test_predictions_that_are_much_too_high_refuse_nobody() -> None:
    assert not proven(0.05).trusted


def test_those_that_are_too_low_may_refuse() -> None:
    assert proven(5.0).trusted


def test_the_gate_closes_when_truth_falls_far_below_them() -> None:
    pool = proven()
    for _ in range(400):
        pool.model.calibration.learn(1.0, 0.02)
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


def test_the_room_that_held_requests_need_is_what_four_of_five_of_them_needed() -> None:
    pool, rng = Pool("p"), Random(1)
    seen = []
    for _ in range(4000):
        pool.overran(rng.uniform(-0.1, 0.1))
        seen.append(pool.overrun_s)
    assert sum(seen[1000:]) / 3000 == pytest.approx(0.06, abs=0.01)
    for _ in range(4000):
        pool.overran(rng.uniform(-0.3, -0.1))
    assert pool.overrun_s < 0.005


def test_the_room_is_bounded_whatever_came() -> None:
    pool = Pool("p")
    for _ in range(1000):
        pool.overran(100.0)
    assert 0.9 < pool.overrun_s <= 1.0
    for _ in range(1000):
        pool.overran(-100.0)
    assert pool.overrun_s == 0.0
