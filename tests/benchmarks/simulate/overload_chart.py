"""The chart of goodput over load as one SVG, on its own ground, light and dark as the reader's system is.

Drawn of figures alone: the same figures make the same bytes. Owns where everything stands, in pixels.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.benchmarks.simulate.measured import OURS
from tests.benchmarks.simulate.overload_figures import Row, Shares, best_baseline, loads, shares

CHART = Path(__file__).parent / "results" / "overload.svg"
WIDTH, HEIGHT = 860, 412
LEFT, RIGHT, TOP, BOTTOM = 54, 632, 74, 330
"""Of the area in which lines are; what they are is written to the right of it."""
_LABEL_PX = 40
"""Between the labels of two lines, at least."""
_PROMISES = (
    "Chats: a first token within 200 ms, then one within 40 ms. Bulk: all of it within 120 s. Refused is not kept."
)
_NAMES = {
    "ours": ("Tidegate", "policy goodput"),
    "best": ("the best of eight", "without admission"),
    "turns": ("round robin", "one of the eight"),
}
"""Two lines of text each."""
_STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 13px; fill: #52605e; }
.ground { fill: #fff; stroke: #dbe2e1; } .grid { stroke: #e6ebea; }
.title { font-size: 16px; font-weight: 600; fill: #17211f; }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
.name { font-weight: 600; } .value { font-size: 19px; font-weight: 700; }
.ours { stroke: #0b7285; } .best { stroke: #b0641a; } .turns { stroke: #7c6aa6; }
.band { stroke: none; opacity: .13; }
text.ours, .band.ours, circle.ours { fill: #0b7285; stroke: none; }
text.best, .band.best, circle.best { fill: #b0641a; stroke: none; }
text.turns, .band.turns, circle.turns { fill: #7c6aa6; stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #9dabaa; } .ground { fill: #161d1f; stroke: #2a3538; } .grid { stroke: #2a3538; }
  .title { fill: #e6eceb; }
  .ours { stroke: #57c3d3; } .best { stroke: #efae62; } .turns { stroke: #b9a7e6; } .band { opacity: .2; }
  text.ours, .band.ours, circle.ours { fill: #57c3d3; } text.best, .band.best, circle.best { fill: #efae62; }
  text.turns, .band.turns, circle.turns { fill: #b9a7e6; }
}
"""


def drawn(rows: Sequence[Row]) -> str:
    """As text."""
    at = loads(rows)
    policies = {
        "turns": ["round_robin"] * len(at),
        "best": [best_baseline(rows, load) for load in at],
        "ours": [OURS] * len(at),
    }
    parts = [*_ground(rows, at)]
    ends: dict[str, float] = {}
    for key, names in policies.items():
        found = [shares(rows, load, name) for load, name in zip(at, names, strict=True)]
        parts += _line(key, found, [_x(load, at) for load in at])
        ends[key] = found[-1].good
    for key, y in _apart({key: _y(share) for key, share in ends.items()}).items():
        parts += _label(key, y, ends[key])
    style = f"<style>{_STYLE}</style>"
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    title = f"<title>{escape(_said(ends))}</title>"
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', title, style, *parts, "</svg>", ""]
    )


def _said(ends: dict[str, float]) -> str:
    return (
        f"Share of requests that kept every promise, over load. At twice what the engines can hold: Tidegate "
        f"{ends['ours']:.0f} %, the best of eight policies without admission {ends['best']:.0f} %, round robin "
        f"{ends['turns']:.0f} %."
    )


def _ground(rows: Sequence[Row], at: Sequence[float]) -> Iterator[str]:
    """Frame, title, grid, axes, and what was measured."""
    seeds = len({row.seed for row in rows})
    most = sum(row.requests for row in rows if (row.load, row.policy) == (at[-1], OURS))
    yield f'<rect class="ground" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10"/>'
    yield _text(20, 32, "Requests that kept every promise, %", "title")
    yield _text(20, 52, _PROMISES)
    for share in range(0, 101, 20):
        yield f'<path class="grid" d="M{LEFT} {_y(share):.1f}H{RIGHT}"/>'
        yield _text(LEFT - 10, _y(share) + 4, str(share), anchor="end")
    for load in at:
        yield _text(_x(load, at), BOTTOM + 22, f"{load:g} \u00d7", anchor="middle")
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 42, "load, in multiples of what the engines can hold", anchor="middle")
    how = f"Virtual time, four modelled engines, {seeds} seeds, {most:,} requests at {at[-1]:g} \u00d7."
    yield _text(20, HEIGHT - 12, f"{how} Bands: the worst and the best seed.")


def _line(key: str, found: Sequence[Shares], xs: Sequence[float]) -> Iterator[str]:
    """The means over a band from the worst seed to the best."""
    upper = [(x, _y(one.best)) for x, one in zip(xs, found, strict=True)]
    lower = [(x, _y(one.worst)) for x, one in zip(xs, found, strict=True)]
    middle = [(x, _y(one.good)) for x, one in zip(xs, found, strict=True)]
    yield f'<polygon class="band {key}" points="{_points([*upper, *reversed(lower)])}"/>'
    yield f'<polyline class="line {key}" points="{_points(middle)}"/>'
    for x, y in middle:
        yield f'<circle class="{key}" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>'


def _label(key: str, y: float, share: float) -> Iterator[str]:
    name, more = _NAMES[key]
    yield _text(RIGHT + 12, y + 6, f"{share:.0f} %", f"value {key}")
    yield _text(RIGHT + 74, y - 2, name, f"name {key}")
    yield _text(RIGHT + 74, y + 14, more)


def _apart(wanted: dict[str, float]) -> dict[str, float]:
    """Heights of labels: where their lines end, or below the one above."""
    placed: dict[str, float] = {}
    above = -float("inf")
    for key, y in sorted(wanted.items(), key=lambda item: item[1]):
        above = placed[key] = max(y, above + _LABEL_PX)
    return placed


def _x(load: float, at: Sequence[float]) -> float:
    return LEFT + 16 + (RIGHT - LEFT - 32) * (load - at[0]) / (at[-1] - at[0])


def _y(share: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share / 100


def _points(found: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in found)


def _text(x: float, y: float, words: str, name: str = "", anchor: str = "start") -> str:
    named = f' class="{name}"' if name else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
