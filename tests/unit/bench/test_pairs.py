"""Differences of pairs: the truth is in their interval, and equal ones hold zero."""

import sys

import pytest

from proxy.bench.pairs import comparisons, difference
from proxy.bench.run_folder import Measured
from proxy.bench.text import rng_of
from tests.unit.bench.requests_made import detail, row


def pairs(count: int, later: float) -> list[Measured]:
    rng, found = rng_of("pairs"), []
    for index in range(count):
        base = rng.gauss(100, 20)
        for side, more in (("url", later), ("direct", 0.0)):
            value = base + more + rng.gauss(0, 2)
            found.append(Measured(row(ttft_ms=value, e2e_ms=value * 3, tpot_ms=1.0), detail(index=index, side=side)))
    return found


@pytest.mark.parametrize("later", [5.0, 0.0])
def test_the_truth_is_within(later: float) -> None:
    found = {one.statistic: one.differences["ttft_ms"] for one in comparisons("c", pairs(600, later), 1)}
    assert set(found) == {"mean", "median", "p95", "p99"}
    for statistic in ("mean", "median"):
        interval = found[statistic]
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low <= later <= interval.high
        assert interval.high - interval.low < 1.0
        assert interval.n == 600


def test_the_same_seed_the_same_interval() -> None:
    assert comparisons("c", pairs(50, 1.0), 1) == comparisons("c", pairs(50, 1.0), 1)


def test_few_pairs_say_little() -> None:
    assert comparisons("c", pairs(1, 0.0), 1) == []
    assert [one.statistic for one in comparisons("c", pairs(20, 0.0), 1)] == ["mean", "median"]


def test_only_pairs_that_both_answered() -> None:
    requests = pairs(20, 0.0)
    requests[0] = Measured(row(success=False), requests[0].detail)
    requests[3] = Measured(row(ttft_ms=None), requests[3].detail)
    (mean, _) = comparisons("c", requests, 1)
    assert (mean.differences["e2e_ms"].n, mean.differences["ttft_ms"].n) == (19, 18)


def test_values_that_do_not_differ_have_no_width() -> None:
    interval = difference("mean", [3.0] * 20, [1.0] * 20, 1)
    assert (interval.value, interval.low, interval.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("statistic", "value"), [("mean", 2.0), ("median", 1.0), ("p95", 3.7)])
def test_without_scipy_a_difference_stands_alone(statistic: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    interval = difference(statistic, [1.0, 2.0, 9.0], [0.0, 1.0, 5.0], 1)
    assert (interval.value, interval.low, interval.n) == (pytest.approx(value), None, 3)
