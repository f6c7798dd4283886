"""`tidegate check`: everything that is wrong with configuration files."""

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO

from proxy.config.diagnostics import Diagnostic, Severity, has_errors, render
from proxy.config.loader import Loaded, load


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnostics of every file; 0 when all are right, else 1."""
    loaded = {file: load_file(file) for file in arguments.files}
    diagnostics = [d for one in loaded.values() for d in one.diagnostics]
    sys.stdout.write(render(diagnostics, arguments.format, colour=wants_colour(sys.stdout)))
    if arguments.format == "text":
        for file, one in loaded.items():
            print(_summary(file, one))
    failed = diagnostics if arguments.strict else has_errors(diagnostics)
    return 1 if failed else 0


def load_file(file: str) -> Loaded:
    """Load a file named on the command line, `-` for standard input, with this process's environment."""
    return load("-" if file == "-" else Path(file), os.environ)


def wants_colour(stream: TextIO) -> bool:
    """Whether colour helps there: a terminal, and nobody said no."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _summary(file: str, loaded: Loaded) -> str:
    errors = sum(d.severity is Severity.ERROR for d in loaded.diagnostics)
    warnings = len(loaded.diagnostics) - errors
    if loaded.config is None:
        return f"{file}: {_counted(errors, 'error')}{_and_warnings(warnings)}"
    return f"{file}: ok, {_counted(len(loaded.config.backends), 'backend')}{_and_warnings(warnings)}"


def _and_warnings(count: int) -> str:
    return f", {_counted(count, 'warning')}" if count else ""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def show(diagnostics: list[Diagnostic], stream: TextIO) -> None:
    """Diagnostics as text, to a stream."""
    stream.write(render(diagnostics, "text", colour=wants_colour(stream)))
