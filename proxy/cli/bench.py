"""`tidegate bench`: load on a server or on two, measured, written down so that it can be done again.

Owns the exit code, and what is said when a run cannot begin or go on.
"""

import argparse
import asyncio
import sys
from importlib import import_module

from proxy.bench.beginning import RunError
from proxy.bench.options import Options
from proxy.bench.progress import Progress
from proxy.bench.reconfigure import ReconfigureError
from proxy.bench.run import bench
from proxy.bench.run_folder import BadRunError, read_run, runs_below
from proxy.bench.summary import summary
from proxy.bench.sweep import SweepError, combinations
from proxy.bench.target import TargetError
from proxy.bench.workloads.recorded import BadFileError
from proxy.cli.bench_options import UsageError, options_of
from proxy.report.tables import width_of


def run(arguments: argparse.Namespace) -> int:
    """0 when all was measured; 1 when it was not, or nothing was served; 2 for words that do not go together."""
    if arguments.action:
        return int(import_module(f"proxy.cli.bench_{arguments.action}").run(arguments))
    try:
        options = options_of(arguments, sys.argv[1:])
        cells = len(combinations(options.seeds, options.axes, options.loads)) * len(options.caches)
    except (UsageError, SweepError) as error:
        return _refused(str(error), 2)
    try:
        with Progress(sys.stderr, cells) as progress:
            done, runs = asyncio.run(bench(options, progress))
    except (RunError, TargetError, ReconfigureError, BadFileError) as error:
        return _refused(str(error), 1)
    except OSError as error:
        return _refused(f"{error.filename or options.out}: {error.strerror}; what was written before stays", 1)
    _tell(options)
    if done.interrupted:
        return _refused(f"interrupted; what there is is in {options.out}, --resume --out {options.out} goes on", 1)
    if not done.served and any(not run.resumed for run in runs):
        return _refused(f"no request was served; {options.out} says why, request by request", 1)
    return 0 if all(run.complete for run in runs) else 1


def _tell(options: Options) -> None:
    for folder in runs_below(options.out):
        try:
            print(summary(read_run(folder), width_of(sys.stdout)))
        except BadRunError as error:
            print(f"tidegate bench: {error}", file=sys.stderr)


def _refused(why: str, code: int) -> int:
    print(f"tidegate bench: {why}", file=sys.stderr)
    return code
