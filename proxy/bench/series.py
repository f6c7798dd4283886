"""Requests that were measured under the same conditions, and what is said of them together.

Owns what makes two requests comparable: machine, server, side, model, precision, load, batch window, other settings and
the state of the caches. Warm and cold are never one series.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

from proxy.bench.details import Detail
from proxy.bench.percentiles import Percentile, percentiles
from proxy.bench.promise import Promise
from proxy.bench.rows import Row
from proxy.bench.run_file import Cell, RunFile

Metric = Literal["ttft", "tpot", "e2e"]
METRICS: Final[tuple[Metric, ...]] = ("ttft", "tpot", "e2e")
SHARES: Final = (0.5, 0.95, 0.99)
UNKNOWN: Final = "not said"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the requests of a series have in common; empty: nobody said."""

    hardware: str
    server: str
    side: str
    model: str
    precision: str
    cache: str
    workload: str
    settings: str
    window_ms: float | None
    load: float | None
    """Requests at once, or per second: `load_unit`."""
    load_unit: Literal["at once", "/s"]
    run: str = field(default="", compare=False)
    """Folder or file that they were measured in; told only where nothing else tells two series apart."""

    @property
    def load_text(self) -> str:
        """Such as `8 at once`, `5/s`."""
        if self.load is None:
            return ""
        gap = "" if self.load_unit == "/s" else " "
        return f"{self.load:g}{gap}{self.load_unit}"

    @property
    def window_text(self) -> str:
        """Such as `window 10 ms`."""
        return "" if self.window_ms is None else f"window {self.window_ms:g} ms"

    @property
    def subject(self) -> tuple[str, ...]:
        """All but load and window: what is compared over them."""
        return (
            self.cache,
            self.hardware,
            self.server,
            self.side,
            self.model,
            self.precision,
            self.workload,
            self.settings,
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """All of it, in the order in which a label names it."""
        told = (self.server, self.side, self.model, self.precision, self.workload, self.settings, self.cache)
        return (*told, self.window_text, self.load_text, self.hardware)


@dataclass(frozen=True)
class Series:
    """Some requests under one set of conditions, in the order in which they were sent."""

    conditions: Conditions
    rows: Sequence[Row]
    details: Sequence[Detail | None]
    """One per row; None: the CSV came alone."""
    cell: Cell | None = None
    label: str = ""
    """What sets it apart from the others it is shown with."""

    @property
    def n(self) -> int:
        """Requests, those that failed included."""
        return len(self.rows)

    @cached_property
    def served(self) -> int:
        """Requests that were successful."""
        return sum(row.success for row in self.rows)

    @property
    def success(self) -> float:
        """Share that was successful."""
        return self.served / self.n if self.n else 0.0

    def values(self, metric: Metric) -> list[float]:
        """Milliseconds, of those that were successful and have one, in order."""
        name = f"{metric}_ms"
        return [value for row in self.rows if row.success and (value := getattr(row, name)) is not None]

    @cached_property
    def latencies(self) -> dict[Metric, list[Percentile | None]]:
        """P50, P95 and P99 in milliseconds; None where there are too few values."""
        return {metric: percentiles(self.values(metric), SHARES) for metric in METRICS}

    @cached_property
    def span_s(self) -> float:
        """From the first intended start to the last end, or to the last start where no end is known."""
        if not self.rows:
            return 0.0
        starts = [row.at for row in self.rows]
        ends = [start + (row.e2e_ms or 0.0) / 1e3 for start, row in zip(starts, self.rows, strict=True)]
        return max(ends) - min(starts)

    def good(self, promise: Promise) -> int:
        """Requests that were successful within the promise."""
        return sum(promise.is_kept(row) for row in self.rows)

    def per_second(self, count: float) -> float | None:
        """Over the time of the series; None: it took none."""
        return count / self.span_s if self.span_s > 0 else None

    @cached_property
    def output_tokens(self) -> int:
        """Of the successful ones, as far as anybody counted."""
        return sum(row.output_tokens or 0 for row in self.rows if row.success)

    @cached_property
    def outcomes(self) -> Counter[str]:
        """How requests ended → how many."""
        return Counter(self.ends)

    @cached_property
    def ends(self) -> list[str]:
        """How each ended; of a CSV alone only `served` and `failed` are known."""
        return [
            detail.outcome if detail else "served" if row.success else "failed"
            for row, detail in zip(self.rows, self.details, strict=True)
        ]

    @property
    def title(self) -> str:
        """Its label with n and success, as every title has them."""
        return f"{self.label} (n = {self.n:,}, success {percent(self.success)})"


def percent(share: float) -> str:
    """Never rounded to all or nothing when it is not."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    digits = 1
    while digits < 4 and f"{share:.{digits}%}" in (f"{0:.{digits}%}", f"{1:.{digits}%}"):
        digits += 1
    return f"{share:.{digits}%}".replace("%", " %")


def labelled(found: Iterable[Series]) -> list[Series]:
    """With labels of what differs between them, of the run where nothing else does; one alone is named by its server
    and model."""
    series = list(found)
    columns = list(zip(*(one.conditions.texts for one in series), strict=True))
    varying = [number for number, column in enumerate(columns) if len(set(column)) > 1]
    labels = [_label(one.conditions, varying) for one in series]
    twice = {label for label, count in Counter(labels).items() if count > 1}
    named = [
        f"{label} ({one.conditions.run})" if label in twice and one.conditions.run else label
        for label, one in zip(labels, series, strict=True)
    ]
    return [replace(one, label=label) for one, label in zip(series, named, strict=True)]


def _label(conditions: Conditions, varying: Sequence[int]) -> str:
    told = [conditions.texts[number] or UNKNOWN for number in varying]
    alone = [text for text in (conditions.server, conditions.model) if text]
    return " · ".join(told or alone) or "all requests"


def series_of(
    rows: Sequence[Row], details: Sequence[Detail | None], run: RunFile | None, name: str = ""
) -> list[Series]:
    """The requests of one run or CSV, in the order in which their conditions first came. `name`: of its folder."""
    lots: dict[tuple[Conditions, str], list[int]] = {}
    for number, (row, detail) in enumerate(zip(rows, details, strict=True)):
        cell = run.cell(detail.cell) if run and detail else None
        lots.setdefault((_conditions(row, detail, cell, run, name), cell.id if cell else ""), []).append(number)
    return [
        Series(
            conditions,
            [rows[number] for number in numbers],
            [details[number] for number in numbers],
            run.cell(identity) if run else None,
        )
        for (conditions, identity), numbers in lots.items()
    ]


def _conditions(row: Row, detail: Detail | None, cell: Cell | None, run: RunFile | None, name: str) -> Conditions:
    arrivals = cell.arrivals if cell else None
    is_open = arrivals is not None and arrivals.process != "closed"
    load = (arrivals.rate_per_s if is_open else arrivals.concurrency) if arrivals else row.concurrency
    return Conditions(
        hardware=row.hardware,
        server=row.server,
        side=detail.side if detail and run and len(run.targets) > 1 else "",
        model=row.model,
        precision=row.precision,
        cache=run.cache if run else "",
        workload=detail.workload if detail else "",
        settings=_settings(row, cell) if cell else "",
        window_ms=row.batch_window_ms,
        load=load,
        load_unit="/s" if is_open else "at once",
        run=name,
    )


def _settings(row: Row, cell: Cell) -> str:
    """As they were swept; what only made the window that the rows tell anyway is not told twice."""
    swept = dict(sorted(cell.settings.items()))
    if row.batch_window_ms is not None:
        swept = {name: value for name, value in swept.items() if not name.endswith("window.max_wait")}
    return ", ".join(f"{name}={value}" for name, value in swept.items())


Over = Literal["load", "window"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is followed over loads, or over windows: series that differ in nothing else."""

    label: str
    series: list[Series]

    def along(self, over: Over) -> list[float]:
        """Its loads, or its windows in milliseconds, ascending."""
        return [_place(one, over) for one in self.series]


def subjects(found: Sequence[Series], over: Over) -> list[Subject]:
    """Those with at least two values of `over`."""
    lots: dict[tuple[object, ...], list[Series]] = {}
    for one in found:
        if _value(one.conditions, over) is not None:
            lots.setdefault(_but(one.conditions, over), []).append(one)
    kept = [
        sorted(apart, key=lambda one: _place(one, over))
        for lot in lots.values()
        for apart in _apart(lot, over)
        if len({_place(one, over) for one in apart}) > 1
    ]
    named = labelled(replace(lot[0], conditions=_less(lot[0].conditions, over)) for lot in kept)
    return [Subject(one.label, lot) for one, lot in zip(named, kept, strict=True)]


def _apart(lot: Sequence[Series], over: Over) -> list[list[Series]]:
    """Runs of their own where two of them measured the same place."""
    if len({_place(one, over) for one in lot}) == len(lot):
        return [list(lot)]
    by_run: dict[str, list[Series]] = {}
    for one in lot:
        by_run.setdefault(one.conditions.run, []).append(one)
    return list(by_run.values())


def _value(conditions: Conditions, over: Over) -> float | None:
    return conditions.load if over == "load" else conditions.window_ms


def _place(one: Series, over: Over) -> float:
    return _value(one.conditions, over) or 0.0


def _less(conditions: Conditions, over: Over) -> Conditions:
    """Without what is followed."""
    return replace(conditions, load=None) if over == "load" else replace(conditions, window_ms=None)


def _but(conditions: Conditions, over: Over) -> tuple[object, ...]:
    less = _less(conditions, over)
    return less.subject, less.load, less.window_ms, less.load_unit
