"""A report put together: warm and cold apart, warnings first."""

from pathlib import Path

from proxy.bench.promise import promise
from proxy.bench.report.document import document, markdown
from proxy.bench.report.inputs import read_inputs
from proxy.bench.run_file import Comparison, Interval, read_run_file, write_run_file
from tests.support.bench_runs import made_up_run


def test_warm_and_cold_stand_apart(tmp_path: Path) -> None:
    made_up_run(tmp_path / "warm", loads=(1, 8), n=30)
    made_up_run(tmp_path / "cold", n=30, cache="cold", factor=3)
    found = document(read_inputs([tmp_path]), promise("ttft=80ms"), "Ours")
    assert [one.title.partition(":")[0] for one in found.sections] == ["Warm", "Cold"]
    warm, cold = found.sections
    assert [row[0] for row in warm.tables[0].rows] == ["1 at once", "8 at once"]
    assert {one.name.partition("-")[0] for one in cold.charts} == {"cold"}
    assert found.summary == f"{found.summary.split(';')[0]}; 2 cores"


def test_pairs_have_a_table_of_their_own(tmp_path: Path) -> None:
    folder = made_up_run(tmp_path, n=20, complete=False)
    run = read_run_file(folder)
    differences = {"ttft_ms": Interval(value=0.8, low=0.5, high=1.1, n=20), "e2e_ms": Interval(value=1.0, n=3)}
    run.comparisons = [Comparison(cell="c0", statistic="median", differences=differences)]
    write_run_file(folder, run)
    found = document(read_inputs([folder]), promise(""), "Ours")
    (table,) = found.sections[-1].tables
    assert table.rows[0][1:] == ("20", "+0.80", "+0.50 to +1.10", "yes")
    assert table.rows[1][1:] == ("3", "+1.00", "-", "-")
    assert found.warnings == [f"{folder} was not finished"]
    assert f"**{folder} was not finished**" in markdown(found)


def test_as_markdown(tmp_path: Path) -> None:
    text = markdown(document(read_inputs([made_up_run(tmp_path, n=30)]), promise(""), "Ours"))
    assert text.startswith("# Ours\n")
    assert "](ttft.svg)" in text
    assert "| ✗ | A/A |" in text
