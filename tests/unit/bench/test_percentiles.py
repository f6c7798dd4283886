"""Percentiles with ranges: right by coverage, silent of too few values."""

from random import Random

import pytest

from proxy.bench.percentiles import least_n, percentile, percentiles, rank


@pytest.mark.parametrize(("share", "n"), [(0.5, 5), (0.95, 20), (0.99, 100), (0.999, 1000)])
def test_values_that_are_needed(share: float, n: int) -> None:
    assert least_n(share) == n
    assert percentile([1.0] * (n - 1), share) is None
    assert percentile([1.0] * n, share) is not None


def test_nearest_rank_is_a_value_of_the_sample() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [found.value for share in (0.5, 0.95, 0.99) if (found := percentile(ordered, share))] == [50.0, 95.0, 99.0]
    assert rank(20, 0.95) == 19
    assert rank(1000, 0.999) == 999


def test_a_range_that_the_sample_does_not_reach_is_open() -> None:
    found = percentile([float(number) for number in range(100)], 0.99)
    assert found is not None
    assert found.low is not None
    assert found.high is None
    median = percentile([1.0, 2.0, 3.0, 4.0, 5.0], 0.5)
    assert median is not None
    assert (median.low, median.high) == (None, None)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_ranges_hold_the_true_value_as_often_as_they_say(share: float) -> None:
    rng, held, times = Random(7), 0, 400
    true = share  # of a uniform distribution
    for _ in range(times):
        found = percentile(sorted(rng.random() for _ in range(200)), share)
        assert found is not None
        held += (found.low or 0.0) <= true <= (found.high or 1.0)
    assert held / times >= 0.93


def test_what_does_not_exist_is_left_out() -> None:
    assert percentiles([None, 3.0, 1.0, 2.0, None, 5.0, 4.0], [0.5])[0].value == 3.0  # type: ignore[union-attr]
    assert percentiles([None], [0.5]) == [None]
