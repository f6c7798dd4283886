"""Chats alone, beside plain bulk and beside a batch, on virtual time: `python -m tests.benchmarks.batches.virtual`.

Two engines with the published constants. Chats (600 tokens, answers of 200, promised a first token within 1 s and 50 ms
a token) come at half the rate at which these engines keep 95 % of them in time alone; bulk (800 tokens, answers of 150)
is there from the start and never ends within the 240 s that are measured, after 60 s. *plain*: all of it waits in the
proxy, without a deadline, as clients send it. *batch*: as `live/lines/feeder` feeds it: 64 lines wait, all due in one
day.
"""

import argparse
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Abort, Command, Dispatch, Report
from proxy.model.outcome import SERVED
from proxy.model.request import Job
from proxy.model.scheduling import BackfillSettings, SchedulingSettings
from proxy.model.store import StoreSettings
from proxy.sim.engine.spec import EngineSpec
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival, Slo
from tests.benchmarks.batches.results import note

WARM_S, MEASURED_S = 60.0, 240.0
END_S: Final = WARM_S + MEASURED_S
CAPACITY: Final = 10.0
"""Chats a second: see `--capacity`."""
BULK_JOBS: Final = 3500
CHAT: Final = Slo(ttft_s=1.0, tpot_s=0.05)
DAY_S: Final = 86_400.0


class Fed:
    """The scheduler behind a feeder: few lines wait in it, the others here."""

    def __init__(self, scheduler: Scheduler, ahead: int) -> None:
        self._scheduler = scheduler
        self._ahead = ahead
        self._later: deque[Job] = deque()
        self._waits: set[int] = set()
        self._lines: set[int] = set()

    def submit(self, job: Job, now: float) -> list[Command]:
        """A line waits here, where enough wait there."""
        if not job.bulk:
            return self._seen(self._scheduler.submit(job, now), now)
        self._later.append(job)
        return self._seen([], now)

    def cancel(self, job_id: int, now: float) -> list[Command]:
        return self._seen(self._scheduler.cancel(job_id, now), now)

    def observe(self, report: Report, now: float) -> list[Command]:
        return self._seen(self._scheduler.observe(report, now), now)

    def tick(self, now: float) -> list[Command]:
        return self._seen(self._scheduler.tick(now), now)

    def wakeup_at(self) -> float | None:
        return self._scheduler.wakeup_at()

    def _seen(self, commands: list[Command], now: float) -> list[Command]:
        """Whoever was sent makes room for the next."""
        found = list(commands)
        while True:
            for command in commands:
                if isinstance(command, Dispatch):
                    self._waits.difference_update(command.jobs)
                elif isinstance(command, Abort):
                    self._waits.update(self._lines.intersection(command.jobs))
            if not self._later or len(self._waits) >= self._ahead:
                return found
            job = self._later.popleft()
            self._lines.add(job.id)
            self._waits.add(job.id)
            commands = self._scheduler.submit(replace(job, deadline=DAY_S, done_by=DAY_S), now)
            found += commands


def chats(rate: float, seed: int) -> list[Arrival]:
    """Until the end, as they come."""
    rng, at = Random(seed), 0.0
    found: list[Arrival] = []
    while (at := at + rng.expovariate(rate)) < END_S:
        prompt, answer = _around(600, rng), _around(200, rng)
        found.append(Arrival(at, prompt, answer, traffic_class="interactive", max_tokens=2 * answer, slo=CHAT))
    return found


def bulk(seed: int) -> list[Arrival]:
    """All at once."""
    rng = Random(seed + 1000)
    sizes = [(_around(800, rng), _around(150, rng)) for _ in range(BULK_JOBS)]
    return [
        Arrival(0.0, prompt, answer, traffic_class="bulk", max_tokens=2 * answer, stream=False, tenant="b")
        for prompt, answer in sizes
    ]


def _around(median: int, rng: Random) -> int:
    return max(8, round(median * rng.lognormvariate(0.0, 0.5)))


def played(
    arrivals: Sequence[Arrival], seed: int, *, is_fed: bool, backlog_s: float = 0.2
) -> tuple[list[float], float, float]:
    """First tokens of chats, tokens of bulk per second, and the share of chats that were served in time."""
    backends = [SimBackend(BackendSpec(name), EngineSpec()) for name in "ab"]
    scheduling = replace(SchedulingSettings(), backfill=BackfillSettings(backlog=backlog_s))
    scheduler = build_scheduler(backends, None, seed, scheduling=scheduling)
    world = World(backends, Fed(scheduler, StoreSettings().ahead) if is_fed else scheduler, seed=seed)
    run = world.play([*arrivals, *(Arrival(END_S, 8, 1, traffic_class="interactive"),)])
    measured = [one for one in run.results if one.arrival.slo is CHAT and one.arrival.at >= WARM_S]
    ttfts = [one.ttft_s for one in measured if one.ttft_s is not None]
    good = sum(
        one.ttft_s is not None and one.ttft_s <= 1.0 and (one.tpot_s is None or one.tpot_s <= 0.05) for one in measured
    )
    done = [one for one in run.results if one.arrival.traffic_class == "bulk" and one.outcome is SERVED]
    tokens = sum(one.arrival.output_tokens for one in done if WARM_S <= (one.done_at or 0.0) < END_S)
    return ttfts, tokens / MEASURED_S, good / max(1, len(measured))


def main() -> None:
    """Prints and writes rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--load", type=float, default=0.5, help="of the capacity for chats")
    parser.add_argument("--backlog", type=float, default=0.2, help="routing.backfill.backlog, seconds")
    parser.add_argument("--capacity", action="store_true", help="only: chats in time at several rates")
    arguments = parser.parse_args()
    if arguments.capacity:
        for rate in (6, 8, 10, 11, 12, 14):
            print(rate, played(chats(rate, 1), 1, is_fed=False)[2])
        return
    for seed in range(1, arguments.seeds + 1):
        talk, work = chats(arguments.load * CAPACITY, seed), bulk(seed)
        alone = played(talk, seed, is_fed=False)
        plain = played([*work, *talk], seed, is_fed=False, backlog_s=arguments.backlog)
        batch = played([*work, *talk], seed, is_fed=True, backlog_s=arguments.backlog)
        at = "" if arguments.backlog == 0.2 else f", backlog {arguments.backlog:g} s"
        for name, (ttfts, tokens, good) in (("alone", alone), ("plain bulk", plain), ("batch", batch)):
            p99 = statistics.quantiles(ttfts, n=100)[98]
            numbers = {"ttft_p50_s": statistics.median(ttfts), "ttft_p99_s": p99, "in_slo": good}
            note(f"virtual, seed {seed}{at}, {name}", len(ttfts), **numbers, bulk_tokens_per_s=tokens)
        note(f"virtual, seed {seed}{at}", len(batch[0]), bulk_of_plain=batch[1] / plain[1])


if __name__ == "__main__":
    main()
