"""What a sweep found: one line per value of an option, over all seeds, as a table and as CSV."""

import csv
from collections.abc import Sequence
from io import StringIO
from statistics import fmean

from proxy.report.report import Group
from proxy.sim.world.comparison import ComparedRun, Comparison

_COLUMNS = ("TTFT p50 ms", "TTFT p99 ms", "E2E p50 ms", "E2E p99 ms", "goodput %", "refused %", "served /s")
_FIELDS = ("ttft_p50_s", "ttft_p99_s", "e2e_p50_s", "e2e_p99_s", "goodput", "refused", "served_per_s")


def sweep_text(sweep: str, comparison: Comparison) -> str:
    """As a table; means over the seeds."""
    option = sweep.partition("=")[0].strip()
    head = f"{option:>16}" + "".join(f"{name:>13}" for name in _COLUMNS)
    return "\n".join([head, *(_line(name, runs) for name, runs in _by_value(comparison).items())]) + "\n"


def sweep_csv(sweep: str, comparison: Comparison) -> str:
    """The same in seconds and shares, one line per value and seed."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow([sweep.partition("=")[0].strip(), "seed", *_FIELDS])
    for name, runs in _by_value(comparison).items():
        for run in runs:
            writer.writerow([name, run.seed, *("" if value is None else f"{value:.6f}" for value in _values(run))])
    return out.getvalue()


def _by_value(comparison: Comparison) -> dict[str, list[ComparedRun]]:
    found: dict[str, list[ComparedRun]] = {}
    for run in comparison.runs:
        found.setdefault(run.contender, []).append(run)
    return found


def _values(run: ComparedRun) -> tuple[float | None, ...]:
    total: Group = run.report.total
    share = total.refused / total.requests if total.requests else 0.0
    ttft, e2e = total.ttft, total.e2e
    return ttft.p50, ttft.p99, e2e.p50, e2e.p99, total.goodput, share, total.served / max(1e-9, run.report.span_s)


def _line(name: str, runs: Sequence[ComparedRun]) -> str:
    scales = (1000.0, 1000.0, 1000.0, 1000.0, 100.0, 100.0, 1.0)
    cells = []
    for values, scale in zip(zip(*(_values(run) for run in runs), strict=True), scales, strict=True):
        known = [value for value in values if value is not None]
        cells.append(f"{fmean(known) * scale:13,.1f}" if known else f"{'-':>13}")
    return f"{name:>16}" + "".join(cells)
