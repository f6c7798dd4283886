"""How many requests an engine runs at once, learned where it does not tell (vLLM's metrics do not).

Two sights tell it. A scrape:

    running == those that decode, by our books, and others wait in the engine, and KV is left

Then nobody's prefill fills the step and memory is not short: only seats can keep the others waiting. And our own books:
an answer ends where as many decoded as ever did, while a prompt has been left alone for longer than it takes. A few
such sights of the same count, with never more at once, and it is believed. Believing it keeps requests away and so may
keep more from ever being seen; hence it is believed only for a while, and after having been wrong not so soon again.
"""

from typing import Final

_SIGHTS: Final = 3
"""A scrape is older than the books it is compared with, so that one may be a coincidence."""
_ENDS: Final = 6
"""Sights in our own books before they are believed; twice as many after each time they were wrong."""
_MOST_ENDS: Final = 1 << 20
_BELIEVED_S: Final = 600.0
_KV_LEFT: Final = 0.9
"""KV usage up to which memory keeps nobody waiting."""
_LATE_FACTOR: Final = 1.5
_LATE_S: Final = 0.02
"""A prompt was left alone when it has taken so much longer than predicted."""


class SeatWatch:
    """Of one backend."""

    __slots__ = ("_ends", "_ends_needed", "_most_decoding", "_most_running", "_seen_at", "_sights", "freed_at", "seats")

    def __init__(self) -> None:
        self.seats: float | None = None
        """As learned; None: not known."""
        self.freed_at = 0.0
        """When one of the seats that were all taken, as far as anybody knows, came free with a prompt waiting."""
        self._most_running = 0.0
        """Requests seen running at once."""
        self._sights = 0
        """Times that so many were all that could run."""
        self._most_decoding = 0
        """Answers under way at once, by our books."""
        self._ends = 0
        self._ends_needed = _ENDS
        self._seen_at = 0.0

    def learn(
        self,
        running: float | None,
        waiting: float | None,
        kv_usage: float | None,
        decoding: int,
        now: float,
    ) -> float | None:
        """A scrape, believed to be sane, and how many of ours decode; the seats, None while they are not known."""
        if self.seats is not None and now - self._seen_at > _BELIEVED_S:
            self.forget()
        if running is not None and running > self._most_running:
            if self.seats is not None and running > self.seats:
                self._was_wrong()
            self._sights = 0
            self._most_running = running
        sees = running and waiting and running == self._most_running == decoding
        if running and sees and (kv_usage is None or kv_usage < _KV_LEFT):
            self._sights += 1
            self._seen_at = now
            if self._sights >= _SIGHTS:
                self.seats = running
        return self.seats

    def begun(self, decoding: int) -> None:
        """A first token came: so many of ours decode now."""
        if decoding > self._most_decoding:
            self._most_decoding = decoding
            self._ends = 0
            if self.seats is not None and decoding > self.seats:
                self._was_wrong()

    def ended(self, decoding: int, seats: float | None, head_s: float, spent_s: float, now: float) -> None:
        """An answer ended where `decoding` of ours were under way, its own included, on an engine of so many `seats`
        (None: not known), and a prompt waits that was predicted to take `head_s` and has taken `spent_s` seconds."""
        if decoding != self._most_decoding if seats is None else decoding < seats:
            return
        self.freed_at = now
        if seats is not None:
            self._seen_at = now
        elif spent_s > _LATE_FACTOR * head_s + _LATE_S:
            self._seen_at = now
            self._ends += 1
            if self._ends >= self._ends_needed:
                self.seats = float(self._most_decoding)

    def restore(self, seats: float, now: float) -> None:
        """As learned in an earlier life: believed for as long as if it was seen now."""
        self.seats, self._most_running, self._most_decoding = seats, seats, int(seats)
        self._seen_at = now

    def forget(self) -> None:
        """It may be another engine now, or have been a coincidence."""
        self._most_running = 0.0
        self._most_decoding = self._sights = self._ends = 0
        self.seats = None

    def _was_wrong(self) -> None:
        self._sights = self._ends = 0
        self._ends_needed = min(_MOST_ENDS, 2 * self._ends_needed)
        self.seats = None
