"""What a sweep found: one line per value of an option, over all seeds, as a table, as CSV and as a chart."""

import csv
import math
from collections.abc import Sequence
from io import BytesIO, StringIO
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


def sweep_chart(sweep: str, comparison: Comparison) -> bytes | None:
    """TTFT (P50, P99) and goodput over the values, means over the seeds, as SVG. None: matplotlib is not installed."""
    try:
        from matplotlib import rc_context  # an extra: 30 MB for one picture
        from matplotlib.figure import Figure
    except ImportError:
        return None
    option, rows = sweep.partition("=")[0].strip(), _by_value(comparison)
    places = range(len(rows))
    p50, p99, _, _, goodput, *_ = zip(*(_means(runs) for runs in rows.values()), strict=True)
    seeds = max(len(runs) for runs in rows.values())
    with rc_context({"svg.hashsalt": "tidegate", "svg.fonttype": "none"}):  # the same bytes for the same figures
        figure = Figure(figsize=(7, 4), layout="constrained")
        times = figure.add_subplot(xlabel=option, ylabel="TTFT, ms", title=f"{option}, seeds: {seeds}")
        shares = times.twinx()
        shares.set(ylabel="goodput, %", ylim=(0, 102))
        lines = [
            *times.plot(places, [_scaled(value, 1000.0) for value in p50], "o-", color="tab:blue", label="TTFT P50"),
            *times.plot(places, [_scaled(value, 1000.0) for value in p99], "s-", color="tab:red", label="TTFT P99"),
            *shares.plot(
                places, [_scaled(value, 100.0) for value in goodput], "^--", color="tab:green", label="goodput"
            ),
        ]
        times.set_xticks(places, list(rows))
        times.set_ylim(bottom=0)
        times.grid(alpha=0.3)
        figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False)
        out = BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _scaled(value: float | None, scale: float) -> float:
    return math.nan if value is None else value * scale


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


def _means(runs: Sequence[ComparedRun]) -> list[float | None]:
    found = [[value for value in values if value is not None] for values in zip(*map(_values, runs), strict=True)]
    return [fmean(known) if known else None for known in found]


def _line(name: str, runs: Sequence[ComparedRun]) -> str:
    scales = (1000.0, 1000.0, 1000.0, 1000.0, 100.0, 100.0, 1.0)
    cells = [
        f"{'-':>13}" if mean is None else f"{mean * scale:13,.1f}"
        for mean, scale in zip(_means(runs), scales, strict=True)
    ]
    return f"{name:>16}" + "".join(cells)
