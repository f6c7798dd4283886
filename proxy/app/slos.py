"""The service level objectives of one proxy: counted as requests end, written down each minute, read at the start.

Owns when, and what is said of a file that is of no use: once, and the counts go on in memory. No request waits for it.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple

from proxy.app.slo_file import UnusableError, exchange
from proxy.app.steady_clock import SteadyClock
from proxy.model.slos import MAX_SLOS, ServiceLevelObjective
from proxy.obs.record import Record
from proxy.obs.slo.book import PLACES, Row, SloBook, SloStatus

WRITE_EVERY_S: Final = 60.0
_LATE_S: Final = 3 * WRITE_EVERY_S
"""What others counted so long before a save of ours may have come into the file since."""
_FIRST_READ_S: Final = 2.0
_LAST_WRITE_S: Final = 3.0
"""A disk that hangs keeps neither the start nor the end of the process waiting for longer."""
_LEFT_MAX: Final = MAX_SLOS * sum(PLACES.values())
"""Rows: all places of as many objectives as there may be."""
_log = logging.getLogger("tidegate.slo")
Answer = tuple[str, list[Row]]
"""Why the file is of no use, empty for nothing; what is in it."""


class _Save(NamedTuple):
    """One that is under way."""

    answer: "asyncio.Future[Answer]"
    rows: list[Row]
    """What it adds to the file."""
    keys: list[str]
    """Of the objectives there were."""
    at: float


class Slos:
    """One per proxy."""

    def __init__(self, book: SloBook, clock: SteadyClock, path: Path | None) -> None:
        """`path` None: nothing is written down."""
        self._book = book
        self.is_on = bool(book.keys)
        """Whether there are any."""
        self._left: list[Row] = []
        """Not saved, of those that are no more."""
        self._clock = clock
        self._path = path
        self._said = ""
        """Of the last time that the file was of no use; said once."""
        self._saved_at = -inf
        """What others wrote before this is known."""
        self._under_way: _Save | None = None

    def configure(self, slos: Sequence[ServiceLevelObjective]) -> None:
        """These from now on; what the file knows of new ones comes with the next save."""
        self._left += self._book.configure(slos)
        self.is_on = bool(self._book.keys)
        self._saved_at = -inf

    def count(self, record: Record) -> None:
        """One request has ended."""
        self._book.count(record, self._clock.now())

    def status(self) -> list[SloStatus]:
        """For metrics."""
        return self._book.status(self._clock.now())

    def shown(self) -> list[dict[str, Any]]:
        """For whoever asks the admin port."""
        return self._book.shown(self._clock.now())

    async def recall(self) -> None:
        """What earlier processes counted; what cannot be read in time is taken in later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_READ_S):
                await self.save()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            self._clock.look()
            await self.save()

    async def save(self) -> None:
        """What was counted goes into the file, what others counted comes out. While a write hangs no other is begun."""
        if self._path is None or not (self._book.keys or self._left):
            return
        save = self._under_way = self._under_way or self._begun(self._path)
        reason, read = await asyncio.shield(save.answer)
        if self._under_way is not save:  # who waited for it too was first
            return
        self._under_way = None
        keys = self._book.keys
        if reason:
            self._book.give_back(save.rows)
            self._left = [*self._left, *(row for row in save.rows if row[0] not in keys)][-_LEFT_MAX:]
        else:
            self._book.load(read)
            self._saved_at = save.at if keys == save.keys else -inf
        self._tell(reason)

    async def close(self) -> None:
        """The last time."""
        try:
            async with asyncio.timeout(_LAST_WRITE_S):
                if self._under_way is not None:
                    await self.save()
                await self.save()
        except TimeoutError:
            self._tell("the disk does not answer")

    def _begun(self, path: Path) -> "_Save":
        rows, now, keys = self._book.take_unsaved() + self._left, self._clock.now(), self._book.keys
        self._left = []
        return _Save(_in_thread(path, keys, rows, self._saved_at - _LATE_S, now), rows, keys, now)

    def _tell(self, reason: str) -> None:
        if reason and reason != self._said:
            _log.warning("SLO file %s cannot be used: %s; error budgets are kept in memory only", self._path, reason)
        elif self._said and not reason:
            _log.info("SLO file %s is written again", self._path)
        self._said = reason


def _in_thread(path: Path, keys: list[str], rows: list[Row], since: float, now: float) -> "asyncio.Future[Answer]":
    """The thread is nobody's: a disk that hangs keeps no process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def work() -> None:
        answer: Answer
        try:
            answer = "", exchange(path, keys, rows, since, now)
        except UnusableError as error:
            answer = str(error), []
        with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(done.set_result, answer)

    threading.Thread(target=work, name="SLO file", daemon=True).start()
    return done
