"""Six seeded traces that lead through everything the scheduler can say, and what it said, as digests.

    python -m tests.sim.command_logs > tests/sim/golden/command_logs.txt

A change that means to decide otherwise writes that file anew and says why; one that does not leaves it as it is. Ids of
attempts are no part of it. Integer arithmetic only, so that the traces do not hang on a machine's logarithm.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from proxy.config.plain import read
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch, Refuse
from proxy.model.fallback import FallbackStep
from proxy.model.hedge import Hedge
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from proxy.report.run import SimulatedRun
from proxy.sim.engine.spec import HIGH_THROUGHPUT, LOW_LATENCY, MOONCAKE16
from proxy.sim.world.cluster import MetricsSource, SimBackend
from proxy.sim.world.world import Outage, World, build_scheduler
from proxy.workload.arrival import Arrival

MakeJob = Callable[[Job, int], Job]


class Seen:
    """What the proxy sees: `change` gives the n-th job its class."""

    def __init__(self, change: MakeJob) -> None:
        self._change = change

    def job(self, job_id: int, arrival: Arrival, now: float) -> Job:
        size = arrival.prompt_tokens * 4
        prefix, stream, prompt = arrival.prefix_hashes, arrival.stream, arrival.prompt_tokens
        job = Job(job_id, arrival.model, stream=stream, body_bytes=size, prompt_tokens=prompt, prefix=prefix)
        return self._change(replace(job, arrived=now, prefix_block_tokens=512), job_id)

    def finished(self, arrival: Arrival) -> None:
        """Nothing is learned of classes."""


def trace(count: int, seed: int, most_gap_ms: int, leaves_s: float | None = None) -> list[Arrival]:
    rng, at, out = Random(seed), 0, []
    for _ in range(count):
        at += rng.randrange(most_gap_ms)
        family, prompt = rng.randrange(8), rng.randrange(100, 6000)
        hashes = tuple(family * 1000 + i for i in range(prompt // 512))
        leaves = leaves_s if rng.randrange(8) == 0 else None
        stream = rng.randrange(6) > 0
        out.append(Arrival(at / 1000, prompt, rng.randrange(1, 300), hashes, patience_s=leaves, stream=stream))
    return out


def cluster(count: int, limit: int | None = None, **more: object) -> list[SimBackend]:
    engines = (MOONCAKE16, HIGH_THROUGHPUT, LOW_LATENCY)
    spec = BackendSpec("", models=frozenset({"sim"}), max_concurrency=limit)
    return [SimBackend(replace(spec, name=f"b{n}", **more), engines[n % 3]) for n in range(count)]  # type: ignore[arg-type]


def play(
    arrivals: list[Arrival],
    backends: list[SimBackend],
    change: MakeJob,
    outages: tuple[Outage, ...] = (),
    hold: HoldSettings | None = None,
    health: HealthSettings | None = None,
    **scheduling: Any,
) -> SimulatedRun:
    admission = {"early_error": 0, **scheduling.pop("admission", {})}  # they pin commands, not when the gate opens
    settings = read(SchedulingSettings, {**scheduling, "admission": admission})
    retries = RetrySettings()
    scheduler = build_scheduler(backends, None, 3, retries, hold, health, settings)
    return World(backends, scheduler, outages, jobs=Seen(change)).play(arrivals)


def hedged() -> SimulatedRun:
    """A gray backend and a dead one; every class may be hedged, by a fixed delay or a learned one."""
    rules = (Hedge(0.0, 0.3, 0.2), Hedge(0.9, 0.0, 0.2), None)
    backends = cluster(6)
    backends[-1] = replace(backends[-1], slower=8.0, slower_from_s=10.0)
    outages = (Outage("b1", 20.0, 24.0),)
    return play(trace(700, 11, 120, 1.5), backends, lambda job, n: replace(job, hedge=rules[n % 3]), outages)


def bulk() -> SimulatedRun:
    """Bulk fills what interactive jobs leave, and is sent back for them."""

    def change(job: Job, n: int) -> Job:
        if n % 3:
            return replace(job, bulk=True, traffic_class="bulk", tenant=f"t{n % 2}")
        return replace(job, slo_ttft_s=0.4, slo_tpot_s=0.05, priority=n % 2)

    return play(trace(700, 12, 60), cluster(3), change, admission={"mode": "enforce"}, backfill={"max_wait": "40s"})


def failing() -> SimulatedRun:
    """Backends die and come back, clients leave, holds are short."""
    outages = (Outage("b0", 5.0, 9.0), Outage("b1", 8.0, 12.0), Outage("b2", 30.0, 31.0), Outage("b0", 31.0, 45.0))
    hold, health = HoldSettings(min_jobs=16, max_wait=2.0), HealthSettings(consecutive_failures=2)  # type: ignore[arg-type]
    arrivals = trace(700, 13, 260, 0.6)
    return play(arrivals, cluster(3, 5), lambda job, _: job, outages, hold, health, policy="power_of_two")


def quotas() -> SimulatedRun:
    """Tenants with limits and shares, and metrics that lie."""
    backends = [replace(one, metrics=list(MetricsSource)[n % 4]) for n, one in enumerate(cluster(4, 8))]
    limits = ({"tenant": "0000000a", "requests_per_minute": 90}, {"tenant": "0000000b", "max_concurrent": 4})
    return play(
        trace(700, 14, 80),
        backends,
        lambda job, n: replace(job, tenant=f"0000000{'abcd'[n % 4]}", slo_ttft_s=2.0),
        tenants=limits,
    )


def overloaded() -> SimulatedRun:
    """More than the engines hold: refusals, late rather than never, probes, deadlines."""

    def change(job: Job, n: int) -> Job:
        lasts = None if job.arrived is None or n % 3 else job.arrived + 4.0
        job = replace(job, slo_ttft_s=0.25 * (1 + n % 3), slo_tpot_s=0.04, demotable=n % 5 == 0)
        job = replace(job, deadline=lasts, done_by=lasts)
        return replace(job, hedge=Hedge(0.0, 0.2, 0.1) if n % 4 == 0 else None)

    admission = {"mode": "enforce", "probes": 0.1, "min_samples": 3, "max_hold": "1s"}
    return play(trace(900, 15, 40), cluster(3), change, admission=admission, policy="goodput")


def elsewhere() -> SimulatedRun:
    """Another pool and another model instead of a refusal or a failure."""
    labelled = [replace(one, spec=replace(one.spec, labels=frozenset({"own"}))) for one in cluster(2, 4)]
    other = BackendSpec("other", models=frozenset({"sim", "small"}), max_concurrency=12)
    ways = (FallbackStep("sim", frozenset(), "pool:other"), FallbackStep("small", frozenset(), "model:small"))
    outages = (Outage("b0", 6.0, 20.0), Outage("b1", 10.0, 22.0), Outage("other", 26.0, 30.0))

    def change(job: Job, n: int) -> Job:
        return replace(job, require=frozenset({"own"}), fallbacks=ways if n % 4 else (), slo_ttft_s=1.5)

    return play(trace(700, 16, 90), [*labelled, SimBackend(other, MOONCAKE16)], change, outages)


TRACES = (hedged, bulk, failing, quotas, overloaded, elsewhere)


def line(made: Callable[[], SimulatedRun]) -> str:
    """A trace, how often each thing was said, and the digest of all of it, times to the microsecond."""
    played = made()
    said = Counter(_name(command) for _, command in played.log)
    text = played.log_bytes().decode().splitlines()
    rounded = "\n".join(f"{float(at):.6f} {rest}" for at, rest in (line.split(" ", 1) for line in text))
    counts = " ".join(f"{name}={said[name]}" for name in ("dispatch", "again", "hedge", "abort", "refuse"))
    return f"{made.__name__:10} {counts} {hashlib.sha256(rounded.encode()).hexdigest()[:32]}"


def _name(command: object) -> str:
    if isinstance(command, Refuse):
        return "refuse"
    if not isinstance(command, Dispatch):
        return "abort"
    return "hedge" if command.hedge else "again" if command.number > 1 else "dispatch"


if __name__ == "__main__":
    for made in TRACES:
        print(line(made))
