"""Events are counted for one span and never longer."""

import pytest

from proxy.core.learn.sliding_window import SLOTS, SlidingCount


def test_counts_what_was_added() -> None:
    count = SlidingCount(10.0)
    assert count.total(0.0) == 0
    for second in range(5):
        count.add(float(second))
    assert count.total(4.0) == 5


@pytest.mark.parametrize(("age", "left"), [(8.9, 1), (9.0, 1), (9.99, 1), (10.0, 0), (10.1, 0), (1e9, 0)])
def test_an_event_is_forgotten_after_its_span(age: float, left: int) -> None:
    count = SlidingCount(10.0)
    count.add(100.0)
    assert count.total(100.0 + age) == left


def test_an_event_late_in_its_slot_is_kept_for_nine_tenths_of_the_span() -> None:
    count = SlidingCount(10.0)
    count.add(100.99)
    assert count.total(109.98) == 1
    assert count.total(110.0) == 0


def test_slots_are_forgotten_one_by_one() -> None:
    count = SlidingCount(10.0)
    for second in range(SLOTS):
        count.add(float(second))
    assert [count.total(10.0 + s) for s in range(SLOTS + 1)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]


def test_a_jump_far_ahead_forgets_all_and_counts_on() -> None:
    count = SlidingCount(1.0)
    count.add(0.5)
    count.add(1e6)
    assert count.total(1e6) == 1


def test_cleared() -> None:
    count = SlidingCount(10.0)
    count.add(1.0)
    count.clear()
    assert count.total(1.0) == 0
    count.add(1.5)
    assert count.total(1.5) == 1


def test_a_span_of_nothing_forgets_at_once() -> None:
    count = SlidingCount(0.0)
    count.add(5.0)
    assert count.total(5.01) == 0
