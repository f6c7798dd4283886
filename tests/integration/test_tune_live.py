"""`tidegate tune --url` as an operator runs it: what the simulator found best, measured through a live proxy."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from proxy.app.forecast.verify import Live, check, reread, verify
from proxy.bench.progress import Progress
from proxy.bench.reconfigure import BACKUP
from proxy.bench.run_folder import read_run
from proxy.sim.world.slo import parse_slo, promised
from proxy.workload.traces import read_trace
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess, ready, running_proxy
from tests.support.recorded import arrivals_of, played, rows_of, write_log

LONG_S = 300.0
SLO = "interactive:ttft=400ms,tpot=40ms;bulk:e2e=60s"
CONFIG: dict[str, Any] = {
    "classes": [{"name": "interactive", "slo": {"ttft": "400ms", "tpot": "40ms"}}, {"name": "bulk"}],
    "routing": {"admission": {"tpot_margin": 3.0, "mode": "enforce"}},
}
"""With a mistake: the margin refuses what could be served."""


@contextmanager
def simulated(name: str) -> Iterator[str]:
    command = [sys.executable, "-m", "proxy.cli.main", "sim", "--name", name, "--preset", "low_latency"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def proxied(**more: Any) -> Iterator[ProxyProcess]:
    with ExitStack() as stack:
        urls = {name: stack.enter_context(simulated(name)) for name in ("alpha", "beta")}
        backends = [{"url": url, "name": name, "kind": "vllm", "models": ["sim"]} for name, url in urls.items()]
        proxy = stack.enter_context(running_proxy({"backends": backends, **CONFIG, **more}))
        ready(proxy, 1)
        yield proxy


@pytest.fixture(scope="module")
def proxy() -> Iterator[ProxyProcess]:
    with proxied() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = rows_of(played("2xlow_latency", arrivals_of(6, 4, 1, SLO)))
    return write_log(tmp_path_factory.mktemp("log") / "access.log", rows)


def command(file: Path, log: Path, *words: str) -> list[str]:
    asked = ["--slo", SLO, "--trace", str(log), "--engines", "low_latency", "--budget", "10m", *words]
    return [sys.executable, "-m", "proxy.cli.main", "tune", str(file), *asked]


def refused(command: list[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_S, env=env)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert not done.stdout, "it was said before the search"
    return done.stderr


def config_hash(proxy: ProxyProcess) -> str:
    return str(json.loads(proxy.admin("/config").body)["hash"])


def assert_untouched(proxy: ProxyProcess, before: bytes, digest: str) -> None:
    assert proxy.config_path.read_bytes() == before
    assert config_hash(proxy) == digest
    assert not proxy.config_path.with_name(proxy.config_path.name + BACKUP).exists()


def test_the_best_is_measured_and_the_file_is_put_back(proxy: ProxyProcess, log: Path) -> None:
    before, digest = proxy.config_path.read_bytes(), config_hash(proxy)
    sent = len(proxy.log)
    asked = command(proxy.config_path, log, "--url", proxy.url, "--admin", proxy.admin_url, "--verify", "1")
    done = subprocess.run(asked, capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 0, done.stderr
    assert_untouched(proxy, before, digest)
    expected, _, measured = done.stdout.partition(f"measured through {proxy.url}")
    rows = [line for line in measured.splitlines() if line.startswith("routing.")]
    assert len(rows) == 1
    n = len(read_trace(log).arrivals)
    assert rows[0].split(f"  {n}  ")[-1].strip() in ("noise", "more than noise", "worse"), "as many as the log has"
    assert f"{n} requests" in expected
    assert "error: not known" in measured
    assert "-    tpot_margin: 3.0" in measured
    assert "2 runs of about" in done.stderr
    eventually(lambda: len(proxy.log) - sent >= 2 * n, "both runs in the proxy's log", LONG_S)


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_puts_the_file_back(proxy: ProxyProcess, log: Path, ended_by: int) -> None:
    before, digest = proxy.config_path.read_bytes(), config_hash(proxy)
    asked = command(proxy.config_path, log, "--url", proxy.url, "--admin", proxy.admin_url)
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: config_hash(proxy) != digest, "a way in place", LONG_S)
        process.send_signal(ended_by)
        _, said = process.communicate(timeout=LONG_S)
    assert process.returncode == 1
    assert "interrupted; the file is as it was" in said
    assert "Traceback" not in said
    assert_untouched(proxy, before, digest)


def test_windows_are_measured_and_what_there_is_no_time_for_is_not(proxy: ProxyProcess, tmp_path: Path) -> None:
    """Texts that were embedded, through a proxy with and without a window; every request stays in its folder."""
    row = {"outcome": "served", "path": "/v1/embeddings", "model_asked": "sim", "e2e_ms": 20.0, "prompt_tokens": 40}
    rows = [row | {"time": f"2026-01-01T00:00:01.{at:02}0Z", "request_bytes": 200} for at in range(60)]
    log = write_log(tmp_path / "access.log", rows)
    arrivals = promised(read_trace(log).arrivals, parse_slo("e2e=10s"))
    before, digest = proxy.config_path.read_bytes(), config_hash(proxy)
    windowed = before.decode().replace("- name: bulk\n", "- name: bulk\n  window: {mode: fixed, max_wait: 20ms}\n")
    assert windowed != before.decode()
    live = Live(proxy.url, proxy.config_path, log, arrivals, admin=proxy.admin_url)
    check(live)
    with Progress(StringIO(), 3) as progress:
        [measured] = verify(live, [windowed], tmp_path / "runs", progress)
        assert measured.goodput is not None
        assert measured.goodput.n == (60, 60)
        [late] = verify(replace(live, longest_s=0.001), [windowed], tmp_path / "short", progress)
    assert "1ms for measuring" in late.why_not
    assert_untouched(proxy, before, digest)
    runs = {name: read_run(tmp_path / "runs" / name) for name in ("as-it-is", "way-1")}
    assert [len(run.requests) for run in runs.values()] == [60, 60]
    assert [path.name for path in (tmp_path / "short").iterdir()] == ["as-it-is"]


def test_what_is_written_is_read_anew(proxy: ProxyProcess, log: Path) -> None:
    before, digest = proxy.config_path.read_bytes(), config_hash(proxy)
    live = Live(proxy.url, proxy.config_path, log, (), admin=proxy.admin_url)
    try:
        proxy.config_path.write_bytes(before.replace(b"tpot_margin: 3.0", b"tpot_margin: 1.1"))
        asyncio.run(reread(live))
        assert config_hash(proxy) != digest
    finally:
        proxy.config_path.write_bytes(before)
        asyncio.run(reread(live))
    assert config_hash(proxy) == digest


def test_no_proxy_there(tmp_path: Path, log: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text("version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\n")
    assert "nothing can be measured at http://127.0.0.1:1" in refused(command(file, log, "--url", "http://127.0.0.1:1"))
    assert "--url names" in refused(command(file, log, "--admin", "http://127.0.0.1:1"))
    with simulated("alone") as url:
        assert f"{url} is no tidegate" in refused(command(file, log, "--url", url))


def test_another_file_and_one_that_was_changed_since(proxy: ProxyProcess, tmp_path: Path, log: Path) -> None:
    other = tmp_path / "routing.yaml"
    before = proxy.config_path.read_bytes()
    other.write_bytes(before)
    where = ["--url", proxy.url, "--admin", proxy.admin_url]
    assert f"runs {proxy.config_path}, not {other}" in refused(command(other, log, *where))
    backup = other.with_name(other.name + BACKUP)
    backup.write_bytes(before)
    assert f"left {backup}" in refused(command(other, log, *where))


def test_the_admin_port_and_its_key(log: Path) -> None:
    with proxied(admin_key="sesame") as proxy:
        nowhere = refused(command(proxy.config_path, log, "--url", proxy.url, "--admin", "http://127.0.0.1:1"))
        assert "no admin port answers at http://127.0.0.1:1" in nowhere
        other = proxy.config_path.with_name("other.yaml")
        other.write_text("version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\n")
        where = ["--url", proxy.url, "--admin", proxy.admin_url]
        said = refused(command(other, log, *where))
        assert "asks for its admin_key" in said
        assert "TIDEGATE_ADMIN_KEY" in said
        keyed = {**os.environ, "TIDEGATE_ADMIN_KEY": "sesame"}
        assert f"not {other}" in refused(command(other, log, *where), env=keyed)
