"""Which series are compared with each other."""

from pathlib import Path

from proxy.bench.matching import matched
from proxy.bench.report.inputs import read_inputs
from tests.support.bench_runs import made_up_run


def test_the_same_load_and_window_whatever_else_was_changed(tmp_path: Path) -> None:
    base = read_inputs([made_up_run(tmp_path / "a", loads=(1, 8), windows=(0, 5), n=5)]).series
    new = read_inputs([made_up_run(tmp_path / "b", loads=(8, 16), windows=(5, 0), n=5, server="other")]).series
    pairs, alone = matched(base, new)
    assert [(a.conditions.load, a.conditions.window_ms) for a, _ in pairs] == [(8, 0), (8, 5)]
    assert all(a.conditions.window_ms == b.conditions.window_ms for a, b in pairs)
    assert sorted(one.conditions.load or 0 for one in alone) == [1, 1, 16, 16]


def test_warm_is_not_compared_with_cold(tmp_path: Path) -> None:
    warm = read_inputs([made_up_run(tmp_path / "a", n=5)]).series
    cold = read_inputs([made_up_run(tmp_path / "b", n=5, cache="cold")]).series
    assert matched(warm, cold) == ([], [*warm, *cold])


def test_of_several_the_most_alike(tmp_path: Path) -> None:
    base = read_inputs([made_up_run(tmp_path / "a", n=5, server="nginx")]).series
    new = [
        *read_inputs([made_up_run(tmp_path / "b", n=5, server="tidegate")]).series,
        *read_inputs([made_up_run(tmp_path / "c", n=5, server="nginx")]).series,
    ]
    ((_, chosen),), _ = matched(base, new)
    assert chosen.conditions.server == "nginx"
