"""How many requests an engine runs at once, learned where it does not tell (vLLM's metrics do not).

    running == those that decode, by our books, and others wait in the engine, and KV is left

Then nobody's prefill fills the step and memory is not short: only seats can keep the others waiting. A few such sights
of the same count, with never more running, and it is believed. Believing it keeps requests away and so may keep more
from ever being seen; hence it is believed only for a while.
"""

_SIGHTS = 3
"""A scrape is older than the books it is compared with, so that one may be a coincidence."""
_BELIEVED_S = 600.0
_KV_LEFT = 0.9
"""KV usage up to which memory keeps nobody waiting."""


class SeatWatch:
    """Of one backend."""

    __slots__ = ("_most", "_seats", "_seen_at", "_sights")

    def __init__(self) -> None:
        self._most = 0.0
        """Requests seen running at once."""
        self._sights = 0
        """Times that so many were all that could run."""
        self._seats: float | None = None
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
        if self._seats is not None and now - self._seen_at > _BELIEVED_S:
            self.forget()
        if running is not None and running > self._most:
            self.forget()
            self._most = running
        if running and waiting and running == self._most == decoding and (kv_usage is None or kv_usage < _KV_LEFT):
            self._sights += 1
            self._seen_at = now
            if self._sights >= _SIGHTS:
                self._seats = running
        return self._seats

    def forget(self) -> None:
        """It may be another engine now, or have been a coincidence."""
        self._most = 0.0
        self._sights = 0
        self._seats = None
