"""A run on disk: its folder with `run.json`, `requests.csv` and `details.jsonl`, read as one and gone on with.

Owns that row N and line N belong to one request, also after a kill between the two.
"""

from dataclasses import dataclass
from pathlib import Path

from proxy.bench import details, rows, run_file
from proxy.bench.details import BadDetailsError, Detail, read_details
from proxy.bench.rows import BadRowsError, Row, read_rows
from proxy.bench.run_file import BadRunFileError, RunFile, read_run_file


class BadRunError(Exception):
    """A folder that holds no run; the message says which file is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One request: its row, and what else is known of it."""

    row: Row
    detail: Detail


@dataclass(frozen=True, slots=True)
class Run:
    """All that a run left."""

    folder: Path
    file: RunFile
    requests: list[Measured]

    def of_cell(self, identity: str, side: str | None = None) -> list[Measured]:
        """In order of the file; `side`: of a paired run."""
        return [one for one in self.requests if one.detail.cell == identity and side in (None, one.detail.side)]


def read_run(folder: Path) -> Run:
    """What a folder holds, of a run that was killed too. Raises BadRunError."""
    try:
        file = read_run_file(folder)
        told, known = read_rows(folder / rows.FILE), read_details(folder / details.FILE)
    except (BadRunFileError, BadRowsError, BadDetailsError) as error:
        raise BadRunError(str(error)) from None
    return Run(folder, file, [Measured(row, detail) for row, detail in zip(told, known, strict=False)])


def runs_below(folder: Path) -> list[Path]:
    """The folder itself if it holds a run, else those in it that do (`cold`, `warm`), by name."""
    if (folder / run_file.FILE).exists():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{run_file.FILE}"))


def mend(folder: Path) -> int:
    """Cut what a kill left half written off both files, so that they can be appended to; how many requests are left.

    Raises OSError and BadRunError.
    """
    paths = (folder / rows.FILE, folder / details.FILE)
    counts = []
    for path in paths:
        whole = path.read_bytes() if path.exists() else b""
        counts.append(whole.count(b"\n"))
    kept = max(0, min(counts[0] - 1, counts[1]))
    for path, lines in zip(paths, (kept + 1, kept), strict=True):
        if path.exists():
            _cut(path, lines)
    read_run(folder)
    return kept


def _cut(path: Path, lines: int) -> None:
    """The first so many whole lines are kept."""
    whole = path.read_bytes()
    end = 0
    for _ in range(lines):
        found = whole.find(b"\n", end)
        if found < 0:
            break
        end = found + 1
    if end < len(whole):
        with path.open("r+b") as file:
            file.truncate(end)
