"""Percentiles of sliding windows: as good as the library's sketches and as the values themselves, forgotten in time."""

import math
import random

import pytest
from ddsketch import DDSketch
from ddsketch.mapping import LogarithmicMapping
from hypothesis import given
from hypothesis import strategies as st

from proxy.obs.percentiles import ACCURACY, DIMENSIONS, SLOT_S, Key, Percentile, Percentiles, bin_of, value_of
from proxy.obs.sketches import sketch_of

KEY: Key = ("interactive", "m", "alpha", "cold", "free")
TIMES = st.floats(1e-5, 1e5)


def found(told: Percentiles, now: float, by: str, measure: str, window: str = "1m") -> Percentile | None:
    rows = [one for one in told.read(now) if (one.by, one.measure, one.window) == (by, measure, window)]
    assert len(rows) < 2
    return rows[0] if rows else None


@given(TIMES)
def test_bins_are_those_of_the_library(value_s: float) -> None:
    mapping = LogarithmicMapping(ACCURACY)
    assert bin_of(value_s) == mapping.key(value_s)
    assert value_of(bin_of(value_s)) == pytest.approx(mapping.value(bin_of(value_s)), rel=1e-12)
    assert value_of(bin_of(value_s)) == pytest.approx(value_s, rel=ACCURACY * 1.000001)
    assert bin_of(value_of(bin_of(value_s))) == bin_of(value_s)


@given(st.lists(TIMES, min_size=1, max_size=300))
def test_quantiles_are_those_of_the_library_and_within_one_percent_of_the_truth(values: list[float]) -> None:
    told, sketch = Percentiles(), DDSketch(ACCURACY)
    for value_s in values:
        told.add(KEY, value_s, None, None, None, 100.0)
        sketch.add(value_s)
    row = found(told, 100.0, "class", "ttft")
    assert row is not None
    assert row.values == len(values)
    for q, value_s in ((0.5, row.p50_s), (0.95, row.p95_s), (0.99, row.p99_s)):
        assert value_s == pytest.approx(sketch.get_quantile_value(q))
        truth = sorted(values)[math.floor(q * (len(values) - 1))]
        assert value_s == pytest.approx(truth, rel=0.01)


def test_sketches_of_two_proxies_add_up() -> None:
    dice = random.Random(3)
    times = [dice.lognormvariate(-1, 1) for _ in range(4000)]
    one, other = Percentiles(), Percentiles()
    for index, value_s in enumerate(times):
        (one if index % 3 else other).add(KEY, None, None, value_s, None, 50.0)
    sketch = sketch_of(one.bins("model", "m", "e2e", "5m", 50.0))
    sketch.merge(sketch_of(other.bins("model", "m", "e2e", "5m", 50.0)))
    assert sketch.count == len(times)
    for q in (0.5, 0.95, 0.99):
        assert sketch.get_quantile_value(q) == pytest.approx(sorted(times)[int(q * 3999)], rel=0.01)


def test_a_request_counts_once_in_each_dimension_and_among_all() -> None:
    told = Percentiles()
    told.add(KEY, 0.2, 0.01, 1.0, 0.001, 100.0)
    rows = [one for one in told.read(100.0) if one.window == "1m"]
    assert {(one.by, one.name) for one in rows} == {*zip(DIMENSIONS, KEY, strict=True), ("", "")}
    assert {one.measure for one in rows} == {"ttft", "tpot", "e2e", "queue"}
    assert {one.values for one in rows} == {1}


def test_what_has_no_label_does_not_count_among_all() -> None:
    told = Percentiles()
    told.add(("", "", "", "kept", ""), None, None, 0.001, None, 100.0)
    assert {(one.by, one.name) for one in told.read(100.0)} == {("warmth", "kept")}


def test_windows_slide() -> None:
    told = Percentiles()
    for minute in range(10):
        told.add(KEY, 1.0 + minute, None, None, None, minute * 60.0)
    short, long = found(told, 540.0, "class", "ttft"), found(told, 540.0, "class", "ttft", "5m")
    assert short is not None
    assert long is not None
    assert short.values == 2
    assert long.values == 6
    assert found(told, 540.0 + 60 + 2 * SLOT_S, "class", "ttft") is None
    assert not list(told.read(540.0 + 300 + 2 * SLOT_S))


def test_a_clock_that_jumps_breaks_nothing() -> None:
    told = Percentiles()
    for now in (1000.0, 10.0, 1e9, 1e9 - 500, 1e9 + 1):
        told.add(KEY, 0.5, None, None, None, now)
    row = found(told, 5.0, "class", "ttft")
    assert row is not None
    assert row.values == 3


def test_odd_times_are_counted_at_the_ends() -> None:
    told = Percentiles()
    for value_s in (-1.0, 0.0, 1e-300, 1e300, math.inf):
        told.add(KEY, value_s, None, None, None, 100.0)
    row = found(told, 100.0, "class", "ttft")
    assert row is not None
    assert row.values == 5
    assert row.p50_s == pytest.approx(1e-5, rel=0.01)
    assert row.p99_s == pytest.approx(1e5, rel=0.01)


def test_memory_is_bounded_whatever_is_counted() -> None:
    dice, told = random.Random(5), Percentiles()
    for number in range(50_000):
        time_s = 10 ** dice.uniform(-7, 7)
        told.add(KEY, time_s, time_s, time_s, time_s, number * 0.5)
    bins = bin_of(1e9) - bin_of(0) + 1
    for series in told._series.values():
        assert len(series.slots) <= 22
        assert max(map(len, series.slots.values())) <= 4 * bins


def test_combinations_of_labels_are_forgotten() -> None:
    told = Percentiles()
    for number in range(10_000):
        told.add(("c", f"m{number % 7}", f"b{number}", "cold", "free"), 0.1, None, None, None, 1.0)
    assert len(told._together) <= 4096
    row = found(told, 1.0, "class", "ttft")
    assert row is not None
    assert row.values == 10_000


def test_what_is_forgotten_may_come_again() -> None:
    told = Percentiles()
    told.add(KEY, 0.1, None, None, None, 1.0)
    told.forget("backend", "alpha")
    told.forget("backend", "nobody")
    assert found(told, 1.0, "backend", "ttft") is None
    told.add(KEY, 0.1, None, None, None, 1.0)
    row, of_class = found(told, 1.0, "backend", "ttft"), found(told, 1.0, "class", "ttft")
    assert row is not None
    assert of_class is not None
    assert (row.values, of_class.values) == (1, 2)
