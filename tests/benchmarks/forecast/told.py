"""Rows of the recipe, as CSV and as a table for people."""

import csv
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from proxy.app.forecast.check import GOODPUT_APART, TTFT_APART, Came

_HEAD = """| load | seed | n (chats) | calibration | goodput | came | apart | P99 TTFT | came | apart | late |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""
_KINDS = {
    "held out": "Engines calibrated from the log of another seed, the traffic from what it is made of",
    "own log": "The log that was calibrated from, replayed from its lines: sizes, prefix digests, who was refused",
    "true engines": "The constants the engines run on: what is left is the simulator's own",
    "live again": "The same requests live a second time, held against the first",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One forecast and what came; P99 TTFT is that of chats, seconds, apart is relative to the forecast."""

    kind: str
    load: float
    seed: int
    requests: int
    chats: int
    calibration_error: float | None
    goodput_forecast: float
    goodput_came: float
    goodput_apart: float
    ttft_p99_forecast_s: float | None
    ttft_p99_least_s: float | None
    ttft_p99_most_s: float | None
    """Of its plays."""
    ttft_p99_came_s: float | None
    ttft_p99_apart: float | None
    late_p99_ms: float
    """Of the loop of the clients."""

    @classmethod
    def of(
        cls,
        kind: str,
        load: float,
        seed: int,
        error: float | None,
        goodput: float,
        expected_s: float | None,
        found: Came,
        late_s: float,
        plays: Sequence[float] | None = None,
    ) -> "Row":
        """Rounded."""
        share, p99_s = found.good / found.requests, found.ttft_p99_s("interactive")
        return cls(
            kind,
            load,
            seed,
            found.requests,
            len(found.ttfts_s.get("interactive", ())),
            None if error is None else round(error, 4),
            round(goodput, 4),
            round(share, 4),
            round(share / goodput - 1, 4),
            None if expected_s is None else round(expected_s, 4),
            None if plays is None else round(plays[0], 4),
            None if plays is None else round(plays[1], 4),
            None if p99_s is None else round(p99_s, 4),
            None if expected_s is None or p99_s is None else round(p99_s / expected_s - 1, 4),
            round(1e3 * late_s, 2),
        )

    def __str__(self) -> str:
        error = "-" if self.calibration_error is None else f"{self.calibration_error:.1%}"
        p99s = ["-" if one is None else f"{one:.3f} s" for one in (self.ttft_p99_forecast_s, self.ttft_p99_came_s)]
        apart = "-" if self.ttft_p99_apart is None else f"{self.ttft_p99_apart:+.1%}"
        least, most = self.ttft_p99_least_s, self.ttft_p99_most_s
        plays = "" if least is None or most is None else f" ({least:.2f} to {most:.2f})"
        return (
            f"| {self.load:g} | {self.seed} | {self.requests} ({self.chats}) | {error} | {self.goodput_forecast:.1%} "
            f"| {self.goodput_came:.1%} | {self.goodput_apart:+.1%} | {p99s[0]}{plays} | {p99s[1]} | {apart} "
            f"| {self.late_p99_ms:.1f} ms |"
        )


def write(rows: Sequence[Row], setting: str, folder: Path) -> str:
    """The table; `forecast.csv` and `README.md` are in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "forecast.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    text = _told(rows, setting)
    (folder / "README.md").write_text(text)
    return text


def _told(rows: Sequence[Row], setting: str) -> str:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        f"# Forecast and live\n\n{machine}; {datetime.now(UTC):%Y-%m-%d}; {setting}.",
        "`python -m tests.benchmarks.forecast` makes it again; [rows](forecast.csv).\n",
        f"A forecast holds within {GOODPUT_APART:.0%} of goodput and {TTFT_APART:.0%} of P99 TTFT (chats). The first",
        "figure of each three is the forecast, in brackets its plays; *late* is the P99 of the clients' loop.",
    ]
    for kind in dict.fromkeys(row.kind for row in rows):
        found = [row for row in rows if row.kind == kind]
        lines += [f"\n## {kind.capitalize()}\n\n{_KINDS[kind]}: {_held(found)}.\n", _HEAD, *map(str, found)]
    return "\n".join(lines) + "\n"


def _held(rows: Sequence[Row]) -> str:
    goodput, p99 = (row.goodput_apart for row in rows), [row.ttft_p99_apart or 0.0 for row in rows]
    apart = [abs(one) for one in goodput]
    ranges = [(row.ttft_p99_least_s, row.ttft_p99_came_s, row.ttft_p99_most_s) for row in rows]
    told = [(low, there, high) for low, there, high in ranges if low and there and high]
    within = f", between its plays in {sum(low <= there <= high for low, there, high in told)}" if told else ""
    return (
        f"goodput held in {sum(one <= GOODPUT_APART for one in apart)} of {len(rows)} (mean {fmean(apart):.1%} apart), "
        f"P99 TTFT in {sum(abs(one) <= TTFT_APART for one in p99)} (mean {fmean(map(abs, p99)):.1%}{within})"
    )
