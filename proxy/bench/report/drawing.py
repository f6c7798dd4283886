"""What the charts of a report have in common: colours, sizes, files. Needs matplotlib, of the extra `tidegate[bench]`.

The same figures make the same bytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import ceil, nan
from typing import Any, Final, TypeVar

from proxy.bench.percentiles import Percentile

COLOURS: Final = ("#0b7285", "#b0641a", "#7c6aa6", "#2f7d4f", "#b03a5b", "#5b6b73", "#9a7d0a", "#3b5bdb")
"""Told apart by those who see few colours too, together with the markers."""
MARKERS: Final = "osD^vPX*"
OUTCOMES: Final = {
    "served": "#2f7d4f",
    "refused": "#e0a030",
    "failed": "#c0392b",
    "broken": "#8e2a4a",
    "cancelled": "#8a99a3",
}
MOST: Final = 16
"""Series in one picture; more are drawn in a second one."""
_T = TypeVar("_T")
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "tidegate",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a99a3",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": "#e6ebea",
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture."""

    name: str
    """Of its files, without their ending."""
    title: str
    alt: str
    """What it shows, for who does not see it."""
    svg: bytes
    png: bytes


@contextmanager
def style() -> Iterator[None]:
    """In which figures are made and saved."""
    from matplotlib import rc_context  # an extra: 30 MB for pictures alone

    with rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Any:
    """Inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def chart(figure: Any, name: str, title: str, alt: str) -> Chart:
    """Saved both ways."""
    svg, png = BytesIO(), BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.savefig(png, format="png", dpi=144, metadata={"Software": None})
    return Chart(name, title, alt, svg.getvalue(), png.getvalue())


def whiskers(values: Sequence[Percentile | None], unit: float = 1.0) -> tuple[list[float], list[list[float]]]:
    """Heights, and how far the range of each goes down and up, as matplotlib wants them."""
    heights = [nan if one is None else one.value * unit for one in values]
    down = [0.0 if one is None or one.low is None else (one.value - one.low) * unit for one in values]
    up = [0.0 if one is None or one.high is None else (one.high - one.value) * unit for one in values]
    return heights, [down, up]


def parts(found: Sequence[_T], most: int = MOST) -> Iterator[tuple[str, Sequence[_T]]]:
    """Equal ones of at most so many, one picture each, with what their names end in."""
    count = ceil(len(found) / most)
    for number in range(count):
        part = found[number * len(found) // count : (number + 1) * len(found) // count]
        yield (f"-{number + 1}" if count > 1 else ""), part


def is_wide(values: Sequence[float]) -> bool:
    """Whether they are so far apart that only a logarithmic axis shows the small ones."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) > 50 * min(positive)


def shortened(label: str, most: int = 40) -> str:
    """For an axis."""
    return label if len(label) <= most else label[: most - 1] + "…"
