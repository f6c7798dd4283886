"""How soon a backend that gets slower without a word loses its traffic, by policy.

    python -m tests.benchmarks.simulate.traffic_lost

Seven engines and one that becomes 5 or 50 times slower at 60 s, under chats. Prints, per policy, its share of the
dispatches before and in each five seconds after; means over seeds.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from proxy.app import simulate
from proxy.app.contenders import contenders_of
from proxy.model.commands import Dispatch
from proxy.report.run import SimulatedRun
from proxy.sim.world.slo import promised
from proxy.workload.file import read_workload
from proxy.workload.generator import BLOCK_TOKENS, generate

SLOW_FROM_S = 60
BEFORE_S = 30
STEP_S = 5
STEPS = 6
SEEDS = (1, 2, 3, 4, 5)
POLICIES = ("weighted_scores", "least_outstanding", "tests/benchmarks/simulate/hedge_p95.yaml")


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    ends = [(s, s + STEP_S) for s in range(0, STEPS * STEP_S, STEP_S)]
    print("| slower | policy | before % | " + " | ".join(f"{a}-{b} s" for a, b in ends) + " |")
    print("|---|---|---|" + "---|" * STEPS)
    for slower in (5, 50):
        for name, rows in _played(slower).items():
            cells = " | ".join(f"{100 * fmean(row[i] for row in rows):.1f}" for i in range(STEPS + 1))
            print(f"| {slower} x | {name} | {cells} |")


def _played(slower: int) -> dict[str, list[list[float]]]:
    parser = argparse.ArgumentParser()
    simulate.add_arguments(parser)
    engines = f"7xhigh_throughput,1xhigh_throughput:slower={slower},from={SLOW_FROM_S}s"
    promise = "interactive:ttft=2s,tpot=200ms"
    words = f"--engines {engines} --workload chat --policy goodput --compare {','.join(POLICIES)} --slo {promise}"
    options = parser.parse_args(words.split())
    workload = read_workload("chat").model_copy(update={"rate": 20.0, "duration": 100.0})
    rows: dict[str, list[list[float]]] = {}
    for contender in contenders_of(options, BLOCK_TOKENS):
        for seed in SEEDS:
            played = contender.play(promised(generate(workload, seed), options.slo), seed, lambda _: None)
            rows.setdefault(contender.name, []).append(_shares(played))
    return rows


def _shares(played: SimulatedRun) -> Sequence[float]:
    """Of the last backend: before it got slow, and in every step after."""
    gray = list(played.engines)[-1]
    spans = [(SLOW_FROM_S - BEFORE_S, SLOW_FROM_S)]
    spans += [(s, s + STEP_S) for s in range(SLOW_FROM_S, SLOW_FROM_S + STEPS * STEP_S, STEP_S)]
    shares = []
    for start, end in spans:
        sent = Counter(c.backend for at, c in played.log if start <= at < end and isinstance(c, Dispatch))
        shares.append(sent[gray] / max(1, sum(sent.values())))
    return shares


if __name__ == "__main__":
    main()
