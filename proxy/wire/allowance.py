"""A bound on what many streams hold at once: bytes of one process that each may take a part of."""

from proxy.model.faults import FaultError, Kind, internal


class AllowanceHeaders:
    """How many bytes may still be taken."""

    __slots__ = ("left_b",)

    def __init__(self, bytes_: int) -> None:
        self.left_b = bytes_

    def take(self, bytes_: int) -> None:
        """FaultError where so many are not left. Whoever takes gives back."""
        if bytes_ > self.left_b:
            text = "Too many large stream events are under way at once."
            raise FaultError(internal(Kind.MEMORY, text, retry_after_s=1.0))
        self.left_b -= bytes_

    def give_back(self, bytes_: int) -> None:
        """What was taken is free again."""
        self.left_b += bytes_
