"""All measurements in one table: means over seeds, Student's interval, and shares of the better reference.

Owns its columns; reads the documents that `run` keeps.
"""

import csv
import io
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from proxy.report.compare import t_interval
from tests.benchmarks.simulate.measured import OURS, REFERENCES

_SHARES = ("goodput", "token_goodput")
COLUMNS = (
    "measurement", "contender", "seeds", "goodput", "goodput_low", "goodput_high", "token_goodput", "token_goodput_low",
    "token_goodput_high", "refused", "falsely_refused", "ttft_p99_s", "of_better_reference",
    "tokens_of_better_reference", "less_best_baseline",
)  # fmt: skip


def table_csv(found: dict[str, dict[str, Any]]) -> str:
    """One line per measurement and contender; shares, not percent; low and high: 95 %, empty for one seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, document in found.items():
        totals: dict[str, list[dict[str, Any]]] = {}
        for run in document["runs"]:
            totals.setdefault(run["contender"], []).append(run["total"])
        writer.writerows(_row(name, contender, totals) for contender in totals)
    return out.getvalue()


def _row(measurement: str, contender: str, totals: dict[str, list[dict[str, Any]]]) -> list[object]:
    ours = totals[contender]
    cells: list[object] = [measurement, contender, len(ours)]
    for share in _SHARES:
        interval = t_interval([total[share] for total in ours])
        cells += map(_text, (interval.mean, interval.low, interval.high))
    cells += [_text(fmean(t[key] / max(1, t["requests"]) for t in ours)) for key in ("refused", "falsely_refused")]
    late = [t["ttft"]["p99"] for t in ours if t["ttft"]["p99"] is not None]
    cells.append(_text(fmean(late) if late else None))
    for share in _SHARES:
        mark = max((_mean(totals[name], share) for name in REFERENCES if name in totals), default=0.0)
        cells.append(_text(_mean(ours, share) / mark if mark else None))
    others = [name for name in totals if name not in REFERENCES and not name.startswith(OURS)]
    best = max((_mean(totals[name], "goodput") for name in others), default=None)
    cells.append(_text(None if best is None else _mean(ours, "goodput") - best))
    return cells


def _mean(totals: Sequence[dict[str, Any]], share: str) -> float:
    return fmean(total[share] for total in totals)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"
