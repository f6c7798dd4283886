"""What passes of an answer that may be kept: its bytes as they came, held by reference until its end.

Owns two bounds: of one answer, and of all that are under way. Whoever outgrows one is let go of, and is not kept.
"""

from typing import Final

_PIECE_B: Final = 64
"""What a piece takes beside its bytes."""


class Taps:
    """What all answers under way may hold together, bytes."""

    __slots__ = ("left_b",)

    def __init__(self, bytes_: int) -> None:
        self.left_b = bytes_


class Tap:
    """Of one answer. Whoever makes one drops it in the end."""

    __slots__ = ("_most_b", "_pieces", "_taken_b", "_taps", "is_held", "is_open")

    def __init__(self, taps: Taps, most_b: int) -> None:
        self._taps = taps
        self._most_b = most_b
        self._pieces: list[bytes] = []
        self._taken_b = 0
        self.is_held = False
        """Somebody wants it, who drops it."""
        self.is_open = True
        """Nothing is missing so far."""

    def saw(self, data: bytes) -> None:
        """Some more of it passed."""
        if not self.is_open:
            return
        size_b = len(data) + _PIECE_B
        if self._taken_b + size_b > self._most_b or size_b > self._taps.left_b:
            self.drop()
            return
        self._taken_b += size_b
        self._taps.left_b -= size_b
        self._pieces.append(data)

    def seen(self) -> bytes | None:
        """All of it so far; None: it is not all there."""
        return b"".join(self._pieces) if self.is_open else None

    def taken(self) -> bytes | None:
        """All of it, which is then let go of; None: it is not all there."""
        whole = self.seen()
        self.drop()
        return whole

    def release(self) -> None:
        """Its answer is over: drop it, unless it is held."""
        if not self.is_held:
            self.drop()

    def drop(self) -> None:
        """It is not wanted. Harmless when repeated."""
        self._taps.left_b += self._taken_b
        self._taken_b = 0
        self._pieces = []
        self.is_open = False
