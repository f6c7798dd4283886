"""What people see while a run is going: a bar with percentiles so far and the time left, or plain lines where nobody
looks at a terminal.

Owns the words and the numbers shown; a percentile stands there only when enough requests are beyond it.
"""

import time
from collections import Counter
from statistics import fmean
from typing import Final, TextIO

from ddsketch import DDSketch
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from proxy.bench.percentiles import least_n
from proxy.bench.run_file import Cell
from proxy.bench.run_folder import Measured
from proxy.bench.spec import Beat
from proxy.bench.summary import SHARES

LINE_EVERY_S: Final = 10.0
_ACCURACY: Final = 0.01
_BAR: Final = 40
"""Characters."""


class Tally:
    """Of one cell, so far."""

    def __init__(self, cell: Cell, sides: int, now: float) -> None:
        self.cell, self._sides, self.began = cell, sides, now
        self._measuring: float | None = None
        self.ttft, self.e2e = DDSketch(_ACCURACY), DDSketch(_ACCURACY)
        self.ends: Counter[str] = Counter()
        self.tokens = 0
        self.beat: Beat | None = None

    def take(self, one: Measured, now: float) -> None:
        """One request that is over."""
        if self._measuring is None:
            self._measuring = now
        self.ends[one.detail.outcome] += 1
        if one.row.success:
            self.tokens += one.row.output_tokens or 0
            for sketch, value in ((self.ttft, one.row.ttft_ms), (self.e2e, one.row.e2e_ms)):
                if value is not None:
                    sketch.add(value)

    def take_beat(self, beat: Beat, now: float) -> None:
        """Where the load generator stands."""
        self.beat = beat
        if beat.phase == "measuring" and self._measuring is None:
            self._measuring = now

    @property
    def done(self) -> int:
        """Requests that are over."""
        return sum(self.ends.values())

    def share(self, now: float) -> float:
        """Of the cell, 0 to 1."""
        if self.cell.planned:
            return min(1.0, self.done / (self.cell.planned * self._sides))
        if self.cell.duration_s and self._measuring is not None:
            return min(1.0, (now - self._measuring) / self.cell.duration_s)
        return 0.0

    def left_s(self, now: float) -> float | None:
        """Until its end; None: nobody can say yet."""
        share = self.share(now)
        if self._measuring is None or share <= 0.0:
            return None
        return (now - self._measuring) * (1 - share) / share

    def words(self, now: float) -> str:
        """In one line."""
        took = max(1e-9, now - (self._measuring or now))
        parts = [f"{self.done} done"]
        wrong = sum(self.ends.values()) - self.ends["served"] - self.ends["cancelled"]
        if wrong:
            parts.append(f"{wrong} not served")
        if self._measuring is not None and self.done:
            parts.append(f"{self.done / took:.1f} req/s, {self.tokens / took:.0f} tok/s")
        for name, sketch in (("TTFT", self.ttft), ("E2E", self.e2e)):
            if shown := _percentiles(sketch):
                parts.append(f"{name} {shown} ms")
        if self.beat is not None and self.beat.phase in ("filling", "warming up"):
            parts.insert(0, f"{self.beat.phase}, {self.beat.sent} sent")
        left = self.left_s(now)
        if left is not None:
            parts.append(f"{left:.0f} s left")
        return " · ".join(parts)


class Progress:
    """Shows a run. `with` it: a terminal is given back as it was."""

    def __init__(self, stream: TextIO, cells: int) -> None:
        self._stream, self._cells, self._number = stream, cells, 0
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True) if stream.isatty() else None
        self._tally: Tally | None = None
        self._said = 0.0
        self._counts = True
        """The cell is one of those that there are to be."""
        self._took: list[float] = []
        """Seconds of each cell that is over."""

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._console.print(Text(text))
        else:
            print(text, file=self._stream, flush=True)

    def begins(self, cell: Cell, sides: int, what: str = "", *, counts: bool = True) -> None:
        """Another cell, or one beside them."""
        self._number += counts
        self._counts = counts
        now = time.monotonic()
        self._tally, self._said = Tally(cell, sides, now), now
        if self._live is None:
            self.say(f"[{self._number}/{self._cells}] {cell.id}{what}")

    def take(self, one: Measured | Beat) -> None:
        """Something was told."""
        if self._tally is None:
            return
        now = time.monotonic()
        if isinstance(one, Measured):
            self._tally.take(one, now)
            return
        self._tally.take_beat(one, now)
        if self._live is not None:
            self._live.update(self._picture(self._tally, now), refresh=True)
        elif now - self._said >= LINE_EVERY_S:
            self._said = now
            self.say(f"    {self._words(self._tally, now)}")

    def ends(self) -> None:
        """The cell is over."""
        if self._tally is not None:
            if self._live is not None:
                self._live.update(Text(), refresh=True)
            words = self._tally.words(time.monotonic()).partition(" · 0 s left")[0]
            self.say(f"[{self._number}/{self._cells}] {self._tally.cell.id}: {words}" if self._live else f"    {words}")
            if self._counts:
                self._took.append(time.monotonic() - self._tally.began)
            self._tally = None

    def _words(self, tally: Tally, now: float) -> str:
        words, left_s = tally.words(now), self.left_s(now)
        return words if left_s is None else f"{words} · about {_roughly(left_s)} for all"

    def left_s(self, now: float) -> float | None:
        """Until the last cell ends, if those to come take as long as those that were; None: nobody can say yet, or this
        is the last."""
        tally, to_come = self._tally, self._cells - self._number
        if tally is None or to_come < 1:
            return None
        took_s, left_s = now - tally.began, tally.left_s(now)
        if not self._took and left_s is None:
            return None
        each_s = fmean(self._took) if self._took else took_s + (left_s or 0.0)
        return (max(0.0, each_s - took_s) if left_s is None else left_s) + to_come * each_s

    def _picture(self, tally: Tally, now: float) -> Table:
        lines = Table.grid()
        lines.add_row(Text(f"[{self._number}/{self._cells}] {tally.cell.id}", style="bold"))
        lines.add_row(ProgressBar(total=1.0, completed=tally.share(now), width=_BAR))
        lines.add_row(Text(self._words(tally, now)))
        return lines


def _roughly(seconds: float) -> str:
    """For people."""
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _percentiles(sketch: DDSketch) -> str:
    shown = []
    for share in SHARES:
        value = sketch.get_quantile_value(share) if sketch.count >= least_n(share) else None
        if value is not None:
            shown.append(f"P{share * 100:.0f} {value:.0f}")
    return " ".join(shown)
