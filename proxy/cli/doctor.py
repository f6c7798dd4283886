"""`tidegate doctor`: what is wrong around a configuration, and what to do about it."""

import argparse
import json
import os
import textwrap
from collections.abc import Sequence

from proxy.app.doctor import rules
from proxy.app.doctor.examine import examine
from proxy.app.doctor.finding import Finding
from proxy.app.doctor.front.trials import SILENCE_S
from proxy.app.doctor.front.walk import KEY_VARIABLE, Front
from proxy.cli.check import load_file
from proxy.config.diagnostics import Diagnostic, Severity

_WIDTH = 80
_OF_FILE = {Severity.ERROR: rules.FILE_ERROR, Severity.WARNING: rules.FILE_WARNING, Severity.NOTE: rules.FILE_NOTE}


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing is an error, else 1."""
    loaded = load_file(arguments.file)
    found = [_of_file(one) for one in loaded.diagnostics]
    if loaded.config is not None:
        found += examine(loaded.config, _front(arguments), tries=arguments.tries)
    print(json.dumps([one._asdict() for one in found], indent=2) if arguments.json else told(found))
    return 1 if any(one.severity is Severity.ERROR for one in found) else 0


def _front(arguments: argparse.Namespace) -> Front | None:
    if arguments.public is None:
        return None
    key = os.environ.get(KEY_VARIABLE, "")
    return Front(
        arguments.public,
        silence_s=SILENCE_S if arguments.silence is None else arguments.silence,
        model=arguments.model,
        key=key if key.isascii() and key.isprintable() else "",
        verifies=not arguments.insecure,
        listen=arguments.listen or "",
    )


def told(found: Sequence[Finding]) -> str:
    """Lines for people, grouped, within 80 columns."""
    groups = dict.fromkeys(one.where for one in found)
    return "\n".join("\n".join([group, *(_lines(one) for one in found if one.where == group)]) for group in groups)


def _of_file(one: Diagnostic) -> Finding:
    what = f"{one.path}: {one.message}" if one.path else one.message
    return _OF_FILE[one.severity].found(f"{one.file}:{one.line}:{one.column}", what, one.hint)


def _lines(one: Finding) -> str:
    seen = f"{one.severity.value}: {one.what} [{one.id}]"
    lines = textwrap.fill(seen, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    do = textwrap.fill(
        f"do: {one.do}", _WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
    )
    return f"{lines}\n{do}" if one.do else lines
