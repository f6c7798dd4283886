"""A forecast that was written down, and what came.

Owns the file of a forecast, what is taken from a log beside it, and how far they may be apart.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from proxy.app.contenders import UsageError
from proxy.bench.percentiles import least_n, rank
from proxy.report.report import Report
from proxy.report.tables import table, width_of
from proxy.sim.world.slo import ANY_CLASS, SloRule, SloRules
from proxy.workload.trace_fields import BrokenLine, object_of
from proxy.workload.traces import TraceError, log_lines

GOODPUT_APART: Final = 0.05
"""Of the forecast goodput."""
TTFT_APART: Final = 0.10
"""Of the forecast P99."""
_NO_CLASS: Final = "(none)"
_CLIENTS: Final = "cancelled"
"""Whoever left is nobody's fault, and in neither."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What `simulate` said would be."""

    goodput: float
    """Share of the requests that are good."""
    ttft_p99_s: dict[str, float]
    """By class, of those that are promised a first token in time and are enough; `(none)`: of no class."""
    requests: int
    slo: dict[str, dict[str, float | None]]
    """By class, as it was meant."""
    engines: str
    traffic: str
    error: float | None = None
    """Of the engines on held-out time; None: they were not calibrated."""
    ttft_p99_range_s: dict[str, list[float]] = field(default_factory=dict)
    """The least and the most of its plays (`--seeds`, `--jitter`), by class: how far one play is from another."""


def last() -> Path:
    """Where the last forecast is, unless somebody says where it is to be."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "tidegate" / "forecast.json"


def add_arguments(add: Callable[..., object], source: Any) -> None:
    """The options of `simulate` that are about forecasts; `source`: what may stand in place of traffic."""
    write_it = "write down what is expected (goodput, P99 TTFT), to be held against what comes (default: the last one)"
    add("--forecast", metavar="FILE", nargs="?", type=Path, const=last(), help=write_it)
    held = "hold a forecast against the access log (JSON) of what came: goodput within 5 %%, P99 TTFT within 10 %%"
    source.add_argument("--check-forecast", metavar=("FILE", "LOG"), nargs=2, type=Path, help=held)
    yesterday = "the same for the last forecast that was written down"
    source.add_argument("--check-yesterday", metavar="LOG", nargs="+", type=Path, help=yesterday)


def run(options: argparse.Namespace) -> int:
    """1: they are further apart than a forecast may be, or cannot be compared."""
    file, *log = options.check_forecast or (last(), *options.check_yesterday)
    try:
        return 0 if check(read(file), log) else 1
    except UsageError as error:
        print(f"tidegate simulate: {error}", file=sys.stderr)
        return 1


_VERSIONS: Final = {1: Forecast}
"""Of the file."""


def forecast_of(
    reports: Sequence[Report], rules: SloRules, engines: str, traffic: str, error: float | None
) -> Forecast:
    """Of what was simulated, a run per seed."""
    slo = {name: asdict(rule) for name, rule in rules.items()}
    p99s: dict[str, list[float]] = {}
    for report in reports:
        for name, group in report.by_class.items():
            if _promises_ttft(rules, name) and group.ttft.p99 is not None and group.served >= least_n(0.99):
                p99s.setdefault(name, []).append(group.ttft.p99)
    return Forecast(
        fmean(report.total.goodput for report in reports),
        {name: fmean(values) for name, values in p99s.items()},
        reports[0].total.requests,
        slo,
        engines,
        traffic,
        error,
        {name: [min(values), max(values)] for name, values in p99s.items()},
    )


def _promises_ttft(rules: SloRules, name: str) -> bool:
    rule = _rule(rules, name)
    return rule.ttft_s is not None or rule.prefills > 0


def _rule(rules: SloRules, name: str) -> SloRule:
    return rules.get(name, rules.get(ANY_CLASS, SloRule()))


def write(path: Path, forecast: Forecast) -> None:
    """Raises UsageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"forecast": 1, **asdict(forecast)}, indent=2) + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def read(path: Path) -> Forecast:
    """Raises UsageError."""
    try:
        told = json.loads(path.read_text())
        return _VERSIONS[told.pop("forecast")](**told)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; simulate --forecast writes one") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path}: is no forecast ({error}); simulate --forecast writes one") from None


