"""The only stopwatch: one Timeline per request, monotonic seconds, None where a stage was never reached."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Monotonic seconds. `live` is handed one: the system's, or in tests one that they advance."""


class Timeline:
    """Stages in order. Written once each by the code that passes the stage; metrics, log and traces read it."""

    __slots__ = ("connected", "done", "first_byte", "gathered", "last_byte", "received", "released", "understood")

    def __init__(self, received: float) -> None:
        self.received = received
        """Last byte of the request read."""
        self.understood: float | None = None
        """Head checked, body parsed, job submitted."""
        self.gathered: float | None = None
        """It began to wait for others to go with; None: it did not."""
        self.released: float | None = None
        """The (last) attempt was dispatched."""
        self.connected: float | None = None
        """The attempt had a connection and its request was written."""
        self.first_byte: float | None = None
        """First byte of the answer's body or head from the backend."""
        self.last_byte: float | None = None
        """Last byte of the answer from the backend; None: it is not known."""
        self.done: float | None = None
        """Last byte handed to the client, or the fault."""

    @staticmethod
    def span_ms(start: float | None, end: float | None) -> float | None:
        """Milliseconds between two stages; None when either was never reached."""
        return None if start is None or end is None else (end - start) * 1e3
