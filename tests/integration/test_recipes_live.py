"""The parts that benchmarks are made of: a load that counts rightly, an engine that says what was asked, tables."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.benchmarks.overhead import peers, tables
from tests.benchmarks.overhead.tables import Figure
from tests.benchmarks.recipe import process


class Failing(BaseHTTPRequestHandler):
    """Says 500 to everything, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(500)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.benchmarks.overhead.engine"]
    with process(command, "ready at", tmp_path / "log") as (_, line):
        yield line.split()[-1]


def load(url: str, *words: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.overhead.load",
        url,
        "--warm-up",
        "0.2",
        "--seconds",
        "1",
        *words,
    ]
    done = subprocess.run([*command, "--seconds", "1"], check=True, capture_output=True, text=True)
    first, second, told = done.stdout.splitlines()
    assert (first, second) == ("measuring", "measured")
    return dict(json.loads(told))


def test_the_load_takes_whole_answers(engine: str) -> None:
    told = load(engine, "--connections", "4")
    assert told["answers"] > 0
    assert told["errors"] == told["chunks"] == 0


def test_the_load_counts_chunks_of_streams(engine: str) -> None:
    told = load(engine, "--connections", "2", "--stream", "5")
    assert told["errors"] == 0
    assert abs(told["chunks"] - 5 * told["answers"]) <= 2 * 2 * 5  # those under way at both ends of the window


def test_the_load_sees_errors() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        told = load(f"http://127.0.0.1:{server.server_port}", "--connections", "2")
        server.shutdown()
    assert told["answers"] == 0
    assert told["errors"] > 0


def test_ratios_are_taken_within_a_round() -> None:
    costs = {"nginx": (1.0, 4.0), "x": (10.0, 20.0)}
    rows = [
        Figure("short", number + 1, target, "cpu_ms", cost)
        for target, both in costs.items()
        for number, cost in enumerate(both)
    ]
    column = next(column for column in tables.SUITES["short"].columns if column.how == "times")
    assert tables._cell(column, "x", rows) == "7.5 (5.0 to 10.0)"
    assert tables._cell(column, "absent", rows) == "-"


def test_a_suite_measured_again_replaces_its_rows(tmp_path: Path) -> None:
    about = {
        "at": "2026-01-01", "machine": {"cores": 2, "cpu": "a", "system": "b", "load_average": 0.1}, "git": "c",
        "versions": {"python": "3", "tidegate": "0"}, "peers": {"nginx": "1", "smg": ""}, "left_out": {"smg": "no"},
    }  # fmt: skip
    for suite, value in (("short", 1.0), ("paced", 2.0), ("short", 3.0)):
        tables.merge(tmp_path, [Figure(suite, 1, "nginx", "cpu_ms", value)], [suite], about)
    assert [(row.suite, row.value) for row in tables.read(tmp_path / "figures.csv")] == [("short", 3.0), ("paced", 2.0)]
    text = (tmp_path / "report.md").read_text()
    assert "Not measured: smg (no)." in text
    assert "3.0000" in text


def test_a_peer_that_is_not_there_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_PEERS", str(tmp_path))
    assert peers.version("litellm") == ""
