"""`tidegate plan --trace`: how many backends of which kind keep a promise for recorded traffic, and how they are split.

Owns the options and the output. The search is `bench.forecast.counts`; each fleet it asks about is played by the
simulator, before the policy `goodput`.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from proxy.app.contenders import UsageError, configured, contender_of
from proxy.app.forecast.played import Traffic, kinds_of, said_of_error, traffic_of
from proxy.bench.forecast.counts import Fleet, shared, split
from proxy.model.classes import BULK_CLASS
from proxy.report.report import is_good
from proxy.report.tables import table, width_of
from proxy.sim.world.cluster import DEFAULT_PRESET, ClusterError, EngineEntry, build_cluster, hashed_by
from proxy.sim.world.models import listed, named
from proxy.sim.world.slo import SloRules
from proxy.workload.traces import TraceError

MOST = 64
SHORT = "short"
BULK = "bulk"


@dataclass(slots=True)
class Planner:
    """One question. `goodput` plays a fleet, each only once."""

    kinds: dict[str, EngineEntry]
    traffic: Traffic
    goal: float
    seeds: int = 1
    told: Callable[[Fleet, float], None] = lambda *_: None
    played: dict[Fleet, float] = field(default_factory=dict)
    """Fleet → share of the requests that were good."""

    def is_good(self, fleet: Fleet) -> bool:
        """Whether it reaches the goal."""
        return self.goodput(fleet) >= self.goal

    def goodput(self, fleet: Fleet) -> float:
        """Share of the requests that are good, mean over the seeds."""
        if fleet not in self.played:
            self.played[fleet] = self._play(fleet)
            self.told(fleet, self.played[fleet])
        return self.played[fleet]

    def _play(self, fleet: Fleet) -> float:
        hash_tokens = self.traffic.trace.block_tokens
        entries = [self._entry(fleet.kind, fleet.number, SHORT if fleet.bulk_count else "default")]
        if fleet.bulk_count:
            entries.append(self._entry(fleet.bulk_kind, fleet.bulk_count, BULK))
        backends = hashed_by(build_cluster(entries, ()), hash_tokens)
        config = configured(self._text(fleet))
        contender = contender_of("plan", config, config.scheduling(), backends, hash_tokens)
        arrivals = named(self.traffic.arrivals, listed(backends))
        shares = []
        for seed in range(1, self.seeds + 1):
            results = contender.play(arrivals, seed, lambda _: None).results
            shares.append(fmean(float(is_good(result)) for result in results))
        return fmean(shares)

    def _entry(self, kind: str, count: int, pool: str) -> EngineEntry:
        changes = {"count": count, "pool": pool, "name": f"{pool}-{kind}"}
        return self.kinds[kind].model_copy(update=changes)

    def _text(self, fleet: Fleet) -> str:
        pools = (SHORT, BULK) if fleet.bulk_count else ("default",)
        backends = ", ".join(f"{{url: 'http://127.0.0.1:{port}', pool: {pool}}}" for port, pool in enumerate(pools, 1))
        lines = ["version: 1", f"backends: [{backends}]", *(self.rules() if fleet.bulk_count else ())]
        return "\n".join(lines) + "\n"

    def rules(self) -> list[str]:
        """Of a configuration whose pools are split."""
        size = self.traffic.bulk_from
        when = f"asked_class: [{BULK_CLASS}]" if size is None else f"prompt_tokens: {{min: {size}}}"
        return ["routing:", "  rules:", f"    - {{when: {{{when}}}, pool: {BULK}}}", f"    - {{pool: {SHORT}}}"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the second way to plan."""
    from proxy.app.forecast.options import engines, goal, seeds, slo, speed, trace

    group = parser.add_argument_group("backends for recorded traffic (--trace), played in the simulator")
    trace(group)
    slo(group, required=False)
    engines(group, f"the kinds to choose from, such as low_latency,high_throughput (default: {DEFAULT_PRESET})")
    goal(group)
    most = f"backends that are tried at most (default: {MOST})"
    group.add_argument("--most", metavar="N", type=int, choices=range(1, 513), default=MOST, help=most)
    seeds(group)
    speed(group)


def run(options: argparse.Namespace) -> int:
    """Search, print; 1 where a file is wrong or no fleet is enough."""
    try:
        return _run(options)
    except (UsageError, TraceError, ClusterError) as error:
        print(f"tidegate plan: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    engines = options.engines or DEFAULT_PRESET
    if options.slo is None:
        raise UsageError("--trace needs --slo, such as --slo ttft=2s,tpot=100ms")
    rules: SloRules = options.slo
    planner = Planner(kinds_of(engines), traffic_of(options.trace, rules, options.speed), options.goal, options.seeds)
    if sys.stderr.isatty():
        planner.told = _progress
    found = fleets(planner, options.most)
    print("\n".join(told(planner, found, engines)))
    if not found:
        raise UsageError(f"{options.most} backends of no kind keep it for {options.goal:.1%}; --most tries more")
    return 0


def fleets(planner: Planner, most: int) -> list[Fleet]:
    """Good ones, the smallest first; of those as large, that with the highest goodput."""
    kinds = list(planner.kinds)
    found = [Fleet(kind, n) for kind, n in shared(kinds, planner.is_good, most).items() if n is not None]
    least = min((fleet.total for fleet in found), default=most + 1)
    for kind in kinds:
        for bulk_kind in kinds:
            fleet = split(kind, bulk_kind, planner.is_good, least)
            if fleet is not None:
                found.append(fleet)
                least = min(least, fleet.total)
    return sorted(found, key=lambda fleet: (fleet.total, -planner.goodput(fleet)))


def told(planner: Planner, found: Sequence[Fleet], engines: str) -> list[str]:
    """For people."""
    trace = planner.traffic.trace
    lines = [f"{trace.name}: {len(trace.arrivals):,} requests, {trace.rate_per_s:.2f}/s; goal {planner.goal:.1%} good"]
    if found:
        rows = [(words(fleet), str(fleet.total), f"{planner.goodput(fleet):.2%}") for fleet in found]
        lines += ["", table(("fleet", "backends", "good"), rows, width=width_of(sys.stdout)).rstrip("\n"), ""]
        lines.append(f"smallest: {words(found[0])}")
        if found[0].bulk_count:
            lines += ["with these rules, and its pools:", *(f"    {line}" for line in planner.rules())]
    lines += [f"played: {len(planner.played)} fleets", said_of_error(engines)]
    return lines


def words(fleet: Fleet) -> str:
    """`3 low_latency for short, 1 high_throughput for bulk`."""
    if not fleet.bulk_count:
        return f"{fleet.number} {fleet.kind}"
    return f"{fleet.number} {fleet.kind} for short, {fleet.bulk_count} {fleet.bulk_kind} for bulk"


def _progress(fleet: Fleet, goodput: float) -> None:
    print(f"\r\x1b[K{words(fleet)}: {goodput:.1%}", end="", file=sys.stderr, flush=True)
