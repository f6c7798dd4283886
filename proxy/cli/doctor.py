"""`tidegate doctor`: what is wrong around a configuration, and what to do about it."""

import argparse
import json
import sys
import textwrap

from proxy.app.doctor.examine import examine
from proxy.app.doctor.judge import Found
from proxy.cli.check import load_file, show
from proxy.config.diagnostics import Severity

_WIDTH = 80


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing is an error, else 1."""
    loaded = load_file(arguments.file)
    show(loaded.diagnostics, sys.stderr)
    if loaded.config is None:
        return 1
    found = examine(loaded.config)
    print(json.dumps([one._asdict() for one in found], indent=2) if arguments.json else told(found), end="\n")
    return 1 if any(one.severity is Severity.ERROR for one in found) else 0


def told(found: list[Found]) -> str:
    """Lines for people, grouped, within 80 columns."""
    groups = dict.fromkeys(one.about for one in found)
    return "\n".join("\n".join([group, *(_lines(one) for one in found if one.about == group)]) for group in groups)


def _lines(one: Found) -> str:
    seen = textwrap.fill(f"{one.severity.value}: {one.seen}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
    do = textwrap.fill(f"do: {one.do}", _WIDTH, initial_indent="    ", subsequent_indent="      ")
    return f"{seen}\n{do}" if one.do else seen
