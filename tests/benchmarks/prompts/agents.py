"""A coding agent's tool loop whose system prompt changes in its first line, as it comes and stripped:
`python -m tests.benchmarks.prompts.agents`. A real proxy before four simulated engines; half a minute."""

import asyncio
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from proxy.sim.engine.spec import PRESETS
from tests.support.agent_loop import TURNS, Turn, hit, turn_of
from tests.support.live_proxy import SimEngine, running

ENGINES = tuple(SimEngine(name, spec=PRESETS["low_latency"]) for name in "abcd")
SESSIONS = 6
_OPTIONS = {
    "as it comes": "classes: [{name: agents}]\n",
    "stripped": "classes: [{name: agents, prompts: {strip: [billing]}}]\n",
}


async def _session(live: object, session: int) -> list[tuple[Turn, float]]:
    told = []
    for turn in range(TURNS):
        start = perf_counter()
        done = await turn_of(live, session, turn, x_tidegate_class="agents")  # type: ignore[arg-type]
        told.append((done, perf_counter() - start))
    return told


async def _played(options: str) -> None:
    with TemporaryDirectory() as folder:
        async with running(Path(folder), options, ENGINES) as live:
            sessions = await asyncio.gather(*(_session(live, session) for session in range(SESSIONS)))
            later = [turn for session in sessions for turn in session[1:]]
            found, times = hit([turn for turn, _ in later]), sorted(seconds for _, seconds in later)
            places = statistics.mean(len({turn.backend for turn, _ in session}) for session in sessions)
            lint = live.proxy._lint
            print(
                f"found {found:7.2%}   seconds per turn p50 {statistics.median(times):.3f} p95 "
                f"{times[int(0.95 * len(times))]:.3f}   backends per session {places:.1f}"
            )
            for finding in lint.findings() if lint is not None else ():
                print("   " + finding.sentence())


def main() -> None:
    """Prints a line for each."""
    print(f"{SESSIONS} sessions of {TURNS} turns at once; turns 2 to {TURNS}")
    for name, options in _OPTIONS.items():
        print(f"{name:12}", end=" ")
        asyncio.run(_played(options))


if __name__ == "__main__":
    main()
