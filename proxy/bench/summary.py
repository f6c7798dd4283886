"""What a run says at its end: a line for each cell and target, and how much later one of a pair is.

Owns that table; percentiles stand in it only where enough requests are beyond them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from proxy.bench.details import Side
from proxy.bench.percentiles import least_n, rank
from proxy.bench.run_file import Comparison, RunFile
from proxy.bench.run_folder import Measured, Run
from proxy.report.tables import table

SHARES: Final = (0.5, 0.95, 0.99)
_SHOWN: Final = {"ttft_ms": "TTFT", "e2e_ms": "E2E", "tpot_ms": "TPOT"}


def summary(run: Run, width: int) -> str:
    """Of one folder."""
    header = ["cell", "server", "n", "served", "req/s", "tok/s"]
    header += [f"{name} P{share * 100:.0f}" for name in ("TTFT", "E2E") for share in SHARES]
    rows = [
        _row(cell.id, run.file.targets[side].server, run.of_cell(cell.id, side))
        for cell in run.file.cells
        for side in run.file.targets
        if run.of_cell(cell.id, side)
    ]
    parts = [f"{run.folder} ({run.file.workload}, caches {run.file.cache}; latencies in ms)\n"]
    parts.append(table(header, rows, width=width, left=2) if rows else "  no request was measured\n")
    parts += [f"{line}\n" for line in _differences(run.file)]
    return "".join(parts)


def _row(cell: str, server: str, requests: list[Measured]) -> list[str]:
    good = [one.row for one in requests if one.row.success]
    asked = [one for one in requests if one.detail.outcome != "cancelled"]
    took = _span_s(requests)
    tokens = sum(one.output_tokens or 0 for one in good)
    words = [cell, server, f"{len(requests):,}", f"{len(good) / len(asked):.1%}" if asked else "-"]
    words += [f"{len(good) / took:.2f}" if took else "-", f"{tokens / took:.0f}" if took and tokens else "-"]
    for metric in ("ttft_ms", "e2e_ms"):
        values = sorted(value for one in good if (value := getattr(one, metric)) is not None)
        words += [_number(_percentile(values, share)) for share in SHARES]
    return words


def _span_s(requests: Iterable[Measured]) -> float:
    """From the first intended start to the last end."""
    spans = [(one.detail.intended_at, one.detail.intended_at + (one.row.e2e_ms or 0.0) / 1e3) for one in requests]
    return max(end for _, end in spans) - min(start for start, _ in spans)


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """None: there are too few."""
    return ordered[rank(len(ordered), share) - 1] if len(ordered) >= least_n(share) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _differences(file: RunFile) -> Iterator[str]:
    if not file.comparisons:
        return
    ours, theirs = (file.targets[side].server for side in _pair())
    for title, found in ((f"{ours} less {theirs}", file.comparisons), (f"A/A: {ours} less itself", file.aa)):
        for one in found:
            yield f"{title}, {one.cell}, {one.statistic}: {_of(one)}"


def _pair() -> tuple[Side, Side]:
    return "url", "direct"


def _of(one: Comparison) -> str:
    words = []
    for metric, interval in one.differences.items():
        bounds = (
            "" if interval.low is None or interval.high is None else f" [{interval.low:+.2f}, {interval.high:+.2f}]"
        )
        words.append(f"{_SHOWN[metric]} {interval.value:+.2f} ms{bounds}")
    pairs = max(interval.n for interval in one.differences.values())
    return f"{', '.join(words)} (n={pairs}, 95 %)"
