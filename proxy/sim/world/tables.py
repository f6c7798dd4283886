"""A contest as text for people, as JSON and as CSV for programs.

Owns columns and their order. Computes nothing that `report` and `compare` did not.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from proxy.report.compare import Difference, Interval
from proxy.report.report import Group, Quantiles, Report
from proxy.report.tables import UNBOUNDED, Row, table
from proxy.sim.world.comparison import ComparedRun, Comparison

_GROUP_COLUMNS = (
    "requests", "good", "served", "refused", "falsely_refused", "failed", "cancelled", "tokens", "good_tokens",
    "late_ttft", "late_tpot", "late_e2e",
)  # fmt: skip
_LATENCIES = ("ttft", "tpot", "e2e")
_QUANTILES = ("p50", "p95", "p99")


def contest_text(comparison: Comparison, width: int = UNBOUNDED) -> str:
    """All tables: one line per contender, its groups, and the differences; lines of `width` at most."""
    parts = [_summary(comparison, width)]
    parts += [_details(name, comparison.of(name), width) for name in comparison.contenders()]
    if len(comparison.contenders()) > 1:
        parts.append(_differences("requests in SLO", comparison.differences(), width))
        parts.append(_differences("output tokens in SLO", comparison.token_differences(), width))
        if found := comparison.false_differences():
            parts.append(_differences("requests falsely refused", found, width))
    return "\n".join(parts)


def contest_json(comparison: Comparison, setting: dict[str, Any]) -> str:
    """Everything, with what was asked for (`setting`)."""
    runs = [
        {"contender": run.contender, "seed": run.seed, "simulated_requests_per_s": round(run.requests_per_s, 1)}
        | run.report.as_json()
        for run in comparison.runs
    ]
    document: dict[str, Any] = {"setting": setting, "runs": runs}
    if len(comparison.contenders()) > 1:
        document["differences"] = {
            "requests": [_difference_json(d) for d in comparison.differences()],
            "tokens": [_difference_json(d) for d in comparison.token_differences()],
            "falsely_refused": [_difference_json(d) for d in comparison.false_differences()],
        }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def groups_csv(comparison: Comparison) -> str:
    """One line per run and group."""
    header = ["contender", "seed", "by", "group", "goodput", "token_goodput", *_GROUP_COLUMNS]
    header += [f"{latency}_{quantile}_s" for latency in _LATENCIES for quantile in _QUANTILES]
    rows = [
        [run.contender, run.seed, by, name, f"{group.goodput:.5f}", f"{group.token_goodput:.5f}", *_group_cells(group)]
        for run in comparison.runs
        for by, name, group in _all_groups(run.report)
    ]
    return _csv(header, rows)


def backends_csv(comparison: Comparison) -> str:
    """One line per run and backend."""
    columns = ("requests", "busy", "generation_tokens", "prompt_tokens", "hit_rate", "preemptions", "turned_away")
    rows = [
        [run.contender, run.seed, name, *(getattr(load, column) for column in columns)]
        for run in comparison.runs
        for name, load in run.report.backends.items()
    ]
    return _csv(["contender", "seed", "backend", *columns], rows)


def intervals_csv(comparison: Comparison) -> str:
    """One line per run, interval and class: goodput, refusals and latencies of what arrived in it."""
    header = ["contender", "seed", "from_s", "to_s", "class", "goodput", "token_goodput", *_GROUP_COLUMNS]
    header += [f"{latency}_{quantile}_s" for latency in _LATENCIES for quantile in _QUANTILES]
    rows = [
        [run.contender, run.seed, f"{one.start:g}", f"{one.end:g}", one.traffic_class, *_shares(one.group),
         *_group_cells(one.group)]
        for run in comparison.runs
        for one in run.slices
    ]  # fmt: skip
    return _csv(header, rows)


def _shares(group: Group) -> list[str]:
    """Nothing where nothing came."""
    return [f"{group.goodput:.5f}", f"{group.token_goodput:.5f}"] if group.requests else ["", ""]


def refusals_csv(comparison: Comparison) -> str:
    """One line per run and reason."""
    rows = [
        [run.contender, run.seed, what, reason, count]
        for run in comparison.runs
        for what, reasons in (("refused", run.report.refusals), ("failed", run.report.faults))
        for reason, count in reasons.items()
    ]
    return _csv(["contender", "seed", "end", "reason", "count"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def _all_groups(report: Report) -> Iterable[tuple[str, str, Group]]:
    yield "all", "all", report.total
    for by, groups in (("class", report.by_class), ("size", report.by_size), ("tenant", report.by_tenant)):
        for name, group in groups.items():
            yield by, name, group


def _group_cells(group: Group) -> list[object]:
    cells: list[object] = [getattr(group, column) for column in _GROUP_COLUMNS]
    for latency in _LATENCIES:
        quantiles: Quantiles = getattr(group, latency)
        cells += ["" if (v := getattr(quantiles, q)) is None else f"{v:.5f}" for q in _QUANTILES]
    return cells


# ---- text


def _summary(comparison: Comparison, width: int) -> str:
    header = (
        "contender", "goodput %", "tokens %", "good tok/s", "refused %", "falsely %", "TTFT p50/p95/p99 s",
        "TPOT p50/p95/p99 ms",
        "E2E p50/p99 s", "hit %", "busy %", "sim req/s",
    )  # fmt: skip
    return table(header, [_summary_row(name, comparison.of(name)) for name in comparison.contenders()], width=width)


def _summary_row(name: str, runs: Sequence[ComparedRun]) -> Row:
    totals = [run.report.total for run in runs]
    return (
        name,
        _spread([100 * t.goodput for t in totals]),
        _spread([100 * t.token_goodput for t in totals]),
        f"{fmean(run.report.good_tokens_per_s for run in runs):,.0f}",
        f"{100 * fmean(t.refused / max(1, t.requests) for t in totals):.1f}",
        f"{100 * fmean(t.falsely_refused / max(1, t.requests) for t in totals):.1f}",
        _quantiles([t.ttft for t in totals], _QUANTILES, 1, 2),
        _quantiles([t.tpot for t in totals], _QUANTILES, 1e3, 0),
        _quantiles([t.e2e for t in totals], ("p50", "p99"), 1, 1),
        f"{100 * fmean(run.report.hit_rate for run in runs):.1f}",
        f"{100 * _busy(runs):.0f}",
        f"{fmean(run.requests_per_s for run in runs):,.0f}",
    )


def _busy(runs: Sequence[ComparedRun]) -> float:
    return fmean(fmean(load.busy for load in run.report.backends.values()) for run in runs)


def _details(name: str, runs: Sequence[ComparedRun], width: int) -> str:
    """The groups of one contender, means over its seeds; tables with one line say nothing new."""
    lines = [f"{name}:"]
    rows: list[Row] = []
    for by in ("by_class", "by_size", "by_tenant"):
        named = {group for run in runs for group in getattr(run.report, by)}
        order = [group for group in getattr(runs[0].report, by) if group in named]
        if len(order) > 1:
            rows += [_group_row(group, [getattr(r.report, by)[group] for r in runs if group in getattr(r.report, by)])
                     for group in order]  # fmt: skip
    if rows:
        header = ("group", "requests", "goodput %", "tokens %", "refused", "late TTFT", "late TPOT",
                  "TTFT p50/p95/p99 s", "TPOT p50/p95/p99 ms")  # fmt: skip
        lines.append(table(header, rows, width=width))
    for what in ("refusals", "faults"):
        reasons = {reason for run in runs for reason in getattr(run.report, what)}
        if reasons:
            counts = {r: fmean(getattr(run.report, what).get(r, 0) for run in runs) for r in sorted(reasons)}
            lines.append(f"  {what}: " + ", ".join(f"{reason} {count:.0f}" for reason, count in counts.items()))
    hedged = fmean(run.report.hedged / max(1, run.report.total.requests) for run in runs)
    if hedged:
        computed = fmean(run.report.computed_tokens for run in runs)
        lines.append(f"  hedged: {100 * hedged:.1f} % of the requests; prompt tokens computed: {computed:,.0f}")
    lines.append(f"  busy by backend: {_load_line(runs)}")
    return "\n".join(lines) + "\n"


def _load_line(runs: Sequence[ComparedRun]) -> str:
    busy = sorted(100 * load.busy for run in runs for load in run.report.backends.values())
    return f"min {busy[0]:.0f} %, median {busy[len(busy) // 2]:.0f} %, max {busy[-1]:.0f} %"


def _group_row(name: str, groups: Sequence[Group]) -> Row:
    def mean(key: str) -> str:
        return f"{fmean(getattr(group, key) for group in groups):.0f}"

    return (
        f"  {name}",
        mean("requests"),
        f"{100 * fmean(g.goodput for g in groups):.1f}",
        f"{100 * fmean(g.token_goodput for g in groups):.1f}",
        mean("refused"),
        mean("late_ttft"),
        mean("late_tpot"),
        _quantiles([g.ttft for g in groups], _QUANTILES, 1, 2),
        _quantiles([g.tpot for g in groups], _QUANTILES, 1e3, 0),
    )


def _quantiles(values: Sequence[Quantiles], names: Sequence[str], factor: float, digits: int) -> str:
    """Means over seeds."""
    cells = []
    for name in names:
        known = [v for one in values if (v := getattr(one, name)) is not None]
        cells.append(f"{factor * fmean(known):.{digits}f}" if known else "-")
    return "/".join(cells)


def _spread(values: Sequence[float]) -> str:
    """The mean, and the range of the seeds where there are several."""
    mean = f"{fmean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ({min(values):.1f}-{max(values):.1f})"


def _differences(what: str, differences: Sequence[Difference], width: int) -> str:
    header = ("points of " + what, "difference", "95 % over seeds", "95 % over requests", "")
    rows = [
        (
            f"{d.contender} - {d.baseline}",
            f"{100 * d.over_seeds.mean:+.2f}",
            _interval(d.over_seeds),
            _interval(d.over_requests),
            "" if d.over_requests.excludes_zero else "within noise",
        )
        for d in differences
    ]
    return table(header, rows, width=width)


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "-"
    return f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}"


def _difference_json(difference: Difference) -> dict[str, Any]:
    return {
        "contender": difference.contender,
        "baseline": difference.baseline,
        "mean": difference.over_seeds.mean,
        "per_seed": difference.per_seed,
        "over_seeds_95": [difference.over_seeds.low, difference.over_seeds.high],
        "over_requests_95": [difference.over_requests.low, difference.over_requests.high],
    }
