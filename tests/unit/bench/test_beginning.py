"""How a run begins: anew, where another was ended, and beside others that sent the same."""

from pathlib import Path

import pytest

from proxy.bench.beginning import RunError, begun, repeated
from proxy.bench.run_file import Arrivals, Cell, Machine, RunFile, Target, write_run_file
from proxy.bench.survey import Survey
from tests.unit.bench.test_options import options
from tests.unit.bench.test_run_folder import write

SEEN = Survey({"url": Target(url="http://127.0.0.1:1", server="x")}, {}, Machine(cpu="c", cores=2), notes=["seen"])


def test_anew(tmp_path: Path) -> None:
    said: list[str] = []
    run, known = begun(tmp_path / "a" / "b", "cold", options(seeds=(3,)), "w", SEEN, said.append)
    assert (run.seed, run.cache, run.workload, run.machine.cpu, known) == (3, "cold", "w", "c", {})
    assert said == ["note: seen"]
    assert (tmp_path / "a" / "b").is_dir()


def test_not_over_a_run_that_is_there(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with pytest.raises(RunError, match="holds a run already: --resume goes on with it"):
        begun(tmp_path, "as found", options(), "w", SEEN, print)


def test_where_it_was_ended(tmp_path: Path) -> None:
    write(tmp_path, 6)
    run, known = begun(tmp_path, "as found", options(argv=("bench", "--resume"), resume=True), "w", SEEN, print)
    assert run.resumed == 1
    assert {name: len(one) for name, one in known.items()} == {"a": 3, "b": 3}
    with pytest.raises(RunError, match="holds a run of another command: tidegate bench"):
        begun(tmp_path, "as found", options(argv=("bench", "--seed", "2"), resume=True), "w", SEEN, print)


def test_a_run_that_is_broken(tmp_path: Path) -> None:
    write(tmp_path, 2)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="Invalid JSON"):
        begun(tmp_path, "as found", options(resume=True), "w", SEEN, print)


def test_the_same_seed_beside_it_is_noticed(tmp_path: Path) -> None:
    other = RunFile(
        argv=[],
        seed=1,
        workload="w",
        targets={"url": Target(url="http://127.0.0.1:1")},
        cells=[Cell(id="c", seed=1, arrivals=Arrivals(process="closed"))],
    )
    (tmp_path / "before").mkdir()
    write_run_file(tmp_path / "before", other)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text("{")
    here = tmp_path / "now"
    assert "before sent the same prompts (seed 1)" in repeated(here, options(seeds=(1,)), "w", "as found")[0]
    assert repeated(here, options(seeds=(2,)), "w", "as found") == []
    assert repeated(here, options(seeds=(1,)), "other", "as found") == []
    assert repeated(here, options(seeds=(1,)), "w", "cold") == []
