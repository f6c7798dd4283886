"""One batch that runs: what of it was read, is out, comes again, and is not written yet.

Owns these lists and which line is next. Knows no engine and no disk.
"""

import asyncio
from heapq import heappop, heappush
from typing import Final, NamedTuple

from proxy.core.bulk.outlook import Outlook
from proxy.live.lines.call import LineExchange
from proxy.model.batch import Batch, BatchLine, BatchView, LineResult

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
_YIELDING: Final = 0.75
"""Share of the window over which lines are spread, if they have to yield for so long: the rest is for bad luck."""
MOST_RETRIES: Final = 256
"""Lines that come again; with more of them none begins for the first time."""


class Ready(NamedTuple):
    """A line that may be sent."""

    line: BatchLine
    raw: bytes
    """As it stands in the input file."""
    failures: int = 0
    """Attempts at which an engine failed."""


class Out(NamedTuple):
    """A line that is out."""

    ready: Ready
    exchange: LineExchange


class Running:
    """Of one batch. `due`: monotonic seconds at which its window is over; `descriptor`: of its input file."""

    __slots__ = (
        "_began",
        "_later",
        "_lines",
        "_news",
        "_slice",
        "batch",
        "behind",
        "descriptor",
        "done",
        "due",
        "failed",
        "is_ending",
        "is_read",
        "is_reading",
        "out",
        "outlook",
        "pause_s",
        "pause_until",
        "unwritten",
    )

    def __init__(self, batch: Batch, descriptor: int, due: float, now: float) -> None:
        self.batch = batch
        self.descriptor = descriptor
        self.due = due
        self.outlook = Outlook(now)
        self._slice: list[Ready] = []
        """Lines that were read, the next one last."""
        self._later: list[tuple[float, int, Ready]] = []
        """(not before, line, what comes again), a heap."""
        self.behind: tuple[bytes, int] = (b"", 0)
        """(head, line) of the last one that was read."""
        self.is_read = False
        """None is left to be read."""
        self.is_reading = False
        self.out: dict[int, Out] = {}
        self.unwritten: list[LineResult] = []
        self.pause_until = 0.0
        """Nobody had room for its lines."""
        self.pause_s = FIRST_PAUSE_S
        self.is_ending = False
        """None of its lines begins any more."""
        self.done, self.failed = batch.done, batch.failed
        self._began, self._lines = now, max(1, self.left)
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Until something of it has come to an end."""
        self._news.clear()
        await self._news.wait()

    def tell(self) -> None:
        """Something has."""
        self._news.set()

    @property
    def has_all(self) -> bool:
        """Each of its lines has a result that is written."""
        return self.is_read and not (self._slice or self._later or self.out or self.unwritten)

    @property
    def is_at_rest(self) -> bool:
        """Nothing of it is on its way."""
        return not (self.out or self.unwritten or self.is_reading)

    @property
    def left(self) -> int:
        """Lines without a written result."""
        return self.batch.total - self.done - self.failed

    @property
    def yields_until(self) -> float:
        """Monotonic seconds until which its next line goes only where nobody feels it. Those that have not gone by then
        go as any bulk, one after the other, so that the window is kept whoever is there meanwhile."""
        gone = self._lines - self.left + len(self.out)
        return self._began + _YIELDING * (self.due - self._began) * min(1.0, (gone + 1) / self._lines)

    def wants_more(self, at_least: int) -> bool:
        """Whether more of it is to be read now."""
        return not (self.is_read or self.is_reading or self.is_ending) and len(self._slice) < at_least

    def read(self, ready: list[Ready], *, is_last: bool) -> None:
        """What was read behind all before."""
        if self.is_ending:
            return
        self._slice = [*reversed(ready), *self._slice]
        self.is_read = is_last
        if ready:
            self.behind = ready[-1].line.head, ready[-1].line.line

    def has_next(self, now: float) -> bool:
        """Whether a line may be sent now."""
        if self.is_ending or now < self.pause_until:
            return False
        if self._later and self._later[0][0] <= now:
            return True
        return bool(self._slice) and len(self._later) < MOST_RETRIES

    def next(self, now: float) -> Ready:
        """That line."""
        if self._later and self._later[0][0] <= now:
            return heappop(self._later)[2]
        return self._slice.pop()

    def again(self, ready: Ready, not_before: float) -> None:
        """It has to be sent once more."""
        if not self.is_ending:
            heappush(self._later, (not_before, ready.line.line, ready))

    def nobody_had_room(self, now: float, wait_s: float | None) -> None:
        """Its lines rest for a while, longer each time, or as they were told to, within reason: a quota may change."""
        if now >= self.pause_until:
            self.pause_until = now + max(self.pause_s, min(wait_s or 0.0, LONGEST_PAUSE_S))
            self.pause_s = min(2.0 * self.pause_s, LONGEST_PAUSE_S)

    def end(self) -> None:
        """None of its lines begins any more."""
        self.is_ending = True
        self._slice, self._later = [], []

    def view(self, now: float) -> BatchView:
        """What there is to be seen of it."""
        batch = self.batch
        return BatchView(
            batch.id,
            batch.owner.tenant,
            batch.state.value,
            batch.endpoint,
            batch.model,
            batch.total,
            self.done,
            self.failed,
            len(self.out),
            self.due - now,
            self.outlook.eta_s(self.left, now),
        )
