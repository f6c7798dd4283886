"""Series: what is comparable, how it is called, what is followed over loads and windows."""

from pathlib import Path

import pytest

from proxy.bench.report.inputs import read_inputs
from proxy.bench.series import labelled, percent, series_of, subjects
from tests.support.bench_runs import made_up_run


def test_labels_tell_what_differs_and_nothing_else(tmp_path: Path) -> None:
    found = read_inputs([made_up_run(tmp_path, loads=(1, 8), windows=(0, 5), n=10)]).series
    assert [one.label for one in found] == [
        "window 0 ms · 1 at once",
        "window 5 ms · 1 at once",
        "window 0 ms · 8 at once",
        "window 5 ms · 8 at once",
    ]


def test_one_alone_is_called_by_what_was_measured(tmp_path: Path) -> None:
    (only,) = read_inputs([made_up_run(tmp_path, n=10)]).series
    assert only.label == "tidegate · tiny"


def test_two_runs_of_the_same_are_called_by_their_folders(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / name, n=10) for name in ("base", "new")]
    assert [one.label for one in read_inputs(folders).series] == ["tidegate · tiny (base)", "tidegate · tiny (new)"]


def test_warm_and_cold_are_never_one_series(tmp_path: Path) -> None:
    made_up_run(tmp_path / "warm", n=10)
    made_up_run(tmp_path / "cold", n=10, cache="cold")
    assert [one.conditions.cache for one in read_inputs([tmp_path]).series] == ["cold", "warm"]


def test_what_is_followed_over_loads_and_over_windows(tmp_path: Path) -> None:
    found = read_inputs([made_up_run(tmp_path, loads=(8, 1), windows=(5, 0), n=10)]).series
    by_load, by_window = subjects(found, "load"), subjects(found, "window")
    assert [(one.label, one.along("load")) for one in by_load] == [("window 5 ms", [1, 8]), ("window 0 ms", [1, 8])]
    assert [(one.label, one.along("window")) for one in by_window] == [("8 at once", [0, 5]), ("1 at once", [0, 5])]


def test_runs_at_the_same_load_are_lines_of_their_own(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / name, loads=(1, 8), n=10) for name in ("base", "new")]
    assert [one.along("load") for one in subjects(read_inputs(folders).series, "load")] == [[1, 8], [1, 8]]


def test_failures_have_no_latency_but_count(tmp_path: Path) -> None:
    (only,) = read_inputs([made_up_run(tmp_path, n=100, failing=0.3)]).series
    assert only.n == 100
    assert 0.5 < only.success < 0.9
    assert len(only.values("e2e")) == only.served == only.outcomes["served"]
    assert only.title == f"tidegate · tiny (n = 100, success {percent(only.success)})"


def test_of_nothing_is_nothing() -> None:
    assert series_of([], [], None) == labelled([]) == []


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.0, "0 %"), (0.9999, "99.99 %"), (0.981, "98.1 %"), (0.0004, "0.04 %")]
)
def test_a_share_is_not_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == text
