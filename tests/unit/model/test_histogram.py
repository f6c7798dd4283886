"""Our histogram against the library's own, value by value."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as TheirHistogram

from proxy.model.histogram import SECONDS, Histogram

VALUES = st.one_of(st.floats(0, 100), st.sampled_from(SECONDS), st.sampled_from([0.0, 60.000001, 1e9]))


@given(st.lists(VALUES, max_size=50))
@example(list(SECONDS))
def test_the_same_counts_as_prometheus_client(values: list[float]) -> None:
    theirs = TheirHistogram("x", "x", buckets=SECONDS, registry=CollectorRegistry())
    ours = Histogram()
    for value in values:
        theirs.observe(value)
        ours.observe(value)
    (family,) = theirs.collect()
    expected = [(s.labels["le"], s.value) for s in family.samples if s.name == "x_bucket"]
    assert ours.buckets() == expected
    assert ours.sum == next(s.value for s in family.samples if s.name == "x_sum")


def test_bounds_grow() -> None:
    assert list(SECONDS) == sorted(set(SECONDS))
    assert (SECONDS[0], SECONDS[-1]) == (0.001, 60)


@given(st.lists(st.tuples(st.booleans(), VALUES), max_size=30))
def test_what_is_moved_is_counted_once(steps: list[tuple[bool, float]]) -> None:
    """However often what was counted is moved meanwhile, and wherever counting goes on."""
    all_of, to, part, other = Histogram(), Histogram(), Histogram(), Histogram()
    for moves, value in steps:
        for one in (all_of, part):
            one.observe(value, 2)
        if moves:
            other.add(part.copy())
            to.take(part)
            assert part.seen() == 0
            assert part.sum == 0
    to.add(part)
    other.add(part)
    assert to.cumulative() == other.cumulative() == all_of.cumulative()
    assert to.sum == pytest.approx(all_of.sum)


@given(st.lists(VALUES, max_size=20))
def test_what_is_told_is_the_same_again(values: list[float]) -> None:
    one = Histogram()
    for value in values:
        one.observe(value)
    same = Histogram.again(one.told())
    assert (same.cumulative(), same.sum) == (one.cumulative(), one.sum)
    same.add(one)
    assert same.seen() == 2 * one.seen()


def test_what_was_told_with_other_bounds_is_refused() -> None:
    told = Histogram(tuple(map(float, range(1, 200))))
    told.observe(150.0)
    with pytest.raises(ValueError, match="no bucket"):
        Histogram.again(told.told())
