"""What charts have in common."""

from math import isnan

from proxy.bench.percentiles import Percentile
from proxy.bench.report.drawing import is_wide, parts, shortened, whiskers


def test_ranges_as_whiskers() -> None:
    heights, (down, up) = whiskers([Percentile(10.0, 8.0, 15.0), Percentile(10.0, 9.0, None), None])
    assert heights[:2] == [10.0, 10.0]
    assert isnan(heights[2])
    assert (down, up) == ([2.0, 1.0, 0.0], [5.0, 0.0, 0.0])


def test_parts_are_equal() -> None:
    assert [(end, len(part)) for end, part in parts(list(range(18)), 16)] == [("-1", 9), ("-2", 9)]
    assert [(end, len(part)) for end, part in parts(list(range(16)), 16)] == [("", 16)]
    assert list(parts([], 16)) == []


def test_far_apart() -> None:
    assert is_wide([1.0, 100.0])
    assert not is_wide([1.0, 10.0])
    assert not is_wide([0.0])


def test_long_labels() -> None:
    assert shortened("a" * 50) == "a" * 39 + "…"