@dataclass(slots=True)
class Came:
    """What a log tells."""

    requests: int = 0
    good: int = 0
    ttfts_s: dict[str, list[float]] = field(default_factory=dict)
    """By class, of those that were served."""

    def ttft_p99_s(self, name: str) -> float | None:
        """None: too few."""
        ordered = sorted(self.ttfts_s.get(name, ()))
        return ordered[rank(len(ordered), 0.99) - 1] if len(ordered) >= least_n(0.99) else None


def came(log: Sequence[Path], rules: SloRules) -> Came:
    """Of an access log in JSON. Raises UsageError."""
    found = Came()
    for path in log:
        try:
            for line in log_lines(path):
                _count(found, _row(line, path), rules)
        except (OSError, TraceError) as error:
            raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not found.requests:
        raise UsageError(f"{', '.join(map(str, log))}: holds no request that could be held against a forecast")
    return found


def _count(found: Came, row: dict[str, Any] | None, rules: SloRules) -> None:
    if row is None or row["outcome"] == _CLIENTS:
        return
    found.requests += 1
    found.good += _is_good(row, rules)
    if row["outcome"] == "served" and row.get("ttft_ms") is not None:
        found.ttfts_s.setdefault(row.get("class") or _NO_CLASS, []).append(row["ttft_ms"] / 1e3)


def _row(line: str, path: Path) -> dict[str, Any] | None:
    """None: a line of something else."""
    if not line.strip():
        return None
    try:
        row = object_of(line)
    except BrokenLine:
        raise UsageError(f"{path}: a line is no JSON; log: {{format: json}} writes a log that can be read") from None
    return row if "time" in row and row.get("outcome") and row.get("model_asked") else None


def _is_good(row: dict[str, Any], rules: SloRules) -> bool:
    if row["outcome"] != "served":
        return False
    slo = _rule(rules, row.get("class") or ANY_CLASS).slo(row.get("prompt_tokens") or 1)
    limits = (("ttft_ms", slo.ttft_s), ("tpot_ms", slo.tpot_s), ("e2e_ms", slo.e2e_s))
    return not any(limit is not None and (row.get(name) or 0.0) / 1e3 > limit for name, limit in limits)


def check(forecast: Forecast, log: Sequence[Path]) -> bool:
    """Print both; whether they are near enough. Raises UsageError."""
    rules = {name: SloRule(**rule) for name, rule in forecast.slo.items()}  # type: ignore[arg-type]
    found = came(log, rules)
    rows: list[tuple[str, ...]] = [("requests", f"{forecast.requests:,}", f"{found.requests:,}", "", "")]
    goodput = found.good / found.requests
    verdicts = [_compared(rows, "goodput", forecast.goodput, goodput, GOODPUT_APART, "{:.2%}")]
    for name, expected in forecast.ttft_p99_s.items():
        p99 = found.ttft_p99_s(name)
        if p99 is None:
            rows.append((f"TTFT P99, {name}", f"{expected:.3f} s", "n too small", "", "cannot tell"))
        else:
            verdicts.append(_compared(rows, f"TTFT P99, {name}", expected, p99, TTFT_APART, "{:.3f} s"))
            low, high = forecast.ttft_p99_range_s.get(name, (expected, expected))
            if low < high:
                rows.append(("  of its plays", f"{low:.3f} to {high:.3f} s", "", "", ""))
    print(f"forecast for {forecast.traffic}, {forecast.engines}")
    print(table(("", "forecast", "came", "apart", ""), rows, width=width_of(sys.stdout)), end="")
    if forecast.error is not None:
        print(f"the engines were {forecast.error:.1%} off when they were calibrated")
    return all(verdicts)


def _compared(
    rows: list[tuple[str, ...]], name: str, expected: float, found: float, apart_max: float, form: str
) -> bool:
    apart = found / expected - 1 if expected else float(found != expected)
    holds = abs(apart) <= apart_max
    said = "holds" if holds else f"more than {apart_max:.0%} apart"
    rows.append((name, form.format(expected), form.format(found), f"{apart:+.1%}", said))
    return holds
