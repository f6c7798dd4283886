"""Comparisons: what is the same is called noise, what is slower is found, too few values are no verdict."""

from pathlib import Path

import pytest

from proxy.bench.comparison import Change, changes, is_paired
from proxy.bench.promise import promise
from proxy.bench.report.inputs import read_inputs
from tests.support.bench_runs import made_up_run


def compared(base: Path, new: Path) -> dict[str, Change]:
    (before,), (after,) = read_inputs([base]).series, read_inputs([new]).series
    return {one.figure.name: one for one in changes(before, after, promise("ttft=80ms"))}


def test_the_same_requests_are_compared_in_pairs(tmp_path: Path) -> None:
    base, new = made_up_run(tmp_path / "a", n=300), made_up_run(tmp_path / "b", n=300, factor=1.05)
    found = compared(base, new)
    slower = found["p50_e2e"]
    assert slower.paired
    assert slower.relative is not None
    assert slower.relative[0] == pytest.approx(5.0, abs=0.01)
    assert slower.is_real
    assert found["p99_ttft"].relative is not None
    assert 4.9 < found["p99_ttft"].relative[1] <= found["p99_ttft"].relative[2] < 5.1


def test_other_requests_are_two_samples(tmp_path: Path) -> None:
    base, new = made_up_run(tmp_path / "a", n=300), made_up_run(tmp_path / "b", n=300, seed=2)
    (before,), (after,) = read_inputs([base]).series, read_inputs([new]).series
    assert not is_paired(before, after)
    assert not compared(base, new)["p50_ttft"].is_real


def test_the_same_run_does_not_differ_from_itself(tmp_path: Path) -> None:
    run = made_up_run(tmp_path, n=200)
    assert not any(one.is_real for one in compared(run, run).values())


def test_noise_is_called_a_difference_as_rarely_as_it_says(tmp_path: Path) -> None:
    """A/A: forty pairs of runs of different seeds; a range of 95 % leaves zero out of two of them, about."""
    runs = [made_up_run(tmp_path / str(seed), n=120, seed=seed) for seed in range(1, 81)]
    wrong = sum(compared(a, b)["mean_ttft"].is_real for a, b in zip(runs[::2], runs[1::2], strict=True))
    assert wrong <= 6


def test_too_few_values_are_no_verdict(tmp_path: Path) -> None:
    base, new = made_up_run(tmp_path / "a", n=50), made_up_run(tmp_path / "b", n=50, factor=2)
    found = compared(base, new)
    assert found["p99_ttft"].absolute is None
    assert found["p50_ttft"].is_real


def test_shares_change_by_points(tmp_path: Path) -> None:
    base = made_up_run(tmp_path / "a", n=400, failing=0.0)
    found = compared(base, made_up_run(tmp_path / "b", n=400, failing=0.2, seed=3))
    success = found["success"]
    assert success.base == 100.0
    assert success.absolute is not None
    assert -26 < success.absolute[0] < -14
    assert success.is_real
    assert found["goodput"].figure.unit == "%"
