"""Access logs of proxies that ran on virtual time: what `tidegate serve` would have written of the same requests."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from proxy.model.commands import Dispatch
from proxy.model.outcome import Verdict
from proxy.obs.access_log import timestamp
from proxy.obs.prefix_digests import BORDER_B, KEY_B, PrefixDigests
from proxy.report.run import Result, SimulatedRun
from proxy.sim.world.cluster import build_cluster, hashed_by, read_engines
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival
from proxy.workload.generator import BLOCK_TOKENS, WORKLOADS, generate

START = 1_790_000_000.0
"""Of the wall clock."""


def arrivals_of(rate: float, duration_s: float, seed: int, slo: str = "ttft=2s,tpot=100ms") -> list[Arrival]:
    """The named mixture of chats, agents and bulk."""
    workload = WORKLOADS["mixed"].model_copy(update={"rate": rate, "duration": duration_s})
    return promised(generate(workload, seed, None), parse_slo(slo))


def played(engines: str, arrivals: Sequence[Arrival], seed: int = 1, policy: str = "goodput") -> SimulatedRun:
    """Before these engines, in the words of `--engines`."""
    backends = hashed_by(build_cluster(read_engines(engines), ()), BLOCK_TOKENS)
    return World(backends, build_scheduler(backends, policy, seed), seed=seed).play(arrivals)


def rows_of(run: SimulatedRun, start: float = START, *, prefixes: bool = False) -> list[dict[str, Any]]:
    """One per request, in the order in which they ended. `prefixes`: 8 bytes a token."""
    sent: dict[int, float] = {}
    for at, command in run.log:
        if isinstance(command, Dispatch):
            sent.update((job, at) for job in command.jobs)
    rows = [(result.done_at, _row(result, sent.get(number), start)) for number, result in enumerate(run.results)]
    if prefixes:
        digests = PrefixDigests(b"k" * KEY_B)
        for (_, row), result in zip(rows, run.results, strict=True):
            row |= {"prefix": digests.of([one % (1 << 62) for one in result.arrival.prefix_hashes])}
            row |= {"request_bytes": result.arrival.prompt_tokens * BORDER_B // BLOCK_TOKENS}
    return [row for done, row in sorted(rows, key=lambda pair: pair[0] or 0.0) if done is not None]


def write_log(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """As a file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _row(result: Result, sent: float | None, start: float) -> dict[str, Any]:
    arrival, outcome = result.arrival, result.outcome
    served = outcome is not None and outcome.verdict is Verdict.SERVED
    ms = 1e3
    return {
        "time": timestamp(start + (result.done_at or 0.0)),
        "end": "" if outcome is None else outcome.end_code,
        "status": 200 if served else 503,
        "path": "/v1/chat/completions",
        "outcome": "" if outcome is None else str(outcome.verdict),
        "class": arrival.traffic_class,
        "model_asked": arrival.model,
        "model_served": arrival.model,
        "backend": result.backend if sent is not None else None,
        "attempts": result.attempts,
        "hedge": "won" if result.hedged else None,
        "stream": arrival.stream,
        "queue_ms": None if sent is None else round((sent - arrival.at) * ms, 2),
        "window_ms": None,
        "ttft_ms": None if result.ttft_s is None else round(result.ttft_s * ms, 2),
        "tpot_ms": None if result.tpot_s is None else round(result.tpot_s * ms, 2),
        "e2e_ms": None if result.e2e_s is None else round(result.e2e_s * ms, 2),
        "prompt_tokens": arrival.prompt_tokens if served else None,
        "completion_tokens": arrival.output_tokens if served else None,
        "cached_tokens": result.cached_tokens if served else None,
    }
