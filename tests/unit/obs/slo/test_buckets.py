"""The ring: bounded, exact to a bucket, and true after any jump of the clock."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.obs.slo.buckets import Ring

DAY = 86400.0


def filled(ring: Ring, times: list[float], good: bool = True) -> Ring:
    for now in times:
        ring.count(now, is_good=good)
    return ring


def test_a_window_ends_with_the_bucket_of_now() -> None:
    ring = filled(Ring(10, 61), [1000.0 + second for second in range(600)])
    assert ring.over(1599.0, 60) == (600, 600)
    assert ring.over(1599.0, 1) == (10, 10)
    assert ring.over(1600.0, 1) == (0, 0)
    assert ring.over(1600.0, 31) == (300, 300)
    assert ring.over(1e6, 60) == (0, 0)


def test_good_and_bad() -> None:
    ring = Ring(10, 10)
    filled(ring, [5.0] * 7)
    filled(ring, [5.0] * 3, good=False)
    assert ring.over(5.0, 3) == (7, 10)


@given(st.integers(0, 2**32))
def test_any_times_in_order_are_counted_as_by_hand(seed: int) -> None:
    dice = Random(seed)
    ring, events, now = Ring(10, 40), list[tuple[float, bool]](), dice.uniform(0, 1e9)
    for _ in range(200):
        now += dice.choice([0.0, 0.1, 3.0, 12.0, 95.0, 700.0])
        good = dice.random() < 0.7
        events.append((now, good))
        ring.count(now, is_good=good)
        for buckets in (1, 6, 39):
            first = (now // 10 - buckets + 1) * 10
            inside = [good for at, good in events if at >= first]
            assert ring.over(now, buckets) == (sum(inside), len(inside))


@given(st.integers(0, 2**32))
def test_no_jump_makes_counts_that_cannot_be(seed: int) -> None:
    dice = Random(seed)
    ring, now = Ring(10, 40), 1e9
    for count in range(1, 301):
        now += dice.choice([1.0, 5.0, 30.0, -7.0, -300.0, 86400.0, -86400.0, 3e7, -3e7, 400.0])
        ring.count(now, is_good=dice.random() < 0.5)
        good, total = ring.over(now + dice.choice([0.0, 15.0, -15.0, 1e7]), dice.choice([1, 6, 40]))
        assert 0 <= good <= total <= count


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 30 * DAY, -30 * DAY, 10_000 * DAY, -10_000 * DAY])
def test_a_jump_and_back_loses_no_more_than_what_it_wrote_over(jump: float) -> None:
    ring = Ring(300, 865)
    start = 2e9
    for second in range(0, int(2 * DAY), 60):
        ring.count(start + second, is_good=True)
    now = start + 2 * DAY
    before = ring.over(now, 864)[1]
    for second in range(0, 300, 60):  # five minutes of another time: two buckets at most
        ring.count(now + jump + second, is_good=False)
    good, after = ring.over(now, 864)
    assert before - 10 <= after <= before + 5
    assert after - good <= 5
    later = now + 600
    ring.count(later, is_good=True)
    assert ring.over(later, 864)[1] >= before - 20


def test_events_of_a_future_that_was_none_do_not_count_until_it_comes() -> None:
    ring = filled(Ring(10, 100), [1500.0], good=False)
    assert ring.over(1000.0, 99) == (0, 0)
    assert ring.over(1505.0, 10) == (0, 1)


def test_what_is_saved_is_what_was_counted_each_once() -> None:
    ring = Ring(10, 20)
    filled(ring, [5.0, 6.0, 15.0])
    assert sorted(ring.take_unsaved()) == [(0, 2, 2), (1, 1, 1)]
    assert ring.take_unsaved() == []
    ring.count(16.0, is_good=False)
    taken = ring.take_unsaved()
    assert taken == [(1, 0, 1)]
    ring.count(17.0, is_good=True)
    ring.give_back(taken)
    assert ring.take_unsaved() == [(1, 1, 2)]
    assert ring.over(17.0, 2) == (4, 5)


def test_what_cannot_be_saved_for_months_is_bounded() -> None:
    ring = filled(Ring(10, 20), [float(second) for second in range(0, 100_000, 10)])
    taken = ring.take_unsaved()
    assert len(taken) == 20
    assert min(number for number, _, _ in taken) == 9980


def test_what_is_loaded_stands_beside_what_is_not_saved() -> None:
    ring = filled(Ring(10, 20), [100.0, 100.0, 95.0])
    ring.load([(10, 5, 7), (9, 1, 1), (2, 3, 4)])
    assert ring.over(100.0, 1) == (7, 9)
    assert ring.over(100.0, 2) == (9, 11)
    assert ring.over(100.0, 9) == (12, 15)
    ring.count(101.0, is_good=True)
    assert ring.over(101.0, 1) == (8, 10)
    assert sorted(ring.take_unsaved()) == [(9, 1, 1), (10, 3, 3)]


def test_loading_an_older_turn_does_not_take_the_place_of_now() -> None:
    ring = filled(Ring(10, 20), [1000.0])
    ring.load([(80, 9, 9)])
    assert ring.over(1000.0, 1) == (1, 1)
    ring.count(1001.0, is_good=True)
    assert ring.over(1001.0, 20) == (2, 2)


def test_reading_at_another_time_than_counting_spoils_nothing() -> None:
    ring = filled(Ring(10, 100), [1000.0])
    assert ring.over(1050.0, 10) == (1, 1)
    ring.count(1001.0, is_good=True)
    assert ring.over(1050.0, 10) == (2, 2)
    assert ring.over(1005.0, 10) == (2, 2)


def test_a_scrape_of_one_that_nobody_counts_into_does_not_sum_it_again() -> None:
    """Most objectives are quiet most of the time."""
    ring = filled(Ring(10, 400), [1000.0 + second for second in range(0, 1000, 5)])
    ring.over(2100.0, 360)
    summed = ring._sums
    before = dict(summed)
    assert ring.over(2105.0, 360) == ring.over(2109.0, 360) == (200, 200)
    assert ring._sums == before
