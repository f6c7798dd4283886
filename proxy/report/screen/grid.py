"""Columns in a given width: some leave when it is narrow, names get shorter, charts take what is left.

Owns how wide a column is. What stands in one is the business of whoever shows it.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.text import Text

Cell = str | Text | Callable[[int], Text]
"""A chart is told its width."""
GAP: Final = 2
"""Cells between columns."""
TITLE: Final = "bold cyan"


class Column(NamedTuple):
    """One column of a grid."""

    title: str
    right: bool = False
    """Numbers stand at the right."""
    rank: int = 0
    """The highest leave first when it is too narrow; 0: never."""
    least: int = 0
    """It may be shortened to so many cells; 0: never."""
    usual: int = 0
    """Cells that it has even when what stands in it now is shorter, so that it does not jump."""
    most: int = 0
    """Of a chart: up to so many of the cells that are left."""


def grid(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[Text]:
    """One line of `width` cells at most for the titles, and one for each row."""
    widths = _widths(columns, rows, width)
    lines = [_heading(columns, widths)] + [_line(row, columns, widths) for row in rows]
    for line in lines:
        line.truncate(width)
    return lines


def _heading(columns: Sequence[Column], widths: Sequence[int]) -> Text:
    first, *others = columns
    cells = [Text(first.title, TITLE), *[Text(one.title, "dim") for one in others]]
    return _line(cells, columns, widths)


def fitted(cell: Cell, width: int, *, right: bool = False) -> Text:
    """In exactly so many cells; what is too long ends in an ellipsis."""
    text = cell(width) if callable(cell) else Text(cell) if isinstance(cell, str) else cell.copy()
    text.truncate(width, overflow="ellipsis")
    missing = width - text.cell_len
    return Text.assemble(" " * missing, text) if right else Text.assemble(text, " " * missing)


def _line(row: Sequence[Cell], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    line = Text(no_wrap=True)
    for cell, column, width in zip(row, columns, widths, strict=True):
        if width:
            line.append(" " * GAP if line else "")
            line.append_text(fitted(cell, width, right=column.right))
    return line


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[int]:
    """Of each; 0: it is left out."""
    natural = [max(one.usual, *(_long(row[at]) for row in rows), cell_len(one.title)) for at, one in enumerate(columns)]
    least = [min(one.least or wide, wide) for one, wide in zip(columns, natural, strict=True)]
    shown = list(range(len(columns)))
    while _sum(least, shown) > width and any(columns[at].rank for at in shown):
        shown.remove(max(shown, key=lambda at: (columns[at].rank, at)))
    found = [least[at] if at in shown else 0 for at in range(len(columns))]
    left = width - _sum(found, shown)
    for wanted in (natural, [one.most for one in columns]):
        for at in shown:
            more = min(max(wanted[at] - found[at], 0), max(left, 0))
            found[at] += more
            left -= more
    return found


def _sum(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[at] for at in shown) + GAP * max(len(shown) - 1, 0)


def _long(cell: Cell) -> int:
    return cell_len(cell) if isinstance(cell, str) else 0 if callable(cell) else cell.cell_len
