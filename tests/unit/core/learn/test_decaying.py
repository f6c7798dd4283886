"""A sum that is forgotten as time goes by."""

from math import e, exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.learn.decaying import Decaying


def test_nothing_is_nothing() -> None:
    assert Decaying(30.0).at(1e9) == 0.0


def test_what_was_added_fades() -> None:
    one = Decaying(30.0)
    one.add(2.0, 100.0)
    assert one.at(100.0) == 2.0
    assert one.at(130.0) == pytest.approx(2.0 / e)


def test_a_moment_before_the_last_addition_it_counts_in_full() -> None:
    one = Decaying(1.0)
    one.add(1.0, 10.0)
    assert one.at(9.0) == 1.0
    one.add(1.0, 9.0)
    assert one.at(10.0) == 2.0


def test_it_is_no_more_than_it_is_seen_to_be() -> None:
    one = Decaying(10.0)
    one.add(5.0, 0.0)
    one.cap(3.0, 1.0)
    assert one.at(1.0) == 3.0
    one.cap(4.0, 1.0)
    assert one.at(11.0) == pytest.approx(3.0 / e)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 50.0)), max_size=20))
def test_it_is_the_sum_of_what_is_left_of_each(added: list[tuple[float, float]]) -> None:
    one, now, each = Decaying(7.0), 0.0, []
    for amount, pause in added:
        now += pause
        one.add(amount, now)
        each.append((amount, now))
    assert one.at(now + 1.0) == pytest.approx(sum(amount * exp((at - now - 1.0) / 7.0) for amount, at in each))
