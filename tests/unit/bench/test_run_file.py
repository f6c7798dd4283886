"""`run.json`: what is written comes back, whole or not at all; what is wrong is said by name."""

import json
from pathlib import Path

import pytest

from proxy.bench.run_file import FILE, Arrivals, BadRunFileError, Cell, RunFile, Target, read_run_file, write_run_file


def run_file() -> RunFile:
    cells = [
        Cell(id="a", arrivals=Arrivals(process="closed", concurrency=8), tokens_sources={"usage": 3, "events": 1}),
        Cell(id="b", arrivals=Arrivals(process="poisson", rate_per_s=2.5), tokens_sources={"usage": 2}),
    ]
    targets = {"url": Target(url="http://127.0.0.1:8080", server="tidegate", is_tidegate=True)}
    return RunFile(argv=["bench"], seed=1, workload="short-chat", targets=targets, cells=cells)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_run_file(tmp_path, run_file())
    assert read_run_file(tmp_path) == run_file()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_token_sources_are_of_all_cells() -> None:
    assert run_file().tokens_sources == {"usage": 5, "events": 1}


def test_a_cell_by_its_id() -> None:
    found = run_file().cell("b")
    assert found is not None
    assert found.arrivals.rate_per_s == 2.5
    assert run_file().cell("c") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": 1}, "colour: Extra inputs are not permitted"),
        ({"format": 2}, "format: Input should be less than or equal to 1"),
        ({"seed": "x"}, "seed: Input should be a valid integer"),
    ],
)
def test_what_is_wrong_is_said_by_name(tmp_path: Path, change: dict[str, object], said: str) -> None:
    (tmp_path / FILE).write_text(json.dumps(run_file().model_dump() | change))
    with pytest.raises(BadRunFileError) as refused:
        read_run_file(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / FILE}: {said}")


def test_no_json_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadRunFileError, match="No such file"):
        read_run_file(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(BadRunFileError, match="Invalid JSON"):
        read_run_file(tmp_path)
