"""What one decision costs, by the number of backends.

    python -m tests.benchmarks.simulate.decision_cost

A world with made-up traffic runs until every backend is busy and known; every `submit` of the second half is timed by
the processor's clock. Time that other programs take is not in it, what they do to the caches is.
"""

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from proxy.model.commands import Command, Report
from proxy.model.request import Job
from proxy.sim.world.cluster import SimBackend, build_cluster, hashed_by, read_engines
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import SchedulerLike, World, build_scheduler
from proxy.workload.arrival import Arrival
from proxy.workload.generator import BLOCK_TOKENS, WORKLOADS, generate

RESULTS = Path(__file__).parent / "results"
RATE_PER_BACKEND = 1.5
REQUESTS = 3000


class Timed:
    """A scheduler whose `submit` and `observe` are timed."""

    def __init__(self, scheduler: SchedulerLike) -> None:
        self._scheduler = scheduler
        self.submits: list[float] = []
        self.observes: list[float] = []
        self.wakeup_at = scheduler.wakeup_at
        self.tick = scheduler.tick
        self.cancel = scheduler.cancel

    def submit(self, job: Job, now: float) -> list[Command]:
        """Timed."""
        start = time.process_time_ns()
        commands = self._scheduler.submit(job, now)
        self.submits.append((time.process_time_ns() - start) / 1e3)
        return commands

    def observe(self, report: Report, now: float) -> list[Command]:
        """Timed."""
        start = time.process_time_ns()
        commands = self._scheduler.observe(report, now)
        self.observes.append((time.process_time_ns() - start) / 1e3)
        return commands


def measure(policy: str, count: int) -> dict[str, Any]:
    """One size of cluster."""
    backends = hashed_by(build_cluster(read_engines(f"{count}xmooncake16"), ()), BLOCK_TOKENS)
    timed = Timed(build_scheduler(backends, policy, 1))
    World(backends, timed, jobs=SeenByProxy(1, BLOCK_TOKENS)).play(_traffic(backends))
    submits = sorted(timed.submits[len(timed.submits) // 2 :])
    return {
        "policy": policy,
        "backends": count,
        "submit_mean_us": round(fmean(submits), 1),
        "submit_p50_us": round(submits[len(submits) // 2], 1),
        "submit_p99_us": round(submits[int(0.99 * len(submits))], 1),
        "observe_mean_us": round(fmean(timed.observes), 1),
        "n": len(submits),
    }


def _traffic(backends: list[SimBackend]) -> list[Arrival]:
    rate = RATE_PER_BACKEND * len(backends)
    seconds = max(4.0, 1.3 * REQUESTS / rate)
    workload = WORKLOADS["mixed"].model_copy(update={"rate": rate, "duration": seconds})
    return promised(generate(workload, 1, 2 * REQUESTS), parse_slo("mooncake"))


def main() -> int:
    parser = argparse.ArgumentParser(description="What one decision costs, by the number of backends.")
    parser.add_argument("--policies", default="goodput,least_outstanding")
    parser.add_argument("--backends", default="4,16,64,256,1024")
    options = parser.parse_args()
    rows = []
    for policy in options.policies.split(","):
        for count in map(int, options.backends.split(",")):
            rows.append(measure(policy, count))
            print(rows[-1], flush=True)
    setting = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "aim": "at most 150 us at 64 backends, and growth below linear up to 1,024",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "decision_cost.json").write_text(json.dumps({"setting": setting, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
