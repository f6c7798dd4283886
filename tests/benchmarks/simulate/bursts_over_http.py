"""Bulk in bursts beside chats, from cold, through the real proxy over HTTP: the setting of `bulk_bursts`.

    python -m tests.benchmarks.simulate.bursts_over_http --policies all --loads 1,1.5,2 --seeds 1,2,3

Four engines (a process each) with the constants of `bulk_bursts`, a proxy whose class `bulk` has `--deadline`, clients
that tell it what chats are promised and nothing of when bulk is due. Against `greedy_informed` on virtual time, before
the same engines and arrivals, which pays for no network and no processor.

Results are written after every run, beside those of the same deadline that are there already, with the share of
processor time that was left idle: without any, a run means nothing.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Final

import uvloop

from proxy.app.sim import serve
from proxy.report.report import Report, report_of
from proxy.report.run import SimulatedRun
from proxy.sim.http.settings import SimSettings
from proxy.workload.arrival import Arrival
from tests.benchmarks.simulate.bulk_bursts import LOW_LATENCY, WIDE, arrivals_at, cluster, play
from tests.benchmarks.simulate.measured import BASELINES, OURS, REFERENCES
from tests.benchmarks.simulate.over_http import RESULTS, Clients, idle_s, until_ready, url_of
from tests.support.proxy_process import ProxyProcess

SPECS: Final = {"low-latency": LOW_LATENCY, "high-throughput": WIDE}
FILE: Final = RESULTS / "bursts_over_http.json"


@contextmanager
def engines() -> Iterator[list[str]]:
    """Their base URLs, in the order of `cluster`."""
    with ExitStack() as stack:
        urls = []
        for backend in cluster():
            command = [sys.executable, "-m", __spec__.name, "--engine", backend.spec.pool]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.terminate)
            urls.append(url_of(process))
        yield urls


def proxy_config(policy: str, urls: Sequence[str], deadline_s: float | None) -> dict[str, Any]:
    """As an operator would write it."""
    backends = [
        {"url": url, "name": backend.spec.name, "pool": backend.spec.pool}
        for url, backend in zip(urls, cluster(), strict=True)
    ]
    slo = {} if deadline_s is None else {"deadline": f"{deadline_s:g}s"}
    return {
        "backends": backends,
        "classes": [{"name": "bulk", "slo": slo}],
        "routing": {"policy": policy},
        "headers": {"forward": ["x-sim-*"]},
    }


def run_live(policy: str, arrivals: Sequence[Arrival], deadline_s: float | None) -> tuple[SimulatedRun, float]:
    """What the proxy made of it, and the share of all processor time that was idle."""
    with engines() as urls:
        proxy = ProxyProcess(proxy_config(policy, urls, deadline_s)).listening()
        try:
            until_ready(proxy)
            idle = idle_s(), time.monotonic()
            played = asyncio.run(Clients(proxy.url, 1.0, tells_deadline=False).play(arrivals))
            left = (idle_s() - idle[0]) / (time.monotonic() - idle[1]) / (os.cpu_count() or 1)
        finally:
            proxy.stop()
    return played, left


def row_of(policy: str, load: float, seed: int, report: Report, mark: Report, simulated: Report) -> dict[str, Any]:
    """What is kept of one run."""
    chats, bulk = report.by_class["interactive"], report.by_class["bulk"]
    return {
        "policy": policy,
        "load": load,
        "seed": seed,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratio": report.total.good_tokens / max(1, mark.total.good_tokens),
        "simulated_ratio": simulated.total.good_tokens / max(1, mark.total.good_tokens),
        "chats_in_slo": chats.goodput,
        "reference_chats_in_slo": mark.by_class["interactive"].goodput,
        "bulk_in_time": bulk.goodput,
        "reference_bulk_in_time": mark.by_class["bulk"].goodput,
        "refusals": report.refusals,
        "faults": report.faults,
    }


def write(row: dict[str, Any], deadline: str) -> None:
    """One more row of this deadline, and the table made anew."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    found = json.loads(FILE.read_text()) if FILE.exists() else {}
    rows = found["rows"] if found.get("deadline") == deadline else []
    rows = sorted([old for old in rows if _key(old) != _key(row)] + [row], key=_key)
    FILE.write_text(json.dumps({"machine": machine, "deadline": deadline, "rows": rows}, indent=1) + "\n")
    FILE.with_suffix(".md").write_text(table(rows, machine, deadline))


def table(rows: list[dict[str, Any]], machine: str, deadline: str) -> str:
    """A line per policy and load: means, and the range over seeds."""
    lines = [
        "# Bursts of bulk beside chats, over HTTP\n",
        f"{machine}; {rows[0]['at'][:10]}; class deadline {deadline}; 40 s from cold; idle: processor time.\n",
        "| load | policy | tokens in SLO / reference | simulated | chats in SLO % (reference) "
        "| bulk in time % (reference) | seeds | idle |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for load, policy in dict.fromkeys((row["load"], row["policy"]) for row in rows):
        some = [row for row in rows if (row["load"], row["policy"]) == (load, policy)]
        ratios = [row["ratio"] for row in some]
        mean = {key: fmean(row[key] for row in some) for key in some[0] if isinstance(some[0][key], float)}
        lines.append(
            f"| {load:g} | {policy} | {mean['ratio']:.3f} ({min(ratios):.3f}-{max(ratios):.3f}) "
            f"| {mean['simulated_ratio']:.3f} "
            f"| {100 * mean['chats_in_slo']:.1f} ({100 * mean['reference_chats_in_slo']:.1f}) "
            f"| {100 * mean['bulk_in_time']:.1f} ({100 * mean['reference_bulk_in_time']:.1f}) "
            f"| {len(some)} | {mean['idle_share']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """An engine, or all runs."""
    options = _options()
    if options.engine is not None:
        return uvloop.run(serve(SimSettings(models=("sim",), spec=SPECS[options.engine])))
    deadline_s = None if options.deadline == "none" else float(options.deadline.removesuffix("s"))
    for load in options.loads:
        for seed in options.seeds:
            arrivals = arrivals_at(load, seed)
            mark = report_of(play(REFERENCES[0], arrivals, seed, deadline_s))
            for policy in options.policies:
                live, idle = run_live(policy, arrivals, deadline_s)
                simulated = report_of(play(policy, arrivals, seed, deadline_s))
                row = row_of(policy, load, seed, report_of(live), mark, simulated) | {"idle_share": round(idle, 3)}
                print(json.dumps(row), flush=True)
                write(row, options.deadline)
    return 0


def _key(row: dict[str, Any]) -> tuple[float, bool, str, int]:
    return row["load"], row["policy"] != OURS, row["policy"], row["seed"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Bulk in bursts beside chats, through the proxy over HTTP.",
        epilog="A policy at one load on one seed takes about a minute where nothing else runs: by default nine minutes,"
        " of --policies all 81.",
    )
    parser.add_argument("--engine", choices=list(SPECS), help="be one engine, until SIGTERM")
    parser.add_argument(
        "--policies", type=lambda text: (OURS, *BASELINES) if text == "all" else text.split(","), default=[OURS]
    )
    parser.add_argument("--loads", type=lambda text: [float(one) for one in text.split(",")], default=[1, 1.5, 2])
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--deadline", default="15s", help="of the class, or none")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
