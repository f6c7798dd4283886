"""How much a backend takes that said it was full."""

from math import inf

import pytest

from proxy.core.fleet.pressure import NO_BOUND, Pressure


def test_at_first_as_much_as_is_configured() -> None:
    assert Pressure(7).limit == 7
    assert Pressure(None).limit == NO_BOUND
    assert not Pressure(None).is_bound


def test_with_others_inside_it_takes_no_more_than_fitted() -> None:
    pressure = Pressure(None)
    assert pressure.said_busy(8, None) == 1.0
    assert (pressure.limit, pressure.paused, pressure.is_bound) == (8, False, True)


def test_those_that_were_sent_together_lower_it_one_by_one_and_say_it_once() -> None:
    pressure = Pressure(None)
    assert {pressure.said_busy(inside, None) for inside in (13, 12, 11, 10, 9, 8)} == {1.0}
    assert pressure.limit == 8


def test_one_more_is_tried_now_and_then_and_less_often_each_time_that_it_does_not_fit() -> None:
    pressure = Pressure(None)
    pressure.said_busy(8, None)
    waits = []
    for _ in range(7):
        pressure.ease()
        assert pressure.limit == 9
        waits.append(pressure.said_busy(8, None))
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_bound_that_holds_no_more_is_forgotten() -> None:
    pressure = Pressure(None)
    pressure.said_busy(2, None)
    for _ in range(100):
        if pressure.ease() == inf:
            break
    assert pressure.limit == NO_BOUND


def test_full_of_others_requests_it_is_left_alone_for_longer_and_longer() -> None:
    pressure = Pressure(None)
    waits = []
    for _ in range(6):
        waits.append(pressure.said_busy(0, None))
        assert pressure.paused
        pressure.ease()
        assert (pressure.paused, pressure.limit) == (False, 1), "one tries first"
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("inside", [0, 5])
def test_a_time_to_come_back_at_is_kept(inside: int) -> None:
    pressure = Pressure(None)
    assert pressure.said_busy(inside, 17.0) == 17.0
    assert pressure.paused


def test_what_is_refused_while_it_is_left_alone_tells_nothing_new() -> None:
    pressure = Pressure(None)
    pressure.said_busy(0, None)
    assert pressure.said_busy(0, None) is None


def test_after_a_pause_twice_as_many_per_round_go_until_nothing_bounds_it() -> None:
    pressure = Pressure(None)
    pressure.said_busy(0, 1.0)
    pressure.ease()
    assert [pressure.took() for _ in range(3)] == [True, True, True]
    assert pressure.limit == 4
    while pressure.ease() != inf:
        pass
    assert not pressure.is_bound
    assert not pressure.took()


def test_nothing_ever_exceeds_what_is_configured() -> None:
    pressure = Pressure(3)
    pressure.said_busy(2, None)
    for _ in range(50):
        pressure.took()
        pressure.ease()
        assert pressure.limit <= 3
