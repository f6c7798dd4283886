"""The only stopwatch: one Timeline per request, monotonic seconds, None where a stage was never reached."""

from collections.abc import Callable

from proxy.model.timings import Reported

Clock = Callable[[], float]
"""Monotonic seconds. `live` is handed one: the system's, or in tests one that they advance."""


class Timeline:
    """Stages in order. Written once each by the code that passes the stage; metrics, log and traces read it."""

    __slots__ = (
        "answered",
        "checked",
        "connected",
        "done",
        "first_byte",
        "gathered",
        "is_from_memory",
        "last_byte",
        "received",
        "released",
        "repaired_s",
        "reported",
        "understood",
    )

    def __init__(self, received: float) -> None:
        self.received = received
        """Last byte of the request read."""
        self.understood: float | None = None
        """Head checked, body parsed, job submitted."""
        self.gathered: float | None = None
        """It began to wait for others to go with; None: it did not."""
        self.is_from_memory = False
        """No engine was to be asked."""
        self.released: float | None = None
        """The (last) attempt was dispatched."""
        self.connected: float | None = None
        """The attempt had a connection and its request was written."""
        self.first_byte: float | None = None
        """First byte of the answer's body or head from the backend."""
        self.last_byte: float | None = None
        """Last byte of the answer from the backend; None: it is not known."""
        self.answered: float | None = None
        """The whole answer of the engine was there, to be checked; None: it was not checked."""
        self.checked: float | None = None
        """That was done."""
        self.repaired_s = 0.0
        """Of that, asking once more took so long."""
        self.done: float | None = None
        """Last byte handed to the client, or the fault."""
        self.reported: Reported | None = None
        """What the client says came before; None: nothing."""

    @staticmethod
    def span_ms(start: float | None, end: float | None) -> float | None:
        """Milliseconds between two stages; None when either was never reached."""
        return None if start is None or end is None else (end - start) * 1e3
