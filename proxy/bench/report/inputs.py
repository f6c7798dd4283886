"""What a report is made of: folders of runs, or CSV files that came alone.

Owns what may stand in one report: runs of different machines only where that is asked for, and then they are marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.bench.rows import BadRowsError, read_rows
from proxy.bench.run_file import RunFile
from proxy.bench.run_folder import BadRunError, read_run, runs_below
from proxy.bench.series import UNKNOWN, Series, labelled, series_of


class BadInputError(Exception):
    """What cannot be reported, in words for whoever asked."""


@dataclass(frozen=True, slots=True)
class Source:
    """One run; a CSV alone has no run file."""

    path: Path
    run: RunFile | None
    series: list[Series]

    @property
    def hardware(self) -> str:
        """As its rows call it."""
        return ", ".join(sorted({one.conditions.hardware or UNKNOWN for one in self.series}))


@dataclass(frozen=True, slots=True)
class Inputs:
    """All of them, with labels that tell their series apart."""

    sources: list[Source]
    series: list[Series]
    machines: list[str]
    """Hardware that was measured; more than one: the reader has to know."""

    @property
    def n(self) -> int:
        """Requests."""
        return sum(one.n for one in self.series)


def read_inputs(paths: Sequence[Path], *, mixed: bool = False) -> Inputs:
    """Of folders and CSV files. `mixed`: machines may differ. Raises BadInputError."""
    sources = [source for path in paths for source in read_sources(path)]
    series = labelled([one for source in sources for one in source.series])
    machines = sorted({one.conditions.hardware or UNKNOWN for one in series})
    if not series:
        raise BadInputError(f"{', '.join(map(str, paths))}: no request was measured")
    if len(machines) > 1 and not mixed:
        where = "; ".join(f"{source.path}: {source.hardware}" for source in sources)
        if len(sources) == 1:
            raise BadInputError(
                f"the backends of {where} differ, and a chart of all would hide that\n"
                "say --mixed: every label then names its machine; or measure each kind alone, by a class or a model "
                "that only its backends serve"
            )
        raise BadInputError(
            f"these were measured on different machines, and a chart of both would compare those: {where}\n"
            "report them apart, or say --mixed: every label then names its machine"
        )
    return Inputs(sources, series, machines)


def read_sources(path: Path) -> list[Source]:
    """A CSV, a run, or the runs in the folders of a folder. Raises BadInputError."""
    try:
        if path.is_file() and path.suffix != ".json":
            rows = read_rows(path)
            return [Source(path, None, series_of(rows, [None] * len(rows), None, path.name))]
        folders = runs_below(path.parent if path.is_file() else path)
        if not folders:
            raise BadInputError(f"{path}: no run.json in it, nor in a folder of it; is it the --out of tidegate bench?")
        return [_source(folder) for folder in folders]
    except (BadRunError, BadRowsError) as error:
        raise BadInputError(str(error)) from None


def _source(folder: Path) -> Source:
    run = read_run(folder)
    rows, details = [one.row for one in run.requests], [one.detail for one in run.requests]
    return Source(folder, run.file, series_of(rows, details, run.file, folder.name))
