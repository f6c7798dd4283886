"""Quantiles of the error are found, and coverage says whether they hold."""

import random

import pytest

from proxy.core.learn.calibration import Calibration


def test_quantiles_of_a_known_spread() -> None:
    calibration, rng = Calibration(), random.Random(4)
    for _ in range(5000):
        calibration.learn(2.0, 2.0 * rng.uniform(0.5, 1.5))
    assert calibration.factors == pytest.approx([1.0, 1.4, 1.45], abs=0.08)
    assert calibration.coverage == pytest.approx(0.9, abs=0.08)
    assert 0.2 < calibration.error < 0.4


def test_a_prediction_that_is_ten_times_off_is_found_soon() -> None:
    calibration = Calibration()
    for _ in range(40):
        calibration.learn(0.1, 1.0)
    assert calibration.factors[1] == pytest.approx(10.0, rel=0.3)


def test_predictions_that_go_wrong_are_not_covered() -> None:
    calibration = Calibration()
    for _ in range(300):
        calibration.learn(1.0, 1.0)
    for _ in range(40):
        calibration.learn(1.0, 10.0)
    assert calibration.coverage < 0.7


def test_factors_stay_bounded_whatever_comes() -> None:
    calibration = Calibration()
    for _ in range(2000):
        calibration.learn(1e-3, 1e6)
    assert max(calibration.factors) <= 100
