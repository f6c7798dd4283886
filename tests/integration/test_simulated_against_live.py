"""The simulator tells what the proxy does: the same arrivals before the same engines, on virtual and on real time."""

import asyncio
from collections.abc import Sequence
from statistics import fmean

from proxy.model.outcome import Verdict
from proxy.sim.arrival import Arrival
from proxy.sim.played import Played
from tests.benchmarks.simulate.over_http import arrivals_at, run_live, run_simulated

RATE, DURATION_S, SPEED = 4.0, 8.0, 0.5
"""Well below what the four engines carry: there the outcome hangs on the engines, not on who came a moment sooner."""
TRIES = 4
"""A machine that is busy with something else is slow now and then; the scheduler is not another one for that."""


def mean_e2e_s(played: Played) -> float:
    """Engine seconds. Nobody is refused at this rate."""
    assert all(r.outcome is not None and r.outcome.verdict is Verdict.SERVED for r in played.results)
    return fmean(r.e2e_s for r in played.results if r.e2e_s is not None)


def gap(arrivals: Sequence[Arrival]) -> float:
    """How far live is from simulated, relative."""
    live, _ = run_live("goodput", arrivals, SPEED)
    return abs(mean_e2e_s(live) / mean_e2e_s(run_simulated("goodput", arrivals, seed=1)) - 1.0)


async def test_a_small_trace_takes_as_long_live_as_simulated() -> None:
    arrivals = arrivals_at(RATE, DURATION_S, seed=1)
    gaps: list[float] = []
    while len(gaps) < TRIES and not any(found <= 0.05 for found in gaps):
        gaps.append(await asyncio.to_thread(gap, arrivals))
    assert min(gaps) <= 0.05, gaps
