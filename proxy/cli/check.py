"""`tidegate check`: everything that is wrong with configuration files."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from proxy.config.diagnostics import Diagnostic, Severity, render
from proxy.config.loader import Loaded, load
from proxy.config.series import most_series


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnostics of every file; 0 when all are right, else 1."""
    loaded = {file: load_file(file, elsewhere=arguments.no_env) for file in arguments.files}
    if arguments.resolved:
        return _resolved(loaded)
    if arguments.live:
        loaded = {file: _with_live(file, one) for file, one in loaded.items()}
    diagnostics = [d for one in loaded.values() for d in one.diagnostics]
    sys.stdout.write(render(diagnostics, arguments.format, colour=wants_colour(sys.stdout)))
    if arguments.format == "text":
        for file, one in loaded.items():
            print(_summary(file, one))
    failing = (Severity.ERROR, Severity.WARNING) if arguments.strict else (Severity.ERROR,)
    return 1 if any(d.severity in failing for d in diagnostics) else 0


def _with_live(file: str, loaded: Loaded) -> Loaded:
    return replace(loaded, diagnostics=[*loaded.diagnostics, *_live(file, loaded)])


def _live(file: str, loaded: Loaded) -> Iterator[Diagnostic]:
    """What the doctor finds wrong around a file."""
    from proxy.app.doctor.examine import examine

    for one in examine(loaded.config) if loaded.config is not None else ():
        if one.severity is not Severity.NOTE:
            yield Diagnostic(one.severity, file, 1, 1, one.where, f"{one.what} [{one.id}]", one.do)


def _resolved(loaded: dict[str, Loaded]) -> int:
    """The effective files, on standard output; what is wrong or doubtful, on the other one."""
    from proxy.config.resolved import resolved
    from proxy.config.restart import RESTART

    for file, one in loaded.items():
        show(one.diagnostics, sys.stderr)
        if one.config is not None:
            print(f"# {file}, every option with its value; secrets are masked")
            print(f"# restart needed for changes of: {', '.join(RESTART)}; all else is reloaded")
            print(resolved(one.config), end="")
    return 1 if any(one.config is None for one in loaded.values()) else 0


def load_file(file: str, *, elsewhere: bool = False) -> Loaded:
    """Load a file named on the command line, `-` for standard input, with this process's environment; `elsewhere`: for
    another machine."""
    return load("-" if file == "-" else Path(file), os.environ, elsewhere=elsewhere)


def wants_colour(stream: TextIO) -> bool:
    """Whether colour helps there: a terminal, and nobody said no."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _summary(file: str, loaded: Loaded) -> str:
    count = Counter(d.severity for d in loaded.diagnostics)
    rest = [_counted(count[s], s.value) for s in (Severity.WARNING, Severity.NOTE) if count[s]]
    if loaded.config is None:
        return f"{file}: {', '.join([_counted(count[Severity.ERROR], 'error'), *rest])}"
    config = loaded.config
    series = most_series(config.classes, config.backends, config.routing, config.tenants, config.metrics, config.slos)
    wrong = _counted(count[Severity.ERROR], "error") if count[Severity.ERROR] else "ok"
    told = [wrong, _counted(len(config.backends), "backend"), *rest]
    return f"{file}: {', '.join(told)} (up to {series:,} series of metrics for one endpoint)"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def show(diagnostics: list[Diagnostic], stream: TextIO) -> None:
    """Diagnostics as text, to a stream."""
    stream.write(render(diagnostics, "text", colour=wants_colour(stream)))
