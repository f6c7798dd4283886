"""The last requests that ended, kept for whoever wants to know why one went where it did.

Owns the two bounds: the last requests of any kind, and the last of those that did not simply go well, which a busy
proxy would lose within a second. One append per request; what is shown is made when somebody looks.
"""

from collections import deque
from dataclasses import replace
from typing import Final

from proxy.model.outcome import SERVED
from proxy.obs.record import Record

MOST: Final = 200
"""Requests of any kind,"""
MOST_NOTABLE: Final = 100
"""and of those in which something was decided against the usual."""
_LONGEST_WAIT_S: Final = 0.05
"""Held for longer is notable."""
_PREFIX_BLOCKS: Final = 256
"""Of a prompt's prefix so many are kept: enough to ask again, 10 kB each at most."""


class Recent:
    """One per proxy."""

    __slots__ = ("_all", "_notable", "seq")

    def __init__(self) -> None:
        self._all: deque[tuple[int, Record]] = deque(maxlen=MOST)
        self._notable: deque[tuple[int, Record]] = deque(maxlen=MOST_NOTABLE)
        self.seq = 0
        """Number of the last one; grows by one with each request."""

    def add(self, record: Record) -> None:
        """A request ended."""
        job = record.job
        if job is None:
            return
        self.seq += 1
        if len(job.prefix) > _PREFIX_BLOCKS:
            record.job = replace(job, prefix=job.prefix[:_PREFIX_BLOCKS])
        entry = self.seq, record
        self._all.append(entry)
        if is_notable(record):
            self._notable.append(entry)

    def since(self, seq: int, most: int, *, notable: bool = False) -> list[tuple[int, Record]]:
        """The newest `most` of those that came after number `seq`, the newest first."""
        found: list[tuple[int, Record]] = []
        for entry in reversed(self._notable if notable else self._all):
            if entry[0] <= seq or len(found) == most:
                break
            found.append(entry)
        return found

    def find(self, seq: int = 0, request_id: str = "") -> tuple[int, Record] | None:
        """The one of that number or id, if it is still kept."""
        for kept in (self._all, self._notable):
            for entry in reversed(kept):
                if entry[0] == seq or (request_id and entry[1].id == request_id):
                    return entry
        return None


def is_notable(record: Record) -> bool:
    """Whether something was decided about it beyond "there it goes"."""
    if record.outcome is not SERVED or record.attempts > 1 or record.fallback or record.hedge or record.resumed:
        return True
    line = record.timeline
    if line.released is None or line.understood is None:
        return False
    return line.released - line.understood > _LONGEST_WAIT_S
