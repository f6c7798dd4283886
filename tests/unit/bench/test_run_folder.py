"""A run on disk: rows with their details, after a kill too."""

from pathlib import Path

import pytest

from proxy.bench import details, rows
from proxy.bench.details import DetailWriter
from proxy.bench.rows import RowWriter
from proxy.bench.run_file import write_run_file
from proxy.bench.run_folder import BadRunError, mend, read_run, runs_below
from tests.unit.bench.requests_made import detail, row
from tests.unit.bench.test_run_file import run_file


def write(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    write_run_file(folder, run_file())
    with RowWriter(folder / rows.FILE) as of_rows, DetailWriter(folder / details.FILE) as of_details:
        for index in range(count):
            of_rows.write(row(prompt_tokens=index))
            of_details.write(detail(index=index, cell="ab"[index % 2], side=("url", "direct")[index // 2 % 2]))


def test_rows_come_with_their_details(tmp_path: Path) -> None:
    write(tmp_path, 8)
    run = read_run(tmp_path)
    assert [(one.row.prompt_tokens, one.detail.index) for one in run.requests] == [(n, n) for n in range(8)]
    assert [one.detail.index for one in run.of_cell("a")] == [0, 2, 4, 6]
    assert [one.detail.index for one in run.of_cell("a", "direct")] == [2, 6]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match=r"run\.json"):
        read_run(tmp_path)
    write(tmp_path, 1)
    (tmp_path / rows.FILE).write_text("a,b\n")
    with pytest.raises(BadRunError, match=r"requests.csv:1: unknown column 'a'"):
        read_run(tmp_path)


@pytest.mark.parametrize("cut", [(0, 3), (3, 0), (0, 400), (150, 0)])
def test_a_killed_run_is_read_and_gone_on_with(tmp_path: Path, cut: tuple[int, int]) -> None:
    write(tmp_path, 4)
    for name, away in zip((rows.FILE, details.FILE), cut, strict=True):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) - away])
    readable = [one.detail.index for one in read_run(tmp_path).requests]
    kept = mend(tmp_path)
    assert 0 < kept < 4
    assert [one.detail.index for one in read_run(tmp_path).requests] == list(range(kept)) == readable[:kept]
    write(tmp_path, 1)
    assert len(read_run(tmp_path).requests) == kept + 1


def test_nothing_was_written_yet(tmp_path: Path) -> None:
    write_run_file(tmp_path, run_file())
    (tmp_path / rows.FILE).touch()
    (tmp_path / details.FILE).touch()
    (tmp_path / rows.FILE).write_text(rows.HEADER)
    assert mend(tmp_path) == 0


def test_a_folder_or_those_in_it(tmp_path: Path) -> None:
    write(tmp_path / "warm", 1)
    write(tmp_path / "cold", 1)
    assert runs_below(tmp_path) == [tmp_path / "cold", tmp_path / "warm"]
    assert runs_below(tmp_path / "warm") == [tmp_path / "warm"]
