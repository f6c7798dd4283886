"""Charts of how latencies are spread: bars of P50 and P99, and boxes."""

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Any

from proxy.bench.report.drawing import COLOURS, Chart, chart, is_wide, new_figure, parts, shortened, whiskers
from proxy.bench.report.tables import NAMES
from proxy.bench.series import METRICS, Metric, Series, percent


def bars(series: Sequence[Series], prefix: str) -> Iterator[Chart]:
    """TTFT, P50 and P99, with the ranges that hold the true ones."""
    shown = [one for one in series if one.values("ttft")]
    for end, part in parts(shown):
        yield _bars(part, f"{prefix}ttft{end}")


def _bars(series: Sequence[Series], name: str) -> Chart:
    figure = new_figure(9, 1.4 + 0.55 * len(series))
    axes = figure.add_subplot()
    every: list[float] = []
    for place, (title, index, colour) in enumerate((("P50", 0, COLOURS[0]), ("P99", 2, COLOURS[1]))):
        heights, ranges = whiskers([one.latencies["ttft"][index] for one in series])
        where = [row + (place - 0.5) * 0.38 for row in range(len(series))]
        axes.barh(where, heights, 0.36, xerr=ranges, color=colour, label=title, error_kw={"ecolor": "#17211f", "lw": 1})
        for y, value in zip(where, heights, strict=True):
            if isnan(value):
                axes.text(0, y, "  n too small", va="center", fontsize=8, color="#52605e")
        every += [value for value in heights if not isnan(value)]
    axes.set_yticks(range(len(series)), [_with_n(one) for one in series])
    axes.invert_yaxis()
    if is_wide(every):
        axes.set_xscale("log")
    axes.set_xlabel("TTFT, ms")
    axes.grid(axis="x")
    title = f"TTFT, P50 and P99 ({success_text(series)})"
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=2)
    return chart(figure, name, title, f"Bars of TTFT, P50 and P99, of {len(series)} series")


def boxes(series: Sequence[Series], prefix: str) -> Iterator[Chart]:
    """TTFT and E2E: the middle half, the median, and from P5 to P95."""
    shown = [one for one in series if one.values("e2e")]
    for end, part in parts(shown):
        yield _boxes(part, f"{prefix}spread{end}")


def _boxes(series: Sequence[Series], name: str) -> Chart:
    metrics: list[Metric] = [one for one in METRICS if one != "tpot" and any(s.values(one) for s in series)]
    figure = new_figure(4.6 * len(metrics) + 1.6, 1.2 + 0.42 * len(series))
    title = f"{' and '.join(NAMES[one] for one in metrics)}: P5, P25, P50, P75, P95 ({success_text(series)})"
    for number, metric in enumerate(metrics):
        axes = figure.add_subplot(1, len(metrics), number + 1)
        _box_row(axes, series, metric)
        axes.set_xlabel(f"{NAMES[metric]}, ms")
        axes.grid(axis="x")
        names = [_with_n(one) for one in series] if number == 0 else [""] * len(series)
        axes.set_yticks(range(len(series)), names)
        axes.set_ylim(len(series) - 0.5, -0.5)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return chart(figure, name, title, f"Boxes of {' and '.join(NAMES[one] for one in metrics)} of {len(series)} series")


def _box_row(axes: Any, series: Sequence[Series], metric: Metric) -> None:
    from matplotlib.cbook import boxplot_stats

    boxes, places = [], []
    for place, one in enumerate(series):
        if values := one.values(metric):
            (found,) = boxplot_stats(values, whis=(5, 95))
            boxes.append(found | {"fliers": []})
            places.append(place)
    filled = {"facecolor": COLOURS[0], "alpha": 0.35, "edgecolor": COLOURS[0]}
    axes.bxp(
        boxes,
        positions=places,
        widths=0.55,
        orientation="horizontal",
        patch_artist=True,
        showfliers=False,
        boxprops=filled,
        medianprops={"color": COLOURS[1], "lw": 2},
        manage_ticks=False,
    )
    if is_wide([value for one in boxes for value in (one["whislo"], one["whishi"])]):
        axes.set_xscale("log")


def success_text(series: Sequence[Series]) -> str:
    """Such as `n = 1,200, success 99.8 %`."""
    n, served = sum(one.n for one in series), sum(one.served for one in series)
    return f"n = {n:,}, success {percent(served / n) if n else '-'}"


def _with_n(one: Series) -> str:
    return f"{shortened(one.label)}\nn = {one.n:,}, {percent(one.success)}"
