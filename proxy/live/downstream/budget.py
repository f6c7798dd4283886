"""What request bodies may take of this process's memory, all together: asked before a byte is read, never exceeded.

Owns the sum. Who takes gives back, whatever happens: the connection while it reads, the exchange afterwards.
"""

from typing import Final

from proxy.model.faults import Fault, FaultError, Kind, downstream, internal

COPIES: Final = 2
"""A body is in memory twice: as it came, and as it is sent, its head before it; while it is joined, in pieces too."""


class Budget:
    """One per process."""

    __slots__ = ("free_b", "refused", "total_b")

    def __init__(self, total_b: int) -> None:
        self.total_b = total_b
        self.free_b = total_b
        self.refused = 0
        """How often it was spent."""

    @property
    def taken_b(self) -> int:
        """Bytes that are out."""
        return self.total_b - self.free_b

    def take(self, size_b: int) -> None:
        """Bytes of memory, until they are given back. FaultError when so many are not free: come again later; when
        they never are: too large."""
        if size_b > self.free_b:
            self.refused += 1
            raise FaultError(self._refusal(size_b))
        self.free_b -= size_b

    def resize(self, total_b: int) -> None:
        """So many bytes from now on; what is out above them is waited for."""
        self.free_b += total_b - self.total_b
        self.total_b = total_b

    def give(self, size_b: int) -> None:
        """What was taken before."""
        self.free_b += size_b

    def _refusal(self, size_b: int) -> Fault:
        if size_b > self.total_b:
            text = "The body is larger than this proxy has memory for (limits.memory.bodies)."
            return downstream(Kind.BODY_TOO_LARGE, text)
        text = "Too many large requests are being read at the moment; please try again."
        return internal(Kind.MEMORY, text, retry_after_s=1.0)
