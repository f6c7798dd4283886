"""What a call costs by itself, and the size that brings the most."""

from collections.abc import Callable

import pytest

from proxy.core.learn.calls import CallKind, Calls


def climbed(seconds: Callable[[int], float], calls: int = 400) -> CallKind:
    """After calls that were always full, and one in four that was not."""
    known = CallKind()
    for number in range(calls):
        size = known.size if number % 4 else max(1, known.size // 2)
        known.learn(size, seconds(size))
    return known


def test_the_fixed_cost_of_a_call() -> None:
    known = climbed(lambda size: 0.005 + 0.001 * size)
    assert known.fixed_s() == pytest.approx(0.005, rel=0.05)
    assert CallKind().fixed_s() is None


def test_of_calls_of_one_size_nobody_can_tell() -> None:
    known = CallKind()
    for _ in range(50):
        known.learn(1, 0.01)
    assert known.fixed_s() is None


def test_calls_grow_as_long_as_that_brings_more() -> None:
    assert climbed(lambda _: 0.1).size >= 64


def test_and_not_where_it_brings_nothing() -> None:
    """As an embedding server on one GPU: eight calls of eight are as fast as any, thirty-two are slower."""
    assert climbed(lambda size: 0.0038 * size).size <= 8
    assert climbed(lambda size: 0.01 + 0.0002 * size**2).size == 8


def test_what_an_engine_takes_bounds_what_is_best() -> None:
    calls = Calls()
    assert calls.most("k") == 8
    calls.caps.refused("k", 8, 3)
    assert calls.most("k") == 3


def test_kinds_are_bounded() -> None:
    calls = Calls()
    for number in range(3000):
        calls.of(str(number))
    assert len(calls._kinds) <= 1024
