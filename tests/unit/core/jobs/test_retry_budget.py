"""Retries stay a share of recent requests."""

import pytest

from proxy.core.jobs.retry_budget import RetryBudget
from proxy.model.limits import RetrySettings


def budget(ratio: float, per_s: float) -> RetryBudget:
    return RetryBudget(RetrySettings(budget_ratio=ratio, budget_min_per_s=per_s))


def test_the_floor_alone_allows_ten_seconds_worth() -> None:
    b = budget(0.0, 0.3)
    assert [b.take(100.0) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("requests", "retries"), [(0, 0), (9, 0), (10, 1), (11, 1), (19, 1), (20, 2)])
def test_a_tenth_of_the_requests(requests: int, retries: int) -> None:
    b = budget(0.1, 0.0)
    for _ in range(requests):
        b.request(100.0)
    assert b.left(100.0) == retries


def test_binary_fractions_do_not_cost_a_retry() -> None:
    b = budget(0.29, 0.0)
    for _ in range(100):
        b.request(100.0)
    assert b.left(100.0) == 29


def test_what_was_taken_counts_against_it_for_ten_seconds() -> None:
    b = budget(0.0, 0.1)
    assert b.take(100.0)
    assert b.left(109.9) == 0
    assert not b.take(109.9)
    assert b.take(110.0)


def test_requests_count_for_ten_seconds() -> None:
    b = budget(1.0, 0.0)
    b.request(100.0)
    assert b.left(109.9) == 1
    assert b.left(110.0) == 0


def test_a_refused_retry_costs_nothing() -> None:
    b = budget(1.0, 0.0)
    assert not b.take(100.0)
    b.request(100.0)
    assert b.take(100.0)


def test_never_negative_when_the_requests_are_forgotten_first() -> None:
    b = budget(1.0, 0.0)
    b.request(100.0)
    assert b.take(105.0)
    assert b.left(111.0) == 0
