"""Goodput over load, before and after: plays it on virtual time, and writes the figures and the chart made of them.

    python -m tests.benchmarks.simulate.overload           plays all of it, ten minutes: `results/overload.csv`, `.svg`
    python -m tests.benchmarks.simulate.overload --draw    only draws the figures that are there

Chats and bulk of the generator (`mixed`, 300 s) before two low-latency and two high-throughput engines, at multiples of
their capacity (`CAPACITY`), each policy on the same arrivals. Prints the table that `results/README.md` shows.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from proxy.app import simulate
from proxy.sim.world.comparison import ComparedRun
from tests.benchmarks.simulate.measured import BASELINES, OURS, mixed
from tests.benchmarks.simulate.overload_chart import CHART, drawn
from tests.benchmarks.simulate.overload_figures import FIGURES, Row, read, table, written

LOADS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
SEEDS = 5
POLICIES = (OURS, *BASELINES)


def main() -> int:
    """Plays and draws, or only draws."""
    parser = argparse.ArgumentParser(description="Goodput over load, before and after.")
    parser.add_argument("--draw", action="store_true", help="only draw the figures that are there")
    if not parser.parse_args().draw:
        seeds = ("--seeds", str(SEEDS))
        FIGURES.write_text(written(row for load in LOADS for row in played(load, POLICIES, seeds)))
    rows = read(FIGURES.read_text())
    CHART.write_text(drawn(rows))
    print(table(rows))
    return 0


def played(load: float, policies: Sequence[str], seeds: Sequence[str]) -> Iterator[Row]:
    """The policies at one load, on the same arrivals. `seeds`: as on the command line of `tidegate simulate`."""
    ours, *others = policies
    compared = ("--compare", ",".join(others)) if others else ()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    simulate.add_arguments(parser)
    options = parser.parse_args([*mixed(load).arguments, "--policy", ours, *compared, *seeds])
    comparison, _ = simulate.play(options)
    return (_row(load, run) for run in comparison.runs)


def _row(load: float, run: ComparedRun) -> Row:
    total, classes = run.report.total, run.report.by_class
    chats, bulk = classes["interactive"], classes["bulk"]
    counts = (total.requests, total.good, total.refused, chats.requests, chats.good, bulk.requests, bulk.good)
    return Row(load, run.contender, run.seed, *counts)


if __name__ == "__main__":
    sys.exit(main())
