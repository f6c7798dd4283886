"""How many requests whose answers come in one piece fit into an engine at once: only their ends are seen.

Where requests are begun in the order in which they come, none ends before all that were queued ahead of it have begun,
and that takes as many ends as there are places for them. So a short answer tells: the ends it saw while it was inside
are those of the queue ahead of it, and of its own short stay. Of `inside` requests `queued` wait, one that lasts `x`
times the mean sees

    ends = queued + (inside - queued) * x

Where all are equally long nobody can tell a queue from a large batch: then nothing is bounded for long, which is better
than to throttle an engine that would have run more. Its metrics, where it has any, tell it at once.
"""

from typing import Final

from proxy.core.learn.entry import Entry

_AT_FIRST: Final = 64.0
_LEAST: Final = 4.0
_MOST: Final = 16_384.0
_SHORT: Final = 0.5
"""Answers of at most this share of the mean length tell of the queue."""
_SAMPLES: Final = 16
"""Such answers before anything is concluded…"""
_MANY: Final = 64.0
"""…or ends among which there were fewer of them."""
_FEW: Final = 4
"""Fewer of them than this are chance: nobody can tell."""
_GROW: Final = 2.0
_SPARE: Final = 1.25
"""Places per request that runs."""
_LONG_QUEUE: Final = 0.3
"""Share of those inside that wait, above which they are too many…"""
_SHORT_QUEUE: Final = 0.15
"""…and below which there may be more."""
_WEIGHT: Final = 0.05
"""Of the newest answer in the mean length."""


class OnePiece:
    """Of one backend."""

    __slots__ = ("_answer", "_ends", "_fence", "_heard", "_queued", "_samples", "_sent", "cap", "denied", "inside")

    def __init__(self) -> None:
        self.cap = _AT_FIRST
        """So many may be inside."""
        self.inside = 0
        self.denied = False
        """Somebody was kept waiting since the last change."""
        self._answer = 0.0
        """Mean tokens of an answer."""
        self._ends = self._sent = 0
        self._fence = 0
        """What was sent before says nothing of the present cap."""
        self._heard = 0
        """Ends since the last change of those sent after it…"""
        self._samples = 0
        """…and those of them that were short."""
        self._queued = 0.0
        """Share of those inside that waited, by the short ones."""

    def has_room(self) -> bool:
        """Whether one more may be sent."""
        if self.inside < self.cap:
            return True
        self.denied = True
        return False

    def sent(self, entry: Entry) -> None:
        """An attempt goes out."""
        self._sent += 1
        self.inside += 1
        entry.place, entry.inside, entry.ends = self._sent, self.inside, self._ends

    def left(self) -> None:
        """An attempt is over."""
        self.inside -= 1
        self._ends += 1

    def ended(self, entry: Entry, tokens: int | None) -> None:
        """A whole answer came, of so many tokens; before `left`."""
        if tokens and self._answer:
            self._answer += _WEIGHT * (tokens - self._answer)
        elif tokens:
            self._answer = float(tokens)
        if entry.place <= self._fence:
            return
        self._heard += 1
        share = tokens / self._answer if tokens else 1.0
        if share <= _SHORT:
            seen = self._ends - entry.ends
            queued = (seen - entry.inside * share) / (1.0 - share) / entry.inside
            self._samples += 1
            self._queued += (min(1.0, max(0.0, queued)) - self._queued) / min(self._samples, _SAMPLES)
        self._conclude()

    def told(self, running: float, waiting: float) -> None:
        """Its metrics say so of those inside, as they are now."""
        if running + waiting < _SHORT * self.inside:
            return  # it is not of what we sent
        if waiting > max(_LEAST, (_SPARE - 1.0) * running):
            self._change(_SPARE * running)
        elif self.denied and not waiting:
            self._change(_GROW * self.cap)

    def _conclude(self) -> None:
        if self._samples >= _SAMPLES:
            if self._queued > _LONG_QUEUE:
                self._change(_SPARE * (1.0 - self._queued) * min(self.cap, self.inside))
            elif self.denied and self._queued < _SHORT_QUEUE:
                self._change(_GROW * self.cap)
        elif self._heard >= max(self.cap if self._samples < _FEW else 2.0 * self.cap, _MANY) and self.denied:
            self._change(_GROW * self.cap)

    def _change(self, cap: float) -> None:
        self.cap = min(_MOST, max(_LEAST, cap))
        self._fence = self._sent
        self._heard = self._samples = 0
        self._queued = 0.0
        self.denied = False
