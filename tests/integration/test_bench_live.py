"""`tidegate bench` as an operator runs it: in front of a proxy and its engines, interrupted, killed, on a full disk."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.bench.reconfigure import BACKUP
from proxy.bench.run_folder import read_run
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess, ready, running_proxy

LONG_S = 120.0


@contextmanager
def simulated(*options: str) -> Iterator[str]:
    """An engine in a process of its own."""
    command = [sys.executable, "-m", "proxy.cli.main", "sim", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def proxied(**more: Any) -> Iterator[tuple[ProxyProcess, str]]:
    """A proxy before two engines, and the URL of the first."""
    with simulated("--name", "a", "--preset", "fast") as one, simulated("--name", "b", "--preset", "fast") as other:
        backends = [
            {"url": url, "name": name, "kind": "vllm", "models": ["sim"], "hardware": f"card of {name}"}
            for name, url in (("alpha", one), ("beta", other))
        ]
        with running_proxy({"backends": backends, **more}) as proxy:
            ready(proxy, 1)
            yield proxy, one


def command(out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "proxy.cli.main", "bench", "--out", str(out), *words]


def benched(out: Path, *words: str, code: int = 0, **more: Any) -> str:
    """What it said."""
    done = subprocess.run(command(out, *words), capture_output=True, text=True, timeout=LONG_S, **more)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_proxy_and_its_engine_in_pairs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with proxied() as (proxy, direct):
        words = ["--url", proxy.url, "--direct", direct, "--admin", proxy.admin_url, "--aa", "20"]
        said = benched(out, *words, "--concurrency", "2", "--requests", "30", "--seed", "5")
        config_hash = json.loads(proxy.admin("/config").body)["hash"]
    run = read_run(out)
    assert run.file.targets["url"].is_tidegate
    assert set(run.file.targets["url"].engines) == {"alpha", "beta"}
    assert run.file.config_hash == config_hash == run.file.cells[0].config_hash
    ours = run.of_cell("concurrency=2", "url")
    assert {one.row.server for one in ours} == {"tidegate"}
    assert {one.row.hardware for one in ours} <= {"card of alpha", "card of beta"}
    assert all({"queue", "prefill", "decode"} <= set(one.detail.stages_ms) for one in ours)
    assert len(run.of_cell("concurrency=2", "direct")) == 30
    assert run.file.aa
    assert "tidegate less vllm, concurrency=2, mean: TTFT" in said
    assert "A/A: tidegate less itself" in said


@pytest.fixture(scope="module")
def paced() -> Iterator[tuple[ProxyProcess, str]]:
    """One whose answers take their time, so that a millisecond is little."""
    with simulated("--preset", "low_latency", "--speed", "0.5") as url:
        backends = [{"url": url, "name": "alpha", "kind": "vllm", "models": ["sim"]}]
        with running_proxy({"backends": backends}) as proxy:
            ready(proxy, 1)
            yield proxy, url


def test_its_times_are_those_of_the_proxy(paced: tuple[ProxyProcess, str], tmp_path: Path) -> None:
    """What the proxy measured lies within what the client measured: it begins later and ends sooner. How little lies
    between is measured, not tested: tests/benchmarks."""
    proxy, _ = paced
    benched(tmp_path / "out", "--url", proxy.url, "--concurrency", "2", "--requests", "10", "--warmup", "0")
    for one in read_run(tmp_path / "out").requests:
        line = proxy.log_line(one.detail.request_id)
        assert one.row.ttft_ms is not None
        assert one.row.e2e_ms is not None
        assert line["ttft_ms"] <= one.row.ttft_ms + 1
        assert line["e2e_ms"] <= one.row.e2e_ms + 1
        assert one.row.output_tokens == line["completion_tokens"]


def test_a_sweep_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    classes = [{"name": "interactive"}, {"name": "bulk"}]
    with proxied(classes=classes) as (proxy, _):
        before = proxy.config_path.read_bytes()
        words = ["--url", proxy.url, "--admin", proxy.admin_url, "--workload", "embeddings", "--rate", "100"]
        sweep = ["--sweep", "window.max_wait=0,5", "--sweep", "backend=alpha,beta"]
        benched(out, *words, "--requests", "10", *sweep, "--cache", "cold")
        assert proxy.config_path.read_bytes() == before
        assert not proxy.config_path.with_name(proxy.config_path.name + BACKUP).exists()
        now = json.loads(proxy.admin("/config").body)["hash"]
    run = read_run(out)
    assert run.file.config_hash == now
    assert len({cell.config_hash for cell in run.file.cells} | {now}) == 5
    for cell in run.file.cells:
        requests = run.of_cell(cell.id)
        assert {one.row.batch_window_ms for one in requests} == {float(cell.settings["window.max_wait"])}
        assert {one.detail.backend for one in requests} == {cell.settings["backend"]}
        assert cell.batching.configured["window of interactive"].startswith(("off", "adaptive"))


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_keeps_what_there_is_and_puts_all_back(tmp_path: Path, ended_by: int) -> None:
    out = tmp_path / "out"
    with proxied() as (proxy, _):
        before = proxy.config_path.read_bytes()
        words = ["--url", proxy.url, "--admin", proxy.admin_url, "--concurrency", "1", "--requests", "100000"]
        words += ["--sweep", "routing.policy=random,round_robin"]
        with subprocess.Popen(command(out, *words), stderr=subprocess.PIPE, text=True) as process:
            eventually(lambda: (out / "requests.csv").exists() and len(rows(out)) > 5, "some rows", LONG_S)
            assert yaml.safe_load(proxy.config_path.read_text())["routing"]["policy"] == "random"
            process.send_signal(ended_by)
            _, said = process.communicate(timeout=LONG_S)
        assert process.returncode == 1
        assert "interrupted; what there is is in" in said
        assert "Traceback" not in said
        assert proxy.config_path.read_bytes() == before
    run = read_run(out)
    assert len(run.requests) >= 5
    assert not run.file.complete


def test_a_killed_run_is_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with simulated("--preset", "fast") as url:
        words = ["--url", url, "--concurrency", "1", "--requests", "150", "--seed", "4"]
        process = subprocess.Popen(command(out, *words), stderr=subprocess.DEVNULL)
        eventually(lambda: (out / "requests.csv").exists() and len(rows(out)) > 5, "some rows", LONG_S)
        process.kill()
        process.wait()
        kept = len(read_run(out).requests)
        benched(out, *words, "--resume")
    run = read_run(out)
    assert kept > 4
    assert sorted(one.detail.index for one in run.requests) == list(range(150))
    assert len({one.detail.digest for one in run.requests}) == 150
    assert run.file.complete


def rows(out: Path) -> list[str]:
    return (out / "requests.csv").read_text().splitlines()


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """A limit on the size of files stands in for it: writing beyond it fails in the same way."""
    script = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000));"
    script += "from proxy.cli.main import main; sys.exit(main(sys.argv[1:]))"
    out = tmp_path / "out"
    with simulated("--preset", "fast") as url:
        words = ["--url", url, "--concurrency", "2", "--requests", "500"]
        done = subprocess.run(
            [sys.executable, "-c", script, *command(out, *words)[3:]], capture_output=True, text=True, timeout=LONG_S
        )
    assert done.returncode == 1, done.stderr
    assert "File too large; what was written before stays" in done.stderr
    assert "Traceback" not in done.stderr
    assert 3 < len(read_run(out).requests) < 500


def test_a_target_that_goes_away_meanwhile(tmp_path: Path) -> None:
    out = tmp_path / "out"
    engine = [sys.executable, "-m", "proxy.cli.main", "sim", "--preset", "fast"]
    with subprocess.Popen(engine, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]

        def killed() -> None:
            eventually(lambda: (out / "requests.csv").exists() and len(rows(out)) > 3, "some rows", LONG_S)
            process.kill()

        killer = threading.Thread(target=killed)
        killer.start()
        said = benched(out, "--url", url, "--concurrency", "4", "--requests", "400")
        killer.join()
    run = read_run(out)
    assert len(run.requests) == 400
    outcomes = run.file.cells[0].outcomes
    assert outcomes["served"] > 2
    assert outcomes["failed"] > 2
    assert {one.row.e2e_ms is not None for one in run.requests} == {True}
    assert "not served" in said


def test_cancellations_free_what_they_held(tmp_path: Path) -> None:
    with proxied() as (proxy, _):
        benched(tmp_path / "out", "--url", proxy.url, "--concurrency", "8", "--requests", "60", "--cancel", "40%")
        eventually(lambda: proxy.metrics().total("tidegate_in_flight") == 0, "nothing in flight", 10.0)
    outcomes = read_run(tmp_path / "out").file.cells[0].outcomes
    assert outcomes["cancelled"] > 5
    assert set(outcomes) == {"cancelled", "served"}


def test_a_users_own_stages(tmp_path: Path) -> None:
    (tmp_path / "stages.py").write_text(
        "def build(question, stage):\n"
        "    with stage('lookup'):\n"
        "        return [{'role': 'user', 'content': question}]\n"
    )
    with proxied() as (proxy, _):
        words = ["--url", proxy.url, "--workload", "rag", "stages:build", "--concurrency", "2", "--requests", "6"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        benched(tmp_path / "out", *words, cwd=tmp_path, env=environment)
    for one in read_run(tmp_path / "out").requests:
        assert {"lookup", "queue", "prefill"} <= set(one.detail.stages_ms)
        assert one.row.success
