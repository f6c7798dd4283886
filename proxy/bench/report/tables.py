"""The tables of a report: percentiles with n and ranges, outcomes, stages. Warm and cold stand in tables of their own.

Owns what is printed where a number cannot be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.bench.percentiles import Percentile, least_n
from proxy.bench.promise import Promise
from proxy.bench.report.stages import Breakdown
from proxy.bench.series import METRICS, SHARES, Metric, Series, percent

NAMES: Final[dict[Metric, str]] = {"ttft": "TTFT", "tpot": "TPOT", "e2e": "E2E"}
NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; the first column names the row."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """With its title and notes."""
        lines = [f"### {self.title}", "", line(self.header), line(("---", *["---:"] * (len(self.header) - 1)))]
        lines += [line(row) for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"


def line(cells: Sequence[str]) -> str:
    """One of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def latencies(series: Sequence[Series]) -> list[Table]:
    """One per metric, for series that have the caches' state in common."""
    tables = []
    for metric in METRICS:
        rows = [
            (one.label, f"{len(one.values(metric)):,}", *map(told, one.latencies[metric]))
            for one in series
            if one.values(metric)
        ]
        if rows:
            served, asked = sum(one.served for one in series), sum(one.n for one in series)
            title = f"{NAMES[metric]}, ms (success {percent(served / asked)})"
            tables.append(Table(title, ("", "n", "P50", "P95", "P99"), rows, _too_few(series, metric)))
    return tables


def told(found: Percentile | None) -> str:
    """Such as `412 (398 to 430)`; a range that the sample does not reach is open."""
    if found is None:
        return NOTHING
    if found.low is None and found.high is None:
        return number(found.value)
    if found.high is None:
        return f"{number(found.value)} ({number(found.low or 0.0)} or more)"
    low = "…" if found.low is None else number(found.low)
    return f"{number(found.value)} ({low} to {number(found.high)})"


def number(value: float) -> str:
    """Three digits or so."""
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def _too_few(series: Sequence[Series], metric: Metric) -> tuple[str, ...]:
    missing = [
        share
        for place, share in enumerate(SHARES)
        if any(one.latencies[metric][place] is None and one.values(metric) for one in series)
    ]
    if not missing:
        return ()
    wanted = ", ".join(f"P{share * 100:g} from n = {least_n(share)} on" for share in missing)
    return (f"{NOTHING}: too few values for one to be expected beyond it; {wanted}.",)


def throughput(series: Sequence[Series], promise: Promise) -> Table:
    """How requests ended, and what came of them per second."""
    kinds = sorted({kind for one in series for kind in one.outcomes if kind != "served"})
    header = ("", "n", "success", *kinds, "requests/s", "output tokens/s", "good", "good/s")
    rows = []
    for one in series:
        good = one.good(promise)
        rows.append(
            (
                one.label,
                f"{one.n:,}",
                percent(one.success),
                *(f"{one.outcomes[kind]:,}" for kind in kinds),
                _rate(one.per_second(one.served)),
                _rate(one.per_second(one.output_tokens)),
                percent(good / one.n),
                _rate(one.per_second(good)),
            )
        )
    said = f"Good: successful, and {promise}." if promise.is_any else "Good: successful; no SLO was given (--slo)."
    return Table("Throughput and goodput", header, rows, (said,))


def stages(found: Sequence[Breakdown]) -> Table:
    """Where the time went, means in milliseconds."""
    names = list(dict.fromkeys(name for one in found for name in one.means_ms))
    rows = [
        (one.label, f"{one.n:,}", *(number(one.means_ms[name]) if name in one.means_ms else NOTHING for name in names))
        for one in found
    ]
    return Table("Where the time went, mean ms", ("", "n", *(name.replace("_", "-") for name in names)), rows)


def _rate(value: float | None) -> str:
    return NOTHING if value is None else number(value)
