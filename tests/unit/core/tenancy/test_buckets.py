"""What may be used in a minute, and in a day."""

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.tenancy.buckets import DAY_S, Bucket, DayBudget, Days
from proxy.model.tenants import Allowance


def test_a_bucket_fills_evenly_and_no_further() -> None:
    bucket = Bucket(60, 0.0)
    bucket.take(60, 0.0)
    assert bucket.left(0.0) == 0
    assert bucket.wait_s(1, 0.0) == 1.0
    assert bucket.left(2.5) == 2.5
    assert bucket.left(1000.0) == 60
    assert bucket.left(2.5) == 2.5, "looking changes nothing"
    bucket.take(1, 1000.0)
    assert bucket.left(999.0) == 59, "time does not go back"


def test_a_debt_is_paid_off_first() -> None:
    bucket = Bucket(60, 0.0)
    bucket.take(90, 0.0)
    assert bucket.view(0.0) == Allowance(60, 0, 90.0)
    assert bucket.wait_s(1, 0.0) == 31.0
    bucket.give(20)
    assert bucket.left(0.0) == -10
    bucket.give(1000)
    assert bucket.left(0.0) == 60, "no more comes back than fits"


GAPS = st.lists(st.floats(0.0, 20.0, allow_subnormal=False), min_size=20, max_size=200)


@given(st.integers(1, 5000), GAPS, st.data())
def test_no_window_gets_more_than_its_share_and_all_of_it_is_given(
    limit: int, gaps: list[float], data: st.DataObject
) -> None:
    """Against the law itself, whoever comes when and wants how much: exact to a hundredth, and far closer."""
    bucket, taken = Bucket(limit, 0.0), list[tuple[float, float]]()
    for now in accumulate(gaps):
        wanted = data.draw(st.floats(limit / 100, float(limit), allow_subnormal=False))
        if bucket.wait_s(wanted, now) <= 0.0:
            bucket.take(wanted, now)
            taken.append((now, wanted))
    for first in range(len(taken)):
        total = 0.0
        for now, amount in taken[first:]:
            total += amount
            elapsed = now - taken[first][0]
            assert total <= limit * (1.0 + elapsed / 60.0) * 1.000001 + 1e-6


@pytest.mark.parametrize("limit", [60, 600, 6000])
def test_who_always_wants_more_gets_the_limit_exactly(limit: int) -> None:
    bucket, taken, now, minutes = Bucket(limit, 0.0), 0, 0.0, 30
    while now < minutes * 60.0:
        while bucket.wait_s(1.0, now) <= 0.0:
            bucket.take(1.0, now)
            taken += 1
        now += 0.007
    assert taken == pytest.approx(limit * (1 + minutes), rel=0.01), "a minute's worth at first, then as they come"


@given(st.integers(10, 5000), st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.2, 4.0)), min_size=50, max_size=200))
def test_wrong_estimates_even_out(limit: int, jobs: list[tuple[float, float]]) -> None:
    """Each is expected to use a tenth of the limit and uses more or less: what was used is what counts in the end."""
    bucket, expected, used, now = Bucket(limit, 0.0), limit / 10, 0.0, 0.0
    for gap, factor in jobs:
        now += gap
        if bucket.wait_s(expected, now) <= 0.0:
            bucket.take(expected, now)
            bucket.take(expected * factor - expected, now)
            used += expected * factor
        assert used <= limit * (1.0 + now / 60.0) + expected * 4.0 + 1e-6, "one job may be in debt"


def test_a_day_begins_at_midnight() -> None:
    days = Days()
    days.tell(10 * DAY_S - 100.0, 5.0)
    budget = DayBudget(1000, days)
    assert budget.view(5.0) == Allowance(1000, 1000, 0.0)
    assert budget.take(400.0, 5.0) == 9
    assert (budget.left(5.0), budget.wait_s(5.0)) == (600.0, 100.0)
    assert budget.view(104.9).left == 600
    assert budget.left(105.0) == 1000.0
    assert budget.take(1.0, 105.0) == 10


def test_what_comes_back_is_of_its_day() -> None:
    days = Days()
    days.tell(DAY_S - 1.0, 0.0)
    budget = DayBudget(1000, days)
    day = budget.take(500.0, 0.0)
    budget.take(100.0, 2.0)
    budget.give(300.0, day)
    assert budget.used(2.0) == 100.0, "today's is today's"
    assert budget.used(0.0) == 200.0
    budget.give(1e9, day)
    assert budget.used(0.0) == 0.0, "no more comes back than was taken"


@pytest.mark.parametrize("jump_s", [-1.0, -3600.0, -DAY_S, -50 * 365 * DAY_S, 3600.0, DAY_S, 5 * 365 * DAY_S])
def test_a_clock_that_jumps_and_comes_back_forgets_nothing(jump_s: float) -> None:
    days, noon = Days(), 20_000 * DAY_S + 100.0
    days.tell(noon, 0.0)
    budget = DayBudget(1000, days)
    budget.take(900.0, 0.0)
    days.tell(noon + 1.0 + jump_s, 1.0)
    budget.take(10.0, 1.0)
    days.tell(noon + 2.0, 2.0)
    assert budget.left(2.0) in (90.0, 100.0)
    days.tell(noon + DAY_S, 3.0)
    assert budget.left(3.0) >= 990.0, "the next day is whole, but for what a wrong clock had taken of it"


def test_days_are_bounded_whatever_the_clock_does() -> None:
    days = Days()
    budget = DayBudget(10, days)
    for day in range(1000):
        days.tell(day * DAY_S, 0.0)
        budget.take(1.0, 0.0)
    assert len(budget.rows()) == 4
    assert budget.used(0.0) == 1.0


def test_an_earlier_life_counts() -> None:
    days = Days()
    days.tell(10 * DAY_S, 0.0)
    budget = DayBudget(100, days)
    budget.recall(9, 70.0)
    assert budget.left(0.0) == 100.0, "that was yesterday"
    budget.recall(10, 30.0)
    budget.take(20.0, 0.0)
    assert budget.left(0.0) == 50.0
    assert budget.rows() == [(9, 70.0), (10, 50.0)]


def test_who_waits_as_long_as_told_gets_it() -> None:
    """Whatever floats make of minutes: nobody is told twice."""
    rng = random.Random(1)
    for _ in range(5000):
        limit = rng.choice([1, 3, 7, 60, 333, 6000, 200_000, 10**9])
        now = rng.uniform(0.0, 1e6)
        bucket = Bucket(limit, now)
        bucket.take(rng.uniform(0.0, 2.0 * limit), now)
        wanted = rng.uniform(0.0, float(limit))
        told_s = bucket.wait_s(wanted, now)
        assert bucket.wait_s(wanted, now + told_s) == 0.0, (limit, now, wanted)
        if told_s > 0.01:
            assert bucket.wait_s(wanted, now + told_s * 0.99) > 0.0
