"""The randomness the core may use: a seeded `random.Random` fits, and is handed in from outside."""

from typing import Protocol


class Rng(Protocol):
    """A source of random numbers; the same seed and the same calls give the same decisions."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def randrange(self, stop: int, /) -> int:
        """An integer in [0, stop)."""
        ...
