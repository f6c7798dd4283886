"""Closed sets of label values: names of the configuration and of the engines' own lists, never those of whoever asks.

Owns what becomes of every other name: `other`. However many names clients make up, there are no more series.
"""

from collections.abc import Callable, Iterable
from typing import Final

OTHER: Final = "other"
"""What is not in the set, and what came when it was full."""
NONE: Final = "none"
"""Nothing was named."""
_SPELLINGS: Final = 4
"""Remembered per value: names that stand for it."""


def nowhere(name: str) -> str | None:
    """Nobody lists anything."""
    return None


class Labels:
    """One set. Names that are told stand for themselves; those that `listed` knows (name → name, None: unknown) come in
    as they are asked for, until there are `most`."""

    __slots__ = ("_is_told", "_known", "_listed", "_most", "_values")

    def __init__(self, names: Iterable[str], most: int, listed: Callable[[str], str | None] = nowhere) -> None:
        self._most = most
        self._listed = listed
        self._is_told = listed is nowhere
        """There are no names but those that were told."""
        self._values = dict.fromkeys(list(dict.fromkeys(names))[:most])
        self._known = {"": NONE} | {name: name for name in self._values}

    def of(self, name: str) -> str:
        """The value of the label for `name`."""
        known = self._known.get(name)
        if known is not None:
            return known
        return OTHER if self._is_told else self._new(name)

    @property
    def most(self) -> int:
        """Values that there may be."""
        return self._most

    def know(self, names: Iterable[str]) -> None:
        """More names that stand for themselves, while there is room."""
        for name in names:
            if name not in self._values and len(self._values) < self._most:
                self._values[name] = None
                self._known[name] = name

    def __len__(self) -> int:
        """Values so far, but for `other` and `none`."""
        return len(self._values)

    def _new(self, name: str) -> str:
        listed = self._listed(name)
        if listed is None:
            return OTHER
        if listed not in self._values:
            if len(self._values) >= self._most:
                return OTHER
            self._values[listed] = None
        if len(self._known) <= _SPELLINGS * self._most:
            self._known[name] = listed
        return listed
