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


class NoChance:
    """Nothing happens by chance, and the first of equals is taken."""

    def random(self) -> float:
        """Above every share."""
        return 1.0

    def randrange(self, _stop: int, /) -> int:
        """The first."""
        return 0
