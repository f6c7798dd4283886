"""How a run begins in its folder: anew, or where a run before it was ended.

Owns when it may do either, and what is noticed of other runs beside it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import time
from typing import Final

from proxy.bench import run_file
from proxy.bench.machine import commit, versions
from proxy.bench.options import Options
from proxy.bench.rows import timestamp
from proxy.bench.run_file import BadRunFileError, CacheState, RunFile, read_run_file
from proxy.bench.run_folder import BadRunError, Measured, mend, read_run
from proxy.bench.survey import Survey

AS_FOUND: Final = "as found"
_TOLD: Final = 3
Known = dict[str, list[Measured]]
"""Cell → what it has already."""


class RunError(Exception):
    """The run cannot begin or go on; the message says why, and what was kept."""


def begun(
    folder: Path, state: CacheState, options: Options, workload: str, seen: Survey, say: Callable[[str], None]
) -> tuple[RunFile, Known]:
    """A new run, or the one that is there. Raises RunError, OSError."""
    check_free(folder, options)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / run_file.FILE).exists():
        return _resumed(folder, options, say)
    run = RunFile(
        argv=list(options.argv),
        seed=options.seeds[0],
        workload=workload,
        targets=seen.targets,
        git=commit(),
        config_hash=seen.config_hash,
        hardware=seen.hardware(options),
        versions=versions(),
        machine=seen.machine,
        cache=state,
        started=timestamp(time()),
        notes=[*seen.notes, *repeated(folder, options, workload, state)],
    )
    for note in run.notes:
        say(f"note: {note}")
    return run, {}


def check_free(folder: Path, options: Options) -> None:
    """Nothing is there, or it is to be gone on with. Raises RunError."""
    if (folder / run_file.FILE).exists() and not options.resume:
        raise RunError(f"{folder} holds a run already: --resume goes on with it, another --out begins a new one")


def _resumed(folder: Path, options: Options, say: Callable[[str], None]) -> tuple[RunFile, Known]:
    try:
        run = read_run_file(folder)
        mend(folder)
        known = read_run(folder)
    except (BadRunFileError, BadRunError) as error:
        raise RunError(str(error)) from None
    if _meant(run.argv) != _meant(options.argv):
        raise RunError(f"{folder} holds a run of another command: tidegate {' '.join(run.argv)}")
    run.resumed += 1
    of_cells = {cell.id: known.of_cell(cell.id) for cell in run.cells}
    say(f"going on with {folder}: {sum(map(len, of_cells.values()))} requests are there")
    return run, of_cells


def repeated(folder: Path, options: Options, workload: str, state: CacheState) -> list[str]:
    """What runs beside this one sent already, so that caches may know it."""
    if state != AS_FOUND:
        return []
    found = []
    for path in sorted(folder.resolve().parent.glob(f"*/{run_file.FILE}")):
        if path.parent == folder.resolve():
            continue
        try:
            other = read_run_file(path.parent)
        except BadRunFileError:
            continue
        seeds = {cell.seed for cell in other.cells} & set(options.seeds)
        if seeds and other.workload == workload and other.targets["url"].url == options.urls["url"]:
            said = f"{path.parent.name} sent the same prompts (seed {min(seeds)}): caches may know them"
            found.append(f"{said}; --cache cold sends others")
    return found[:_TOLD]


def _meant(argv: Sequence[str]) -> list[str]:
    return [word for word in argv if word != "--resume"]
