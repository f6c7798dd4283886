"""`tidegate bench compare`: two runs, what changed, and whether a release may go on."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from proxy.bench.series import Series, labelled
from proxy.report.tables import table, width_of

SLO_HELP: Final = "what a good request keeps, such as ttft=500ms,tpot=50ms,e2e=10s (default: an answer)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two runs, and what may not have happened between them."""
    from proxy.cli import values

    parser.add_argument("runs", metavar="RUN", nargs=2, type=Path, help="folder (--out) or CSV: the base, then the new")
    parser.add_argument(
        "--fail-if",
        metavar="CONDITION",
        action="append",
        default=[],
        type=values.gate,
        help="such as 'p99_ttft>+5%%', 'p50_e2e>+20ms', 'success<-1%%' (points): exit 1 if it is so and more than "
        "noise, or cannot be told; may be repeated",
    )
    parser.add_argument("--slo", metavar="SLO", type=values.promise, default="", help=SLO_HELP)
    parser.add_argument("--mixed", action="store_true", help="compare runs of different machines all the same")


def run(arguments: argparse.Namespace) -> int:
    """Print the changes and the verdicts."""
    if find_spec("scipy") is None:
        return _said("scipy is not installed; fix: pip install 'tidegate[bench]'")
    from proxy.bench.matching import matched
    from proxy.bench.report.inputs import BadInputError, read_sources

    try:
        base, new = ([one for source in read_sources(path) for one in source.series] for path in arguments.runs)
    except BadInputError as error:
        return _said(str(error))
    pairs, alone = matched(base, new)
    if not pairs:
        return _said("nothing was measured under the same load, window, workload and cache state in both")
    if (warning := _machines(base, new)) and not arguments.mixed:
        return _said(f"{warning}; --mixed compares them all the same")
    if warning:
        _said(f"warning: {warning}")
    failed = _told(pairs, arguments)
    for one in labelled(alone):
        _said(f"only in one of them: {one.label} ({one.conditions.run})")
    return 1 if failed else 0


def _told(pairs: list[tuple[Series, Series]], arguments: argparse.Namespace) -> bool:
    """Whether a condition was met, or could not be judged."""
    from proxy.bench.comparison import changes
    from proxy.bench.gate import verdict

    failed = False
    for one, (before, after) in zip(labelled(first for first, _ in pairs), pairs, strict=True):
        found = changes(before, after, arguments.slo)
        print(f"{one.label}: {_how(found)}")
        lines = [_line(change) for change in found]
        print(table(("", "base", "new", "change", "95 % range", "n"), lines, width=width_of(sys.stdout)))
        by_name = {change.figure.name: change for change in found}
        for wanted in arguments.fail_if:
            said = verdict(wanted, by_name.get(wanted.figure.name))
            failed = failed or said in ("fail", "cannot tell")
            print(f"{said}: {wanted.text}")
    return failed


def _said(text: str) -> int:
    print(f"bench compare: {text}", file=sys.stderr)
    return 1


def _how(found: list[Any]) -> str:
    return "request by request" if any(one.paired for one in found) else "as two samples (not the same requests)"


def _line(one: Any) -> tuple[str, ...]:
    unit = f" {one.figure.unit}"
    values = ["n too small" if value is None else f"{value:,.2f}{unit}" for value in (one.base, one.new)]
    n = f"{one.n[0]:,}" if one.n[0] == one.n[1] else f"{one.n[0]:,}, {one.n[1]:,}"
    shown, end = (one.relative, " %") if one.relative and one.figure.unit == "ms" else (one.absolute, f"{unit}")
    if shown is None:
        return (one.figure.name, *values, "-", "-", n)
    mark = "" if one.is_real or not shown[0] else " (noise)"
    return (one.figure.name, *values, f"{shown[0]:+.1f}{end}{mark}", f"{shown[1]:+.1f} to {shown[2]:+.1f}{end}", n)


def _machines(base: list[Any], new: list[Any]) -> str:
    names = [sorted({one.conditions.hardware for one in lot}) for lot in (base, new)]
    if names[0] == names[1]:
        return ""
    said = " and ".join(", ".join(name or "unnamed" for name in lot) for lot in names)
    return (
        f"measured on different machines ({said}): what differs may be the machine; --mixed compares them all the same"
    )
