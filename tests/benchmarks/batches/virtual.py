"""Chats alone, beside plain bulk and beside a batch, on virtual time: `python -m tests.benchmarks.batches.virtual`.

Engines with the published constants, or of a mix. Chats (600 tokens, answers of 200, promised a first token within 1 s
and 50 ms a token) come at a share of the rate at which these engines keep 95 % of them in time alone; bulk (800 tokens,
answers of 150; `--long`: 6,000 and 60) is there from the start and never ends within the 240 s that are measured, after
60 s. *plain*: all of it waits in the proxy, without a deadline, as clients send it. *batch*: as `live/lines/feeder`
feeds it: 64 lines wait, all due in one day, at several values of `routing.backfill.lines_delay`.
"""

import argparse
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final, NamedTuple

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Abort, Command, Dispatch, Report
from proxy.model.outcome import SERVED
from proxy.model.request import Job
from proxy.model.scheduling import BackfillSettings, SchedulingSettings
from proxy.model.store import StoreSettings
from proxy.sim.engine.spec import HIGH_THROUGHPUT, LOW_LATENCY, EngineSpec
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival, Slo
from tests.benchmarks.batches.results import note

WARM_S, MEASURED_S = 60.0, 240.0
END_S: Final = WARM_S + MEASURED_S
BULK_JOBS: Final = 3500
"""For two engines."""
DELAYS: Final = (0.03, 0.1, 0.25, 0.5, 100.0)
CHAT: Final = Slo(ttft_s=1.0, tpot_s=0.05)
DAY_S: Final = 86_400.0
MIXES: Final = {
    "published": (EngineSpec(),),
    "fast and slow": (LOW_LATENCY, HIGH_THROUGHPUT),
}
"""Kinds that engines are, in turn."""
CAPACITY: Final = {
    ("published", 1): 5.0,
    ("published", 2): 10.0,
    ("published", 4): 20.0,
    ("fast and slow", 2): 9.5,
    ("fast and slow", 4): 19.0,
}
"""Chats a second: see `--capacity`."""


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
            commands = self._scheduler.submit(replace(job, deadline=DAY_S, done_by=DAY_S, yields_until=DAY_S), now)
            found += commands


def chats(rate: float, seed: int) -> list[Arrival]:
    """Until the end, as they come."""
    rng, at = Random(seed), 0.0
    found: list[Arrival] = []
    while (at := at + rng.expovariate(rate)) < END_S:
        prompt, answer = _around(600, rng), _around(200, rng)
        found.append(Arrival(at, prompt, answer, traffic_class="interactive", max_tokens=2 * answer, slo=CHAT))
    return found


def bulk(seed: int, count: int, *, is_long: bool) -> list[Arrival]:
    """All at once."""
    rng = Random(seed + 1000)
    prompt, answer = (6000, 60) if is_long else (800, 150)
    sizes = [(_around(prompt, rng), _around(answer, rng)) for _ in range(count)]
    return [
        Arrival(0.0, prompt, answer, traffic_class="bulk", max_tokens=2 * answer, stream=False, tenant="b")
        for prompt, answer in sizes
    ]


def _around(median: int, rng: Random) -> int:
    return max(8, round(median * rng.lognormvariate(0.0, 0.5)))


class Played(NamedTuple):
    """What came of one run, in the time that is measured."""

    ttfts: list[float]
    """Of chats, seconds."""
    bulk_tokens_per_s: float
    tokens_per_s: float
    """Of answers to all."""
    in_slo: float
    """Share of chats that were served in time."""


def played(
    arrivals: Sequence[Arrival], seed: int, engines: Sequence[EngineSpec], backfill: BackfillSettings, *, is_fed: bool
) -> Played:
    """One run; `is_fed`: bulk is lines of a batch."""
    backends = [SimBackend(BackendSpec(f"e{number}"), spec) for number, spec in enumerate(engines)]
    scheduler = build_scheduler(backends, None, seed, scheduling=replace(SchedulingSettings(), backfill=backfill))
    world = World(backends, Fed(scheduler, StoreSettings().ahead) if is_fed else scheduler, seed=seed)
    run = world.play([*arrivals, Arrival(END_S, 8, 1, traffic_class="interactive")])
    measured = [one for one in run.results if one.arrival.slo is CHAT and one.arrival.at >= WARM_S]
    good = sum(
        one.ttft_s is not None and one.ttft_s <= 1.0 and (one.tpot_s is None or one.tpot_s <= 0.05) for one in measured
    )
    ended = [one for one in run.results if one.outcome is SERVED and WARM_S <= (one.done_at or 0.0) < END_S]
    tokens = dict.fromkeys((False, True), 0)
    for one in ended:
        tokens[one.arrival.traffic_class == "bulk"] += one.arrival.output_tokens
    return Played(
        [one.ttft_s for one in measured if one.ttft_s is not None],
        tokens[True] / MEASURED_S,
        sum(tokens.values()) / MEASURED_S,
        good / max(1, len(measured)),
    )


def main() -> None:
    """Prints and writes rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--load", type=float, default=0.5, help="of the capacity for chats")
    parser.add_argument("--mix", choices=MIXES, default="published")
    parser.add_argument("--engines", type=int, default=2)
    parser.add_argument("--long", action="store_true", help="bulk of long prompts and short answers")
    parser.add_argument("--delays", type=float, nargs="*", default=DELAYS, help="routing.backfill.lines_delay")
    parser.add_argument("--capacity", action="store_true", help="only: chats in time at several rates")
    arguments = parser.parse_args()
    kinds = MIXES[arguments.mix]
    engines = [kinds[number % len(kinds)] for number in range(arguments.engines)]
    usual = BackfillSettings()
    if arguments.capacity:
        for rate in (4, 5, 6, 8, 10, 12, 14):
            rate *= arguments.engines / 2
            print(rate, played(chats(rate, 1), 1, engines, usual, is_fed=False).in_slo)
        return
    name = f"virtual, {arguments.engines} {arguments.mix}, chats {arguments.load:g}{', long' if arguments.long else ''}"
    rate = arguments.load * CAPACITY[arguments.mix, arguments.engines]
    for seed in range(1, arguments.seeds + 1):
        talk = chats(rate, seed)
        both = [*bulk(seed, BULK_JOBS * arguments.engines // 2, is_long=arguments.long), *talk]
        runs = {"alone": played(talk, seed, engines, usual, is_fed=False)}
        runs["plain bulk"] = played(both, seed, engines, usual, is_fed=False)
        for delay in arguments.delays:
            runs[f"batch, {delay:g}"] = played(both, seed, engines, replace(usual, lines_delay=delay), is_fed=True)
        for what, run in runs.items():
            _note(f"{name}, seed {seed}, {what}", run, runs["alone"], runs["plain bulk"])


def _note(name: str, run: Played, alone: Played, plain: Played) -> None:
    quantiles, calm = (statistics.quantiles(one.ttfts, n=100) for one in (run, alone))
    note(
        name,
        len(run.ttfts),
        ttft_p50_s=quantiles[49],
        ttft_p99_s=quantiles[98],
        ttft_p99_of_alone=quantiles[98] / calm[98],
        in_slo=run.in_slo,
        bulk_tokens_per_s=run.bulk_tokens_per_s,
        bulk_of_plain=run.bulk_tokens_per_s / plain.bulk_tokens_per_s,
        tokens_of_plain=run.tokens_per_s / plain.tokens_per_s,
    )


if __name__ == "__main__":
    main()
