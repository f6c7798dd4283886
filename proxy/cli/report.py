"""`tidegate report`: what runs of a benchmark say, as a page, tables and charts."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path


def run(arguments: argparse.Namespace) -> int:
    """Read, draw, write; say where it lies."""
    missing = [name for name in ("matplotlib", "scipy") if find_spec(name) is None]
    if missing:
        print(f"report: {' and '.join(missing)} not installed; fix: pip install 'tidegate[bench]'", file=sys.stderr)
        return 1
    from proxy.bench.report.document import document
    from proxy.bench.report.inputs import BadInputError, read_inputs
    from proxy.bench.report.written import write

    paths: list[Path] = arguments.runs
    folder: Path = arguments.out or (paths[0].parent if paths[0].is_file() else paths[0]) / "report"
    try:
        inputs = read_inputs(paths, mixed=arguments.mixed)
        found = document(inputs, arguments.slo, arguments.title)
        files = write(found, folder)
    except (BadInputError, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    for warning in found.warnings:
        print(f"report: warning: {warning}", file=sys.stderr)
    missing = [item.name for item in found.checklist if not item.is_there]
    if missing:
        print(f"report: the page says what is missing: {', '.join(missing)}", file=sys.stderr)
    print(files[0])
    return 0
