"""How fast what waits gets away."""

from math import inf

import pytest

from proxy.core.learn.drain import Drain


def looked_at(drain: Drain, start: float, end: float, work_s: float, every_s: float = 0.25) -> None:
    """Somebody waits from `start` to `end`, and so much work goes by the second."""
    now = start
    while now <= end:
        drain.looks(now)
        drain.went(work_s * every_s)
        now += every_s


def test_at_first_nobody_knows() -> None:
    drain = Drain()
    drain.looks(5.0)
    drain.went(1.0)
    assert drain.rate == inf


def test_it_is_the_work_by_the_second_of_waiting() -> None:
    drain = Drain()
    looked_at(drain, 0.0, 30.0, 1.5)
    assert drain.rate == pytest.approx(1.5, rel=0.1)


def test_a_pause_without_anybody_who_waits_is_no_time() -> None:
    drain = Drain()
    looked_at(drain, 0.0, 30.0, 1.5)
    before = drain.rate
    drain.looks(500.0)
    assert drain.rate == before


def test_what_is_new_counts_most() -> None:
    drain = Drain()
    looked_at(drain, 0.0, 30.0, 1.5)
    looked_at(drain, 30.25, 60.0, 0.3)
    assert drain.rate == pytest.approx(0.3, rel=0.4)
