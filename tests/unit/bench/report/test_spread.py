"""Bars and boxes."""

from pathlib import Path

from proxy.bench.report import spread
from proxy.bench.report.drawing import MOST, style
from proxy.bench.report.inputs import read_inputs
from tests.support.bench_runs import made_up_run


def test_too_many_series_are_pictures_of_their_own(tmp_path: Path) -> None:
    series = read_inputs([made_up_run(tmp_path, loads=range(1, MOST + 5), n=6)]).series
    with style():
        bars, boxes = list(spread.bars(series, "warm-")), list(spread.boxes(series, ""))
    assert [one.name for one in bars] == ["warm-ttft-1", "warm-ttft-2"]
    assert [one.name for one in boxes] == ["spread-1", "spread-2"]
    assert "P99" in bars[0].title
    assert b"n too small" in bars[0].svg


def test_the_same_figures_make_the_same_bytes(tmp_path: Path) -> None:
    series = read_inputs([made_up_run(tmp_path, n=120)]).series
    with style():
        first, second = (list(spread.bars(series, "")) for _ in range(2))
    assert [one.svg for one in first] == [one.svg for one in second]


def test_of_nothing_served_there_are_none(tmp_path: Path) -> None:
    series = read_inputs([made_up_run(tmp_path, n=10, failing=1.0)]).series
    with style():
        assert list(spread.bars(series, "")) == list(spread.boxes(series, "")) == []
