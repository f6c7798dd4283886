"""The wall clock jumps by days, to and fro: only the time stamps of log lines and of the model list show it."""

import ast
import csv
import json
from datetime import datetime
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest

import proxy as product
from proxy.app.slo_file import exchange
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.book import key_of
from tests.faults.asking import PATH, chat, script
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually

JUMPING = """
import itertools, time
real, jumps = time.time, itertools.cycle([0.0, 86400.0, -86400.0])
time.time = lambda: real() + next(jumps)
"""
KEYS = [key_of(ServiceLevelObjective(name="chat", class_="interactive", objective=0.9))]
READERS = {
    "app/batches.py",
    "cli/batch.py",
    "app/console.py",
    "bench/beginning.py",
    "bench/player.py",
    "bench/run.py",
    "app/doctor/ask.py",
    "app/doctor/machine.py",
    "app/lasting.py",
    "app/parts.py",
    "app/proxy.py",
    "app/reloader.py",
    "app/serve.py",
    "app/servings.py",
    "app/trial.py",
    "app/workers/child.py",
    "cli/bench_options.py",
    "cli/reload.py",
    "config/files.py",
    "config/server_tls.py",
    "config/surroundings.py",
    "obs/access_log.py",
    "report/screen/words.py",
    "sim/http/responses.py",
    "sim/http/pooling.py",
    "sim/http/shapes.py",
}
"""Who reads the wall clock: the creation time in lists, ends of certificates and keys, days of budgets, when something
was loaded, how far clocks are apart, and time stamps of log lines, of the page and of what a benchmark measured;
`logging` itself does too. Nobody waits by it."""
WALL = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime"}


@pytest.fixture
def jumping(tmp_path):
    """The environment of a process whose clock jumps at every look."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    return {"PYTHONPATH": str(tmp_path)}


def test_requests_streams_holding_and_the_drain_go_on(start_backend, jumping, tmp_path):
    engine, table = start_backend(), tmp_path / "rows.csv"
    config = {
        "backends": [backend_entry(engine, "alpha", max_concurrency=1)],
        "health": {"probe_interval": "300ms"},
        "log": {"csv": str(table)},
    }
    with odd_host(config, "", "", "--log-format", "json", env=jumping) as proxy:
        proxy.ready()
        for number in range(6):
            answer = proxy.ask(
                "POST", PATH, chat(number % 2 == 0), script("stream 5 0.02") if number % 2 == 0 else None
            )
            assert answer.status == 200
        engine.forget()
        eventually(lambda: any(request.is_probe for request in engine.received), "a probe")
        metrics = proxy.metrics()
        assert metrics.total("tidegate_e2e_seconds_sum") < 30
        assert metrics.total("tidegate_backend_healthy") == 1
        assert proxy.stop() == 0
        lines = [json.loads(line) for line in proxy.stdout.splitlines()]
        chats = [line for line in lines if line["path"] == PATH]
        assert len(chats) == 6
        assert all(0 <= line["e2e_ms"] < 10_000 for line in chats)
        stamps = [datetime.fromisoformat(line["time"]) for line in lines]
        assert any(later < earlier for earlier, later in pairwise(stamps)), "the clock did jump"
        rows = [row for row in csv.DictReader(table.read_text().splitlines()) if row["concurrency"]]
        assert len(rows) == 6
        assert all(0 <= float(row["e2e_ms"]) < 10_000 for row in rows)
        assert all(datetime.fromisoformat(row["timestamp"]) for row in rows)
        assert "Traceback" not in proxy.stderr


def test_objectives_over_minutes_and_months_count_every_request(start_backend, jumping, tmp_path):
    """At each look it is another day: no event is out of its window, in memory and in the file."""
    engine = start_backend()
    config = {
        "backends": [backend_entry(engine, "alpha")],
        "slos": [{"name": "chat", "class": "interactive", "objective": "90%"}],
        "slo_state": str(tmp_path / "x.sqlite"),
    }
    with odd_host(config, "", "", "--log-format", "json", env=jumping) as proxy:
        proxy.ready()
        for _ in range(10):
            assert proxy.ask("POST", PATH, chat(False), None).status == 200
        metrics = proxy.metrics()
        assert metrics.total("tidegate_slo_good_events_total") == 10
        assert metrics.total("tidegate_slo_attainment_ratio") == 1
        assert metrics.total("tidegate_slo_error_budget_left_ratio") == 1
        assert proxy.stop() == 0
    assert sum(row[3] for row in exchange(tmp_path / "x.sqlite", KEYS, [], -inf, 0.0) if row[1] == 3600) == 10


def reads_the_wall_clock(file: Path) -> bool:
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom | ast.Attribute)]
    return any(map(is_reading, nodes))


def is_reading(node: ast.ImportFrom | ast.Attribute) -> bool:
    """`time.time` and its like, by whatever way."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "time" and not WALL.isdisjoint(name.name for name in node.names)
    return isinstance(node.value, ast.Name) and node.value.id in ("time", "datetime", "date") and node.attr in WALL


def test_nobody_else_reads_it():
    top = Path(product.__file__).parent
    files = {str(file.relative_to(top)) for file in top.rglob("*.py") if reads_the_wall_clock(file)}
    assert files == READERS
