"""What was measured of goodput over load: the rows of `results/overload.csv`, and the shares that are told of them."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from tests.benchmarks.simulate.measured import OURS

FIGURES = Path(__file__).parent / "results" / "overload.csv"


class Row(NamedTuple):
    """One policy at one load on one seed: requests, and how many of them kept every promise."""

    load: float
    policy: str
    seed: int
    requests: int
    good: int
    refused: int
    chats: int
    chats_good: int
    bulk: int
    bulk_good: int


class Shares(NamedTuple):
    """Of a policy at a load, percent: means over the seeds."""

    good: float
    worst: float
    """Of the seeds,"""
    best: float
    chats: float
    bulk: float
    refused: float


def written(rows: Iterable[Row]) -> str:
    """As CSV."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(Row._fields)
    table.writerows(rows)
    return out.getvalue()


def read(text: str) -> list[Row]:
    """What was written."""
    _, *lines = csv.reader(io.StringIO(text))
    return [Row(float(load), policy, *map(int, counts)) for load, policy, *counts in lines]


def loads(rows: Sequence[Row]) -> list[float]:
    """Rising."""
    return sorted({row.load for row in rows})


def shares(rows: Sequence[Row], load: float, policy: str) -> Shares:
    """What became of the requests."""
    found = [row for row in rows if (row.load, row.policy) == (load, policy)]
    good = [100 * row.good / row.requests for row in found]
    return Shares(
        fmean(good),
        min(good),
        max(good),
        fmean(100 * row.chats_good / row.chats for row in found),
        fmean(100 * row.bulk_good / row.bulk for row in found),
        fmean(100 * row.refused / row.requests for row in found),
    )


def best_baseline(rows: Sequence[Row], load: float) -> str:
    """The policy without admission that does best there."""
    names = sorted({row.policy for row in rows} - {OURS})
    return max(names, key=lambda name: shares(rows, load, name).good)


def table(rows: Sequence[Row]) -> str:
    """As Markdown, a line per load."""
    lines = [
        "| load | requests | goodput | best without admission | `round_robin` | chats in SLO | bulk in time "
        "| refused |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for load in loads(rows):
        ours, name = shares(rows, load, OURS), best_baseline(rows, load)
        theirs, turns = shares(rows, load, name), shares(rows, load, "round_robin")
        n = sum(row.requests for row in rows if (row.load, row.policy) == (load, OURS))
        lines.append(
            f"| {load:g} \u00d7 | {n:,} | {ours.good:.1f} ({ours.worst:.0f} to {ours.best:.0f}) "
            f"| {theirs.good:.1f} `{name}` | {turns.good:.1f} | {ours.chats:.1f}, {theirs.chats:.1f} "
            f"| {ours.bulk:.1f}, {theirs.bulk:.1f} | {ours.refused:.1f}, {theirs.refused:.1f} |"
        )
    return "\n".join(lines)
