"""Writes Grafana's dashboards and Prometheus' alerts into `deploy/`: `python -m proxy.obs.dashboards [--check]`."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy.obs.monitoring.alerts import rules
from proxy.obs.monitoring.backends import backends
from proxy.obs.monitoring.overview import overview
from proxy.obs.monitoring.panels import Dashboard, document
from proxy.obs.monitoring.process import process
from proxy.obs.monitoring.scheduling import scheduling
from proxy.obs.monitoring.usage import usage

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy"


def dashboards() -> tuple[Dashboard, ...]:
    """All of them, the one to begin with first."""
    return overview(), scheduling(), backends(), usage(), process()


def files() -> Iterator[tuple[str, str]]:
    """Names below `deploy/`, and texts."""
    for dashboard in dashboards():
        text = json.dumps(document(dashboard), indent=1, ensure_ascii=False)
        yield f"grafana/dashboards/{dashboard.uid}.json", f"{text}\n"
    yield "alerts.yml", rules()


def main(argv: list[str] | None = None) -> int:
    """Write the files, or with --check say which are out of date."""
    parser = argparse.ArgumentParser(prog="python -m proxy.obs.dashboards", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    only_look = parser.parse_args(argv).check
    stale = [(name, text) for name, text in files() if _text(FOLDER / name) != text]
    for name, text in stale:
        if only_look:
            print(f"deploy/{name} is out of date: run python -m proxy.obs.dashboards")
        else:
            (FOLDER / name).write_text(text, encoding="utf-8")
            print(f"deploy/{name} written")
    return int(only_look and bool(stale))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
