"""A report put together: sections of tables and charts, one for each state of the caches, then what they hang on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from proxy.bench.promise import Promise
from proxy.bench.report import flow, over, spread, tables
from proxy.bench.report.checklist import Item, checklist
from proxy.bench.report.drawing import Chart, style
from proxy.bench.report.inputs import Inputs
from proxy.bench.report.stages import breakdowns
from proxy.bench.report.tables import NAMES, Table
from proxy.bench.run_file import Comparison, Interval
from proxy.bench.series import METRICS, Series, labelled, subjects

_STATES: Final = {
    "warm": "Warm: every prompt was asked before",
    "cold": "Cold: prompts that no cache had seen",
    "as found": "Caches as they were found",
    "": "Caches: not said",
}


@dataclass(frozen=True, slots=True)
class Section:
    """Of one state of the caches, or of a paired run."""

    title: str
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Document:
    """All of a report."""

    title: str
    summary: str
    warnings: list[str]
    sections: list[Section]
    checklist: list[Item]
    sources: list[str]


def document(inputs: Inputs, promise: Promise, title: str) -> Document:
    """Of what was read."""
    with style():
        sections = [_section(state, inputs, promise) for state in _STATES if _in_state(inputs, state)]
    if pairs := _paired(inputs):
        sections.append(Section("The same requests by the proxy and without it", pairs))
    items = checklist(inputs, promise)
    return Document(
        title=title,
        summary=f"{spread.success_text(inputs.series)}; {'; '.join(inputs.machines)}",
        warnings=_warnings(inputs, items),
        sections=sections,
        checklist=items,
        sources=[str(source.path) for source in inputs.sources],
    )


def _in_state(inputs: Inputs, state: str) -> list[Series]:
    """With labels of what differs between these alone."""
    return labelled(one for one in inputs.series if one.conditions.cache == state)


def _section(state: str, inputs: Inputs, promise: Promise) -> Section:
    series = _in_state(inputs, state)
    prefix = f"{state.replace(' ', '-')}-" if len({one.conditions.cache for one in inputs.series}) > 1 else ""
    by_load, by_window, told = subjects(series, "load"), subjects(series, "window"), breakdowns(series)
    charts = [
        *spread.bars(series, prefix),
        *spread.boxes(series, prefix),
        over.over_window(by_window, promise, prefix),
        over.over_load(by_load, prefix),
        over.goodput(by_load, promise, prefix),
        *flow.stage_bars(told, series, prefix),
        *flow.timeline(series, prefix),
    ]
    shown = [*tables.latencies(series), tables.throughput(series, promise)]
    if told:
        shown.append(tables.stages(told))
    return Section(_STATES[state], shown, [one for one in charts if one])


def _paired(inputs: Inputs) -> list[Table]:
    found = []
    for name, which in (("less direct", "comparisons"), ("A/A, less itself", "aa")):
        lines = [
            line
            for source in inputs.sources
            if source.run
            for one in getattr(source.run, which)
            for line in _differences(one, source.path.name)
        ]
        if lines:
            header = ("", "n", "difference, ms", "95 % range", "more than noise")
            found.append(Table(f"Differences request by request, {name}", header, lines))
    return found


def _differences(one: Comparison, where: str) -> list[tuple[str, ...]]:
    titles = {f"{metric}_ms": NAMES[metric] for metric in METRICS}
    return [
        (f"{where} {one.cell}: {titles.get(name, name)}, {one.statistic}", *_interval(found))
        for name, found in one.differences.items()
    ]


def _interval(found: Interval) -> tuple[str, ...]:
    value = f"{found.value:+.2f}"
    if found.low is None or found.high is None:
        return f"{found.n:,}", value, tables.NOTHING, tables.NOTHING
    is_real = found.low > 0 or found.high < 0
    return f"{found.n:,}", value, f"{found.low:+.2f} to {found.high:+.2f}", "yes" if is_real else "no"


def _warnings(inputs: Inputs, items: Sequence[Item]) -> list[str]:
    found = []
    if len(inputs.machines) > 1:
        found.append(f"Measured on different machines: {'; '.join(inputs.machines)}. What differs may be the machine.")
    found += [item.said for item in items if item.name == "Load generator" and "BOTTLENECK" in item.said]
    found += [item.said for item in items if item.name == "Notes" and not item.is_there]
    return found


def markdown(found: Document) -> str:
    """With the charts as files beside it."""
    parts = [f"# {found.title}\n", f"{found.summary}\n"]
    parts += [f"**{warning}**\n" for warning in found.warnings]
    for section in found.sections:
        parts.append(f"## {section.title}\n")
        parts += [f"![{one.alt}]({one.name}.svg)\n" for one in section.charts]
        parts += [table.markdown() for table in section.tables]
    parts.append("## What these numbers hang on\n")
    lines = ["| | | |", "| --- | --- | --- |"]
    lines += [tables.line(("✓" if item.is_there else "✗", item.name, item.said)) for item in found.checklist]
    parts.append("\n".join(lines) + "\n")
    parts.append(f"Made of {', '.join(found.sources)}. A range holds the true value in 95 of 100 cases.\n")
    return "\n".join(parts)
