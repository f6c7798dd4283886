"""Small drawings of text: charts of blocks, bars, and what stands for them where a terminal has only ASCII."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.text import Text

from proxy.report.screen.watched import Ring

GOOD: Final = "green"
WARN: Final = "yellow"
BAD: Final = "red"
ACCENT: Final = "cyan"
DIM: Final = "dim"
_BLOCKS: Final = "▁▂▃▄▅▆▇"
"""Not the full one: lines below each other stay apart."""
_PLAIN: Final = str.maketrans("▁▂▃▄▅▆▇━─\u2013·…\u00d7≤\ufffd↑↓", "_.,-=+#=--.~x<?^v")
"""Each of one cell, as what it stands for."""


def spark(values: Sequence[float | None], *, promised: float | None = None) -> Text:
    """One block per value, the largest the highest; red above what is promised, blank where none is known."""
    top = max((value for value in values if value is not None), default=0.0)
    drawn = Text(no_wrap=True)
    for value in values:
        if value is None:
            drawn.append(" ")
            continue
        height = round(value / top * (len(_BLOCKS) - 1)) if top > 0 else 0
        drawn.append(_BLOCKS[height], BAD if promised is not None and value > promised else ACCENT)
    return drawn


def chart(ring: Ring | None, promised: float | None = None) -> Callable[[int], Text]:
    """A cell that fills its column; the newest at the right."""

    def draw(width: int) -> Text:
        drawn = spark([] if ring is None else ring.columns(width), promised=promised)
        return Text.assemble(" " * (width - len(drawn)), drawn)

    return draw


def bar(share: float | None, *, style: str = ACCENT, most: int = 100) -> Callable[[int], Text]:
    """A cell that is filled so far; None: nothing is known."""

    def draw(width: int) -> Text:
        wide = min(width, most)
        if share is None:
            return Text(" " * wide)
        filled = round(min(max(share, 0.0), 1.0) * wide)
        return Text.assemble(("━" * filled, style), ("─" * (wide - filled), DIM))

    return draw


def load_style(share: float) -> str:
    """Of something that fills up."""
    return BAD if share >= 1 else WARN if share > 0.8 else ACCENT


def in_ascii(text: str) -> str:
    """The same number of characters."""
    return text.translate(_PLAIN)
