"""Lines over load and window, and the knee."""

from math import nan
from pathlib import Path

import pytest

from proxy.bench.promise import promise
from proxy.bench.report import over
from proxy.bench.report.drawing import style
from proxy.bench.report.inputs import read_inputs
from proxy.bench.series import subjects
from tests.support.bench_runs import made_up_run


@pytest.mark.parametrize(
    ("latencies", "at"),
    [
        ([100, 101, 103, 105, 400], 16),
        ([100, 200, 300, 400, 500], None),
        ([100, 100, 99, 101, 100], None),
        ([100, 90, 95, 80, 70], None),
        ([100, 101, nan, 105, 400], 16),
        ([100, 101, nan, nan, 400], None),
    ],
)
def test_a_knee_is_where_it_begins_to_rise(latencies: list[float], at: float | None) -> None:
    # Loads that make the steady rise a line.
    loads = [2, 4, 8, 16, 20] if latencies != [100, 200, 300, 400, 500] else [1, 2, 3, 4, 5]
    assert over.knee(loads, latencies) == at


def test_charts_of_a_sweep(tmp_path: Path) -> None:
    series = read_inputs([made_up_run(tmp_path, loads=(1, 4, 16, 32), windows=(0, 10), n=120)]).series
    by_load, by_window, wanted = subjects(series, "load"), subjects(series, "window"), promise("ttft=80ms")
    with style():
        found = [
            over.over_window(by_window, wanted, ""),
            over.over_load(by_load, ""),
            over.goodput(by_load, wanted, ""),
        ]
    assert [one.name for one in found if one] == ["window", "load", "goodput"]
    for one in found:
        assert one is not None
        assert "n = 960, success" in one.title
        assert b"</svg>" in one.svg
        assert one.png.startswith(b"\x89PNG")
    assert b"knee" in found[1].svg  # type: ignore[union-attr]


def test_one_load_is_no_line() -> None:
    assert over.over_load([], "") is over.over_window([], promise(""), "") is over.goodput([], promise(""), "") is None
