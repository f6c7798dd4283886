"""Debian's Prometheus: promtool on rules, a server that scrapes what runs here. Without it tests skip loudly."""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.patience import eventually

PROMTOOL = shutil.which("promtool")
PROMETHEUS = shutil.which("prometheus")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="NO promtool HERE: apt-get install prometheus")
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="NO prometheus HERE: apt-get install prometheus")


def promtool(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """What it says; the caller looks at the exit status."""
    assert PROMTOOL is not None
    command = [PROMTOOL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, input=stdin)


class PrometheusServer:
    """A running one, asked by its API."""

    def __init__(self, port: int) -> None:
        self._api = f"http://127.0.0.1:{port}/api/v1"

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series now."""
        told = self._get("query", query=expression)
        return [(one["metric"], float(one["value"][1])) for one in told["result"]]

    def lately(self, expression: str) -> list[float]:
        """All values of all series within the last two minutes, a second apart."""
        now = time.time()
        told = self._get("query_range", query=expression, start=str(now - 120), end=str(now), step="1")
        return [float(value) for one in told["result"] for _, value in one["values"]]

    def value(self, expression: str) -> float | None:
        """Of the only series, None: there is none."""
        found = self.query(expression)
        return found[0][1] if len(found) == 1 else None

    def label_values(self, label: str, selector: str) -> list[str]:
        """Of the series that it selects."""
        found: list[str] = self._get(f"label/{label}/values", **{"match[]": selector})
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Pending and firing ones."""
        found: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return found

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self._api}/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            return json.load(answer)["data"]


@contextmanager
def prometheus_server(folder: Path, target_port: int, rules: str) -> Iterator[PrometheusServer]:
    """One that scrapes the port each second and evaluates `rules` as often."""
    assert PROMETHEUS is not None
    (folder / "rules.yml").write_text(rules)
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "tidegate", "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    options += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([PROMETHEUS, *options], stdout=log, stderr=log)
        try:
            server = PrometheusServer(port)
            eventually(lambda: _is_up(server), "a Prometheus that has scraped the proxy", 30.0)
            yield server
        finally:
            process.terminate()
            process.wait(20.0)


def _is_up(server: PrometheusServer) -> bool:
    try:
        return server.value('up{job="tidegate"}') == 1
    except OSError:
        return False
