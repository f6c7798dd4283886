"""Tables for people: as wide as the terminal at most, plain where nobody looks at one.

Owns how a table that is too wide is shown otherwise.
"""

import shutil
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Sequence[str]
_GAP = 2
"""Characters between columns."""
UNBOUNDED = 10_000
"""Columns: of a file or a pipe, where a line is cut by nobody."""


def width_of(stream: TextIO) -> int:
    """Characters that a line may have there."""
    return shutil.get_terminal_size().columns if stream.isatty() else UNBOUNDED


def table(header: Row, rows: Sequence[Row], *, width: int = UNBOUNDED, left: int = 1, colour: bool = False) -> str:
    """Lines with their ends. Titles are broken at spaces where that helps, values never; what is too wide even so is
    shown as one paragraph per row. `left`: so many columns stand at the left, the others are numbers."""
    columns = [*zip(header, *rows, strict=True)]
    narrowest = sum(max(_widest_word(title), *map(len, cells), 0) for title, *cells in columns)
    if narrowest + _GAP * len(header) > width:  # the last column's gap is counted too
        return "".join(_paragraphs(header, rows))
    shown = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold" if colour else "")
    for number, (title, *cells) in enumerate(columns):
        least = max(_widest_word(title), *map(len, cells), 0)
        justify = "left" if number < left else "right"
        shown.add_column(Text(title), justify=justify, min_width=least, vertical="bottom")  # type: ignore[arg-type]
    for row in rows:
        shown.add_row(*(Text(cell, no_wrap=True) for cell in row))
    return _rendered(shown, width, colour)


def _paragraphs(header: Row, rows: Sequence[Row]) -> Iterator[str]:
    title_width = max(map(len, header[1:]), default=0)
    for row in rows:
        yield f"{row[0].strip()}\n"
        for title, cell in zip(header[1:], row[1:], strict=True):
            yield f"  {title:<{title_width}}  {cell}".rstrip() + "\n"


def _rendered(shown: Table, width: int, colour: bool) -> str:
    console = Console(width=width, color_system="standard" if colour else None, highlight=False, force_terminal=colour)
    with console.capture() as captured:
        console.print(shown)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _widest_word(title: str) -> int:
    return max(map(len, title.split()), default=0)
