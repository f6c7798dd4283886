"""How an engine forms its batches: whether requests join while others are answered, or wait until all of them are.

Owns that judgement, by when first tokens come. An engine that runs one batch at a time betrays itself: whoever was sent
while answers flowed has no first token before the last of them has ended, however long that takes and however short his
prompt is. One request that begins beside older ones proves the contrary. One batch of many or one request at a time:
by how many begin at once when more wait.
"""

from math import inf
from typing import Final

from proxy.core.learn.entry import Entry

_GAP_S: Final = 0.003
"""First tokens that come closer together are of one batch."""
_PROOFS: Final = 3
"""Batches in a row that nobody joined though somebody waited for it."""
_WAITED: Final = 3.0
_WAITED_S: Final = 0.05
"""Who waited so many times his prefill, and so long, beside nothing but answers that flow, was not let in."""
_AGAIN: Final = 32
"""After so many batches one request is sent into a running one, to see whether that is still so."""
MOST: Final = 256
"""Requests in one batch."""
_AT_FIRST: Final = 32
_GROW: Final = 2
_RACES: Final = 3
"""An engine that so often took up one request when several were sent together is sent them as they come, as any other:
it finds them in its queue when a batch ends."""


class Batching:
    """Of one backend."""

    __slots__ = (
        "_batches",
        "_begun_at",
        "_ended_at",
        "_moment",
        "_proofs",
        "_races",
        "_running",
        "_sent",
        "_start",
        "_together",
        "_whole",
        "is_closed",
        "most",
        "static",
    )

    def __init__(self) -> None:
        self.static = False
        """Nobody joins a batch that runs."""
        self.is_closed = False
        """Nothing that may wait is sent while anything is there."""
        self.most = _AT_FIRST
        """Requests that it is seen to begin at once, or that may be tried; 1: it is serial."""
        self._proofs = self._batches = self._races = 0
        self._running = 0
        """Streams that have begun and not ended."""
        self._sent = 0
        """Those that have not begun."""
        self._together = 0
        """Those sent since nobody was left."""
        self._whole = False
        """Nothing else was sent since."""
        self._moment = 0
        """Those that began with the last that did."""
        self._begun_at = self._ended_at = self._start = -inf
        """When the last of them did, when nobody was left, and when it took up the last batch."""

    @property
    def serial(self) -> bool:
        """It answers one request at a time."""
        return self.static and self.most == 1

    def sent(self) -> None:
        """A stream goes out."""
        self._sent += 1
        if not self._running:
            self._together += 1
        elif self.static:
            self.is_closed = self._races < _RACES  # this one tells

    def began(self, entry: Entry, now: float) -> None:
        """It has its first token."""
        self._sent -= 1
        if now - self._begun_at <= _GAP_S:
            self._moment += 1
        else:
            self._judge(entry)
            self._moment, self._whole = 1, self.is_closed
            if self.static and not self._batches % _AGAIN:
                self.is_closed = False  # for one
        self._running += 1
        self._begun_at = now

    def left(self, begun: bool, now: float) -> None:
        """It is over."""
        if not begun:
            self._sent -= 1
            return
        self._running -= 1
        if self._running:
            return
        self._ended_at = now
        if self.static:
            self._batch_ended()

    def forget(self) -> None:
        """It is another engine now; what is out may still be of the last one."""
        self.static = self.is_closed = False
        self._proofs = self._races = 0
        self.most = _AT_FIRST

    def _judge(self, entry: Entry) -> None:
        """A new batch begins, or somebody joins the one that runs."""
        if self._running:
            self.forget()
            return
        waited_s = self._ended_at - max(entry.dispatched, self._begun_at)
        if waited_s > _WAITED * entry.cost + _WAITED_S:
            if entry.dispatched < self._start - _GAP_S:  # it was there when the last batch was made up
                self.most = self._moment
            self._proofs += 1
            if self._proofs == _PROOFS:
                self.static = self.is_closed = True
        self._start = max(entry.dispatched, self._ended_at)

    def _batch_ended(self) -> None:
        """What was sent together began together, or not."""
        self._batches += 1
        together, self._together = self._together, 0
        if self._whole:
            if together <= self._moment:
                if self._moment >= self.most > 1:
                    self.most = min(MOST, _GROW * self.most)
            elif self._moment > 1:
                self.most = self._moment
            elif self.most > 1:  # it took up the first before it saw the others
                self._races += 1
        self.is_closed = self._races < _RACES
