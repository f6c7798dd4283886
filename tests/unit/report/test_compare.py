"""Paired differences and what can be said of them."""

import sys
from random import Random
from statistics import fmean, stdev

import pytest

from proxy.report.compare import Interval, bootstrap_interval, difference, t_interval


def test_student_t_of_three_seeds() -> None:
    pytest.importorskip("scipy", reason="an extra: pip install 'tidegate[simulate]'")
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.high is not None
    assert interval.high - 2.0 == pytest.approx(4.302653 / 3**0.5)
    assert not interval.excludes_zero
    assert t_interval([1.0, 1.1, 1.2]).excludes_zero


def test_one_seed_says_nothing_about_seeds() -> None:
    assert t_interval([0.4]) == (interval := t_interval([0.4]))
    assert (interval.mean, interval.low, interval.high, interval.excludes_zero) == (0.4, None, None, False)


def test_pairs_are_of_the_same_arrivals() -> None:
    ours, theirs = [[1.0, 1.0, 0.0, 1.0]], [[0.0, 1.0, 0.0, 0.0]]
    assert difference("a", "b", ours, theirs).per_seed == (0.5,)
    with pytest.raises(ValueError):
        difference("a", "b", ours, [[1.0]])


def test_the_bootstrap_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for trial in range(60):
        rng = Random(trial)
        pairs = [[float(rng.random() < 0.1) for _ in range(1000)]]
        interval = bootstrap_interval(pairs, trial)
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 0.1 <= interval.high
    assert held >= 50


def test_neighbours_that_share_their_fate_widen_the_interval() -> None:
    rng = Random(1)
    alone = [float(rng.random() < 0.5) for _ in range(2000)]
    together = [float(value) for _ in range(20) for value in [rng.random() < 0.5] for _ in range(100)]

    def width(values: list[float]) -> float:
        interval = bootstrap_interval([values], 1)
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low <= fmean(values) <= interval.high
        return interval.high - interval.low

    assert width(together) > 3 * width(alone)


def test_too_few_requests_for_an_interval() -> None:
    assert bootstrap_interval([[1.0] * 10], 0).low is None


def test_student_t_of_many_seeds_is_not_the_normal_one() -> None:
    pytest.importorskip("scipy", reason="an extra: pip install 'tidegate[simulate]'")
    values = [float(n % 2) for n in range(20)]
    interval = t_interval(values)
    assert interval.high is not None
    assert interval.high - 0.5 == pytest.approx(2.093024 * stdev(values) / 20**0.5)


def test_without_scipy_there_are_no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    assert t_interval([1.0, 2.0, 3.0]) == Interval(2.0, None, None)
