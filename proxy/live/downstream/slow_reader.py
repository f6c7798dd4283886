"""A client that does not take what was written: how much it has left, and for how long that has been as much.

Owns the measure between two looks. Time counts in which it was looked at, not time in which this process stood still;
when it is looked at, and what becomes of it, is the connection's.
"""

from typing import Final

LOOK_S: Final = 1.0
"""It is looked at so often, or more often where `write_stall` is shorter."""
_UNKNOWN: Final = -1


class SlowReader:
    """One per connection."""

    __slots__ = ("_left_b", "_look_s", "_most_s", "_still_s")

    def __init__(self, most_s: float) -> None:
        """`most_s`: who takes nothing for so long is gone."""
        self._most_s = most_s
        self._look_s = min(LOOK_S, most_s)
        self._left_b = _UNKNOWN
        """What it had not taken when it was looked at last."""
        self._still_s = 0.0

    def begins(self, left_b: int, now: float) -> float:
        """From now on it is looked at; when next."""
        self._left_b, self._still_s = left_b, 0.0
        return now + self._look_s

    def forget(self) -> None:
        """Nobody has looked yet."""
        self._left_b = _UNKNOWN

    def is_gone(self, left_b: int) -> bool:
        """One look: slow is whoever reads, gone who takes nothing for too long."""
        if self._left_b == _UNKNOWN or left_b < self._left_b:
            self._left_b, self._still_s = left_b, 0.0
        else:
            self._still_s += self._look_s
        return self._still_s >= self._most_s

    def next_look(self, now: float) -> float:
        """When."""
        return now + self._look_s

    def has_caught_up(self) -> bool:
        """Whether it was behind at the last look; told once."""
        was_behind = self._left_b > 0
        if was_behind:
            self._left_b = 0
        return was_behind
