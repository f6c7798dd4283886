"""A part of the screen that can be shown in more or fewer lines, and the lines that such parts get of a height.

Owns who gives way when it is low.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.text import Text

NO_BOUND: Final = 1_000_000
"""Lines, where nobody looks at a screen."""


class Section(NamedTuple):
    """One part; it stands where it is in the list."""

    lines: Callable[[int], list[Text]]
    """So many at most."""
    least: int
    """Lines without which it is left out."""
    wanted: int
    """Lines in which all of it is shown."""
    weight: int = 0
    """Who has more gets its least lines earlier,"""
    grows: int = 1
    """and who has more here gets what is left earlier."""
    upto: int = 0
    """More lines than these are of use only if they are all that are wanted; 0: each one is."""


def allotted(sections: Sequence[Section], height: int, gap: int) -> list[int]:
    """Lines of each; their sum, with `gap` lines between two, is at most `height`."""
    given, left = [0] * len(sections), height + gap
    order = sorted(range(len(sections)), key=lambda at: -sections[at].weight)
    for at in order:
        least = min(sections[at].least, sections[at].wanted)
        if 0 < least <= left - gap:
            given[at] = least
            left -= least + gap
    for at in sorted(order, key=lambda at: -sections[at].grows):
        if given[at]:
            more = _growth(sections[at], given[at], left)
            given[at] += more
            left -= more
    return given


def _growth(section: Section, given: int, left: int) -> int:
    if section.upto and section.wanted - given > left:
        return min(max(section.upto - given, 0), left)
    return min(section.wanted - given, left)


def stacked(sections: Sequence[Section], height: int, gap: int) -> list[Text]:
    """All of them in so many lines."""
    lines: list[Text] = []
    for section, rows in zip(sections, allotted(sections, height, gap), strict=True):
        shown = section.lines(rows)[:rows] if rows else []
        if shown:
            lines += [Text("") for _ in range(gap if lines else 0)] + shown
    return lines[:height]


def beside(upper: Section, lower: Section) -> Section:
    """Two that stand together without a gap."""

    def lines(rows: int) -> list[Text]:
        above, below = allotted([upper, lower], rows, 0)
        return [*upper.lines(above)[:above], *lower.lines(below)[:below]]

    least, wanted = upper.least + lower.least, upper.wanted + lower.wanted
    return Section(lines, least, wanted, max(upper.weight, lower.weight), max(upper.grows, lower.grows))


def fixed(lines: Sequence[Text], weight: int) -> Section:
    """Shown whole, or not at all."""
    return Section(lambda _: list(lines), len(lines), len(lines), weight)


def cut(lines: Sequence[Text], rows: int, left_out: Callable[[int], Text]) -> list[Text]:
    """The first ones; when they are too many, the last line says how many are not shown."""
    if len(lines) <= rows:
        return list(lines)
    kept = max(rows - 1, 0)
    return [*lines[:kept], left_out(len(lines) - kept)][:rows]
