"""How many requests a backend is sent at once where nobody told how many it runs: as many as it has begun, and a few
more, so that its queue never runs dry and nearly all who wait do so here, where they have an order.

An engine begins with requests in the order in which they come. So whatever was sent before one that has begun has begun
as well, and what was sent after the last of them is its queue. Nothing bounds those begun: an engine that takes
everything is sent everything. The queue is bounded, by half as many again as were last seen to begin at one moment: an
engine that begins with all that it has at once is soon sent more, one that begins with one whenever another ends is
left with two.

Answers in one piece say only at their end that they had begun. Where enough streams go beside them these tell, else
they have a bound of their own (`one_piece`).
"""

from collections import OrderedDict
from math import exp, inf
from typing import Final

from proxy.core.learn.decaying import Decaying
from proxy.core.learn.entry import Entry
from proxy.core.learn.one_piece import OnePiece
from proxy.core.learn.yielding import Yielding

_AT_FIRST: Final = 8.0
"""Streams taken to begin at one moment while nobody knows, and again when the queue was seen empty."""
_MORE: Final = 2.5
"""Queue per request begun at one moment: the engine has something for its next step while we hear of this one."""
_FADE: Final = 0.9
"""Per moment in which fewer began although more waited here."""
_GAP_S: Final = 0.003
"""First tokens that come closer together are of one step of the engine…"""
_MOMENT_S: Final = 0.02
"""…but no longer than this."""
_TELLING: Final = 0.2
"""Share of streams among the requests from which on they tell for all…"""
_WEIGHT: Final = 0.05
"""…with this weight of the newest."""
_TOLD: Final = 0.7
"""Share of what we sent that an engine must tell of for its metrics to be believed."""
_RATE_S: Final = 5.0
"""Memory of how many begin in a second."""
_LEAST_S: Final = 1.0
"""So long it must have been at work for that to be said."""


class Concurrency:
    """Of one backend."""

    __slots__ = (
        "_began",
        "_denied",
        "_last_at",
        "_moment_at",
        "_most",
        "_open",
        "_since",
        "_started",
        "_streams",
        "_unseen",
        "_unseen_streams",
        "learns",
        "one_piece",
        "yielding",
    )

    def __init__(self, *, learns: bool) -> None:
        self.learns = learns
        self._unseen: OrderedDict[Entry, None] = OrderedDict()
        """Sent after the last that is known to have begun, in that order."""
        self._most = _AT_FIRST
        """Requests that began at one moment, of the largest of the last moments."""
        self._began = 0
        """The same, of the moment that goes on."""
        self._moment_at = self._last_at = -inf
        self._denied = False
        """Somebody was kept waiting here since it began."""
        self._open = 0
        """Attempts that are out."""
        self._since = 0.0
        """When it had nothing to do for the last time."""
        self._started = Decaying(_RATE_S)
        """Requests that began since then, fading."""
        self._streams = 0.0
        """Share of streams among those sent lately."""
        self._unseen_streams = 0
        self.one_piece = OnePiece()
        self.yielding = Yielding()

    @property
    def queued(self) -> int:
        """Requests that wait in the engine, as far as anybody knows."""
        return len(self._unseen)

    @property
    def reserve(self) -> int:
        """Streams that may wait in the engine."""
        return int(_MORE * self._most + 1.0)

    def rate(self, now: float) -> float:
        """Requests it begins with a second, lately; 0: not known yet."""
        if now - self._since < _LEAST_S:
            return 0.0
        return self._started.at(now) / (_RATE_S * (1.0 - exp((self._since - now) / _RATE_S)))

    def has_room(self, *, streams: bool, bulk: bool) -> bool:
        """Whether one more may be sent."""
        if not self.learns or not self._open:
            return True
        if bulk and not self.yielding.has_room(len(self._unseen)):
            return False
        if streams:
            if self._unseen_streams < self.reserve:
                return True
        elif self._streams < _TELLING:
            return self.one_piece.has_room()
        elif len(self._unseen) * self._streams < self.reserve:
            return True
        self._denied = True
        return False

    def sent(self, entry: Entry, now: float) -> None:
        """An attempt goes out."""
        if not self.learns:
            return
        if not self._open:
            self._since, self._started = now, Decaying(_RATE_S)
        self._open += 1
        self.yielding.sent(entry)
        self._unseen[entry] = None
        self._streams += _WEIGHT * (entry.streams - self._streams)
        if entry.streams:
            self._unseen_streams += 1
        else:
            self.one_piece.sent(entry)

    def began(self, entry: Entry, now: float) -> None:
        """A first token, or a whole answer, was seen: all that were sent before have begun too."""
        if entry not in self._unseen:
            return
        streams = count = 0
        for other in self._taken_up_to(entry):
            count += 1
            streams += other.streams
        self._unseen_streams -= streams
        self._note(count, streams, now)
        if not self._unseen:
            self._most = max(self._most, _AT_FIRST)

    def ended(self, entry: Entry, tokens: int | None, now: float) -> None:
        """A whole answer came, of so many tokens; before `left`."""
        if not self.learns:
            return
        if not entry.streams:
            self.one_piece.ended(entry, tokens)
        self.began(entry, now)

    def left(self, entry: Entry, now: float) -> None:
        """An attempt is over."""
        if not self.learns:
            return
        self._open -= 1
        self.yielding.left(entry, now)
        if not entry.streams:
            self.one_piece.left()
        if entry in self._unseen:
            del self._unseen[entry]
            self._unseen_streams -= entry.streams

    def told(self, running: float | None, waiting: float | None) -> None:
        """A scrape, believed to be sane."""
        if self.learns and running is not None and waiting is not None and running + waiting >= _TOLD * self._open:
            self.one_piece.told(running, waiting)

    def _taken_up_to(self, entry: Entry) -> list[Entry]:
        taken = []
        while True:
            other = self._unseen.popitem(last=False)[0]
            taken.append(other)
            if other is entry:
                return taken

    def _note(self, count: int, streams: int, now: float) -> None:
        self._started.add(count, now)
        if now - self._last_at > _GAP_S or now - self._moment_at > _MOMENT_S:
            if self._denied and self._began < self._most:
                self._most = max(1.0, self._most * _FADE)
            self._moment_at, self._began, self._denied = now, 0, False
        self._last_at = now
        self._began += streams
        self._most = max(self._most, float(self._began))
