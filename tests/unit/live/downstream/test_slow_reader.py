"""Slow is whoever reads; gone is who takes nothing for too long, in time in which it was looked at."""

import pytest

from proxy.live.downstream.slow_reader import LOOK_S, SlowReader


def test_who_takes_nothing_is_gone_after_as_many_looks_as_that_time_has() -> None:
    slow = SlowReader(3.0)
    assert slow.begins(100, 50.0) == 51.0
    assert [slow.is_gone(100) for _ in range(3)] == [False, False, True]


def test_a_byte_taken_is_time_won() -> None:
    slow = SlowReader(2.0)
    slow.begins(100, 50.0)
    for left_b in range(99, 0, -1):
        assert not slow.is_gone(left_b)
        assert not slow.is_gone(left_b)
    assert slow.is_gone(1)


def test_the_first_look_of_one_that_nobody_looked_at_counts_nothing() -> None:
    slow = SlowReader(1.0)
    assert not slow.is_gone(100)
    assert slow.is_gone(100)
    slow.forget()
    assert not slow.is_gone(100)


def test_more_to_take_is_no_progress() -> None:
    slow = SlowReader(1.0)
    slow.begins(100, 0.0)
    assert slow.is_gone(200)


@pytest.mark.parametrize(("most_s", "look_s"), [(30.0, LOOK_S), (0.25, 0.25)])
def test_it_is_looked_at_often_enough(most_s: float, look_s: float) -> None:
    slow = SlowReader(most_s)
    assert slow.begins(1, 10.0) == slow.next_look(10.0) == 10.0 + look_s


def test_who_was_behind_has_caught_up_once() -> None:
    slow = SlowReader(10.0)
    assert not slow.has_caught_up(), "nobody has looked"
    slow.is_gone(5)
    assert slow.has_caught_up()
    assert not slow.has_caught_up()
