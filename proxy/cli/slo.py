"""`tidegate slo`: writes the objectives of a configuration as rules for Prometheus or as OpenSLO, reads OpenSLO, and
asks a running proxy how they stand.

Owns the text. What is asked for is in `obs.slo`, what is read in `config.openslo`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from proxy.cli.check import load_file, show
from proxy.cli.inquiry import inquiry
from proxy.config.openslo import read_openslo
from proxy.config.source import UnreadableError, read_text
from proxy.model.units import format_duration
from proxy.obs.slo.openslo import openslo
from proxy.obs.slo.prometheus_rules import prometheus_rules

_DEFAULT_FILE = "routing.yaml"
_FORMATS = {"prometheus": prometheus_rules, "openslo": openslo}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    about = "rules: write them; import: read OpenSLO; status: ask a running proxy"
    parser.add_argument("action", choices=("rules", "import", "status"), help=about)
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        help=f"rules, status: configuration of the proxy (default: {_DEFAULT_FILE}); import: OpenSLO, YAML; "
        "- for standard input",
    )
    parser.add_argument("--format", choices=tuple(_FORMATS), default="prometheus", help="rules: default %(default)s")
    parser.add_argument(
        "--class", metavar="NAME", dest="traffic_class", default="interactive", help="import: of SLOs that name none"
    )
    parser.add_argument("--json", action="store_true", help="status: everything, for programs")


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done, else 1 with the reason; 2 for usage."""
    if arguments.action == "import":
        return _import(arguments)
    return _rules(arguments) if arguments.action == "rules" else _status(arguments)


def _rules(arguments: argparse.Namespace) -> int:
    file = arguments.file or _DEFAULT_FILE
    loaded = load_file(file, elsewhere=True)
    if loaded.config is None:
        show(loaded.diagnostics, sys.stderr)
        return 1
    if not loaded.config.slos:
        print(f"tidegate slo: {file} has no slos; see config/README.md", file=sys.stderr)
        return 1
    sys.stdout.write(_FORMATS[arguments.format](loaded.config.slos))
    return 0


def _import(arguments: argparse.Namespace) -> int:
    file = arguments.file
    if file is None:
        print("tidegate slo: import needs the file to read, - for standard input", file=sys.stderr)
        return 2
    try:
        text = read_text("-" if file == "-" else Path(file))
    except UnreadableError as error:
        print(f"tidegate slo: {file}: {error.message}", file=sys.stderr)
        return 1
    found = read_openslo(text, arguments.traffic_class)
    for line in [*found.problems, *(f"note: {note}" for note in found.notes)]:
        print(f"{file}: {line}", file=sys.stderr)
    if found.entries:
        sys.stdout.write(found.text())
    return 1 if found.problems else 0


def _status(arguments: argparse.Namespace) -> int:
    asked = inquiry(arguments, arguments.file or _DEFAULT_FILE)
    told = None if asked is None else asked.told("/slo", "slos", list)
    if told is None:
        return 1
    print(json.dumps(told, indent=2) if arguments.json else _text(told["slos"]))
    return 0


def _text(slos: list[dict[str, Any]]) -> str:
    if not slos:
        return "the proxy has no slos"
    from proxy.report.tables import table, width_of

    header = ("SLO", "objective", "attained", "budget left", "burn 1h", "exhausted in", "alert")
    return table(header, [_cells(one) for one in slos], width=width_of(sys.stdout)).rstrip("\n")


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    attained, until = one["attainment"], one["exhausted_in_s"]
    return (
        str(one["name"]),
        f"{one['objective'] * 100:.6g} %",
        "no requests" if attained is None else f"{attained * 100:.5g} %",
        f"{one['error_budget_left'] * 100:.4g} %",
        f"{one['burn_rates']['1h']:.3g}",
        "never" if until is None else format_duration(round(until / 60) * 60) if until else "now",
        one["alert"] or "-",
    )
