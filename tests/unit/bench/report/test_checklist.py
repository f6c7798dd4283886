"""The list of what a number hangs on: what is missing is said, what is wrong is loud."""

from pathlib import Path

from proxy.bench import rows
from proxy.bench.promise import promise
from proxy.bench.report.checklist import Item, checklist
from proxy.bench.report.inputs import read_inputs
from proxy.bench.run_file import Comparison, Interval, read_run_file, write_run_file
from tests.support.bench_runs import made_up_run


def listed(*paths: Path, slo: str = "ttft=80ms", mixed: bool = False) -> dict[str, Item]:
    return {item.name: item for item in checklist(read_inputs(paths, mixed=mixed), promise(slo))}


def test_a_whole_run_misses_only_what_it_did_not_measure(tmp_path: Path) -> None:
    found = listed(made_up_run(tmp_path, n=200, windows=(5,)))
    assert [name for name, item in found.items() if not item.is_there] == ["A/A"]
    assert found["Batching policy"].said == "window.max_wait: 5ms; measured: 200 in calls of 1"


def test_what_a_csv_alone_does_not_say(tmp_path: Path) -> None:
    found = listed(made_up_run(tmp_path, n=30) / rows.FILE, slo="")
    missing = [name for name, item in found.items() if not item.is_there]
    assert missing == [
        "Load",
        "Batching policy",
        "Warm or cold",
        "Percentiles",
        "Constraints",
        "Who counted tokens",
        "Load generator",
        "A/A",
        "Versions",
    ]
    assert "n < 100" in found["Percentiles"].said


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    folder = made_up_run(tmp_path / "a", n=20, hardware="", complete=False)
    run = read_run_file(folder)
    run.cells[0].client.bottleneck = True
    run.cells[0].client.why = "its loop was late"
    run.aa = [Comparison(cell="c0", statistic="mean", differences={"ttft_ms": Interval(value=3, low=1, high=5, n=20)})]
    write_run_file(folder, run)
    found = listed(folder)
    assert "bench --hardware" in found["Hardware"].said
    assert found["Load generator"].said == "IT WAS THE BOTTLENECK: c0: its loop was late"
    assert "DIFFERS FROM ITSELF in c0" in found["A/A"].said
    assert "was not finished" in found["Notes"].said


def test_a_seed_that_repeats_is_no_repetition(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / name, n=20) for name in ("a", "b")]
    assert "seed 1 was used 2 times" in listed(*folders)["Notes"].said
    other = [made_up_run(tmp_path / "c", n=20), made_up_run(tmp_path / "d", n=20, seed=2)]
    assert "Notes" not in listed(*other)


def test_different_machines_are_marked(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / name, n=5, hardware=name) for name in ("laptop", "H200")]
    assert listed(*folders, mixed=True)["Hardware"].said.startswith("DIFFERENT MACHINES")
