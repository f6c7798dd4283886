"""Charts of latency and goodput over load and over the batch window: lines, the knee, goodput against throughput."""

from collections.abc import Sequence
from math import nan
from typing import Any, Final

from proxy.bench.promise import Promise
from proxy.bench.report.drawing import COLOURS, MARKERS, Chart, chart, is_wide, new_figure
from proxy.bench.report.spread import success_text
from proxy.bench.report.tables import NAMES
from proxy.bench.series import Metric, Series, Subject

_LEAST_FOR_KNEE: Final = 4
_LEAST_RISE: Final = 1.3
"""From the first place to the last: what rises less is noise."""
_LEAST_BEND: Final = 0.2
"""How far a curve has to hang below the line between its ends, of both sides' ranges, to have a knee."""


def over_window(subjects: Sequence[Subject], promise: Promise, prefix: str) -> Chart | None:
    """P99 TTFT and goodput. None: nobody measured two windows."""
    if not subjects:
        return None
    figure = new_figure(9, 4.6)
    times = figure.add_subplot()
    shares = times.twinx()
    shares.spines["right"].set_visible(True)
    for number, subject in enumerate(subjects):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        places = subject.along("window")
        p99 = [_value(one, "ttft", 2) for one in subject.series]
        good = [100 * one.good(promise) / one.n for one in subject.series]
        times.plot(places, p99, f"{marker}-", color=colour, label=f"{subject.label}: P99 TTFT")
        shares.plot(places, good, f"{marker}:", color=colour, alpha=0.7, label=f"{subject.label}: goodput")
    times.set(xlabel="batch window, ms", ylabel="P99 TTFT, ms")
    times.set_ylim(bottom=0)
    shares.set(ylabel="goodput, %", ylim=(0, 102))
    times.grid()
    title = f"Batch window against P99 TTFT and goodput ({success_text([s for one in subjects for s in one.series])})"
    times.set_title(title)
    figure.legend(loc="outside lower center", ncols=2)
    return chart(figure, f"{prefix}window", title, "Lines of P99 TTFT and of goodput over the batch window")


def over_load(subjects: Sequence[Subject], prefix: str) -> Chart | None:
    """P50 and P95 of TTFT and E2E, and where they begin to rise. None: nobody measured two loads."""
    if not subjects:
        return None
    every = [one for subject in subjects for one in subject.series]
    metrics: list[Metric] = [metric for metric in ("ttft", "e2e") if any(one.values(metric) for one in every)]
    figure = new_figure(4.8 * len(metrics), 4.4)
    for number, metric in enumerate(metrics):
        axes = figure.add_subplot(1, len(metrics), number + 1)
        drawn: list[float] = []
        for place, subject in enumerate(subjects):
            drawn += _load_lines(axes, subject, metric, place, is_named=number == 0)
        unit = every[0].conditions.load_unit
        axes.set(xlabel=f"load, requests {unit}", ylabel=f"{NAMES[metric]}, ms")
        if is_wide(drawn):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid()
    title = f"Latency over load ({success_text(every)})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    figure.legend(loc="outside lower center", ncols=2)
    return chart(figure, f"{prefix}load", title, "Lines of P50 and P95 latency over load")


def _load_lines(axes: Any, subject: Subject, metric: Metric, place: int, *, is_named: bool) -> list[float]:
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    loads = subject.along("load")
    drawn: list[float] = []
    for index, dash, name in ((0, "--", "P50"), (1, "-", "P95")):
        values = [_value(one, metric, index) for one in subject.series]
        label = f"{subject.label}: {name}" if is_named else None
        axes.plot(loads, values, f"{marker}{dash}", color=colour, label=label, alpha=1 if index else 0.6)
        drawn += [value for value in values if value == value]
    p95 = [_value(one, metric, 1) for one in subject.series]
    if (at := knee(loads, p95)) is not None:
        axes.axvline(at, color=colour, lw=1, ls=":")
        axes.annotate(
            f"knee {at:g}", (at, 1), xycoords=("data", "axes fraction"), fontsize=8, color=colour, rotation=90, va="top"
        )
    return drawn


def goodput(subjects: Sequence[Subject], promise: Promise, prefix: str) -> Chart | None:
    """Good requests per second against those that were served: where they part, more load buys nothing."""
    found = [(subject, _rates(subject, promise)) for subject in subjects]
    if not any(points for _, points in found):
        return None
    figure = new_figure(6.4, 4.8)
    axes = figure.add_subplot()
    most = max(x for _, points in found for x, _ in points)
    axes.plot([0, most], [0, most], color="#8a99a3", lw=1, ls=":", label="all that was served was good")
    for place, (subject, points) in enumerate(found):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        axes.plot(*zip(*points, strict=True), f"{marker}-", color=colour, label=subject.label)
        for (x, y), one in zip(points, subject.series, strict=True):
            axes.annotate(
                one.conditions.load_text, (x, y), fontsize=7, xytext=(4, -8), textcoords="offset points", color=colour
            )
    axes.set(xlabel="throughput, requests served/s", ylabel="goodput, requests good/s", xlim=(0, None), ylim=(0, None))
    axes.grid()
    said = f"good: {promise}" if promise.is_any else "no SLO given"
    title = f"Goodput against throughput, {said}\n({success_text([s for one in subjects for s in one.series])})"
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=2)
    return chart(figure, f"{prefix}goodput", title, "Good requests per second against served ones, over load")


def _rates(subject: Subject, promise: Promise) -> list[tuple[float, float]]:
    return [(one.per_second(one.served) or 0.0, one.per_second(one.good(promise)) or 0.0) for one in subject.series]


def knee(loads: Sequence[float], latencies: Sequence[float]) -> float | None:
    """The load at which a rising curve is farthest below the line between its ends (Satopää et al., "Finding a Kneedle
    in a Haystack", 2011). None: too few places, or no bend worth the name."""
    known = [(x, y) for x, y in zip(loads, latencies, strict=True) if y == y]
    if len(known) < _LEAST_FOR_KNEE:
        return None
    (x0, y0), (x1, y1) = known[0], known[-1]
    if x1 <= x0 or y1 < y0 * _LEAST_RISE:
        return None
    depth, at = max(((x - x0) / (x1 - x0) - (y - y0) / (y1 - y0), x) for x, y in known)
    return at if depth >= _LEAST_BEND else None


def _value(one: Series, metric: Metric, index: int) -> float:
    found = one.latencies[metric][index]
    return nan if found is None else found.value
