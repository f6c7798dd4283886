"""Charts of where time went (stages) and of how requests ended as the run went on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final

from proxy.bench.report.drawing import COLOURS, OUTCOMES, Chart, chart, new_figure, parts, shortened
from proxy.bench.report.spread import success_text
from proxy.bench.report.stages import ORDER, UNATTRIBUTED, Breakdown
from proxy.bench.series import Series

_BUCKETS: Final = 60
_ROWS: Final = 8
"""Of series in one picture."""
_NICE_S: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def stage_bars(found: Sequence[Breakdown], series: Sequence[Series], prefix: str) -> Iterator[Chart]:
    """Stacked means of those series of which stages are known."""
    for end, part in parts(found):
        yield _stage_bars(part, series, f"{prefix}stages{end}")


def _stage_bars(found: Sequence[Breakdown], series: Sequence[Series], name: str) -> Chart:
    figure = new_figure(9, 1.6 + 0.5 * len(found))
    axes = figure.add_subplot()
    names = list(dict.fromkeys(name for one in found for name in one.means_ms if name != UNATTRIBUTED))
    starts = [0.0] * len(found)
    for stage in [*sorted(names, key=_place), UNATTRIBUTED]:
        widths = [one.means_ms.get(stage, 0.0) for one in found]
        rest = stage == UNATTRIBUTED
        colour = "#d5dcdb" if rest else COLOURS[_place(stage) % len(COLOURS)]
        shown = stage.replace("_", "-")
        axes.barh(range(len(found)), widths, 0.6, left=starts, label=shown, color=colour, hatch="//" if rest else None)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    axes.set_yticks(range(len(found)), [f"{shortened(one.label)}\nn = {one.n:,}" for one in found])
    axes.invert_yaxis()
    axes.set_xlabel("mean, ms")
    axes.grid(axis="x")
    title = f"Where the time went ({success_text(series)})"
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=6, fontsize=9)
    return chart(figure, name, title, f"Stacked bars of stages of {len(found)} series")


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER) + sum(name.encode()) % 7


def timeline(series: Sequence[Series], prefix: str) -> Iterator[Chart]:
    """How the requests that began in each moment ended, a row per series."""
    for end, part in parts(series, _ROWS):
        yield _timeline(part, f"{prefix}timeline{end}")


def _timeline(series: Sequence[Series], name: str) -> Chart:
    figure = new_figure(9, 1.0 + 1.5 * len(series))
    drawn: set[str] = set()
    for number, one in enumerate(series):
        axes = figure.add_subplot(len(series), 1, number + 1)
        width, buckets = _buckets(one)
        floor = [0.0] * len(buckets)
        starts = [place * width for place in range(len(buckets))]
        for outcome, colour in OUTCOMES.items():
            heights = [bucket[outcome] / width for bucket in buckets]
            if any(heights):
                label = outcome if outcome not in drawn else None
                drawn.add(outcome)
                axes.bar(starts, heights, width, bottom=floor, align="edge", color=colour, label=label)
                floor = [low + height for low, height in zip(floor, heights, strict=True)]
        axes.set_title(one.title, fontsize=9, fontweight="normal")
        axes.set_ylabel("requests/s", fontsize=8)
    axes.set_xlabel("intended start, s from the beginning of the series")
    title = f"Outcomes over time ({success_text(series)})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    figure.legend(loc="outside lower center", ncols=5)
    return chart(figure, name, title, f"Stacked bars of outcomes over time, of {len(series)} series")


def _buckets(one: Series) -> tuple[float, list[Counter[str]]]:
    starts = [row.at for row in one.rows]
    first = min(starts)
    span = max(starts) - first
    width = next((nice for nice in _NICE_S if span / nice <= _BUCKETS), ceil(span / _BUCKETS))
    buckets: list[Counter[str]] = [Counter() for _ in range(int(span / width) + 1)]
    for start, end in zip(starts, one.ends, strict=True):
        buckets[int((start - first) / width)][end] += 1
    return width, buckets
