"""The files of a report."""

from pathlib import Path

from proxy.bench.promise import promise
from proxy.bench.report.document import document
from proxy.bench.report.inputs import read_inputs
from proxy.bench.report.written import write
from tests.support.bench_runs import made_up_run


def test_a_page_a_text_and_each_chart_twice(tmp_path: Path) -> None:
    found = document(read_inputs([made_up_run(tmp_path / "run", n=30)]), promise(""), "Ours")
    folder = tmp_path / "deep" / "report"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    written = write(found, folder)
    assert [path.name for path in written[:2]] == ["index.html", "report.md"]
    assert {path.suffix for path in written[2:]} == {".svg", ".png"}
    assert all(path.stat().st_size for path in written)
    assert (folder / "notes.txt").read_text() == "mine"
