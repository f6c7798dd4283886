"""Short answers that may be asked to go on: what was asked and what was answered, for a while.

Owns the bounds: bytes, count, time. The oldest go first. Found by whoever has the key that asked, and its id: two keys
cannot overwrite or read each other's.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

Name = tuple[bytes, str]
"""The whole digest of an API key, and the id of a request."""
MOST_B: Final = 64 << 20
"""Of all together."""
ENTRY_B: Final = 4 << 20
"""A larger one is not kept."""
MOST: Final = 4096
_OVERHEAD_B: Final = 1024


class ShortAnswer(NamedTuple):
    """One of them."""

    body: bytes
    """What the engine was asked,"""
    text: str
    """and what it answered."""
    limit: int | None
    """Most tokens that the client wanted; None: it did not say."""
    prompt_version: str
    until: float
    """Seconds; later it is forgotten."""

    @property
    def size_b(self) -> int:
        """About."""
        return len(self.body) + 4 * len(self.text) + _OVERHEAD_B


class ExpandableAnswers:
    """One per proxy. `now` never goes back."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Name, ShortAnswer] = OrderedDict()
        self.size_b = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, name: Name, answer: ShortAnswer, now: float) -> None:
        """Under this name, instead of whatever was; the oldest make room."""
        self._drop(name)
        if answer.size_b > ENTRY_B or answer.until <= now:
            return
        self._kept[name] = answer
        self.size_b += answer.size_b
        while self.size_b > MOST_B or len(self._kept) > MOST or self._oldest().until <= now:
            self._drop(next(iter(self._kept)))

    def find(self, name: Name, now: float) -> ShortAnswer | None:
        """None: it is not there, or no more."""
        found = self._kept.get(name)
        if found is not None and found.until <= now:
            self._drop(name)
            return None
        return found

    def _oldest(self) -> ShortAnswer:
        return next(iter(self._kept.values()))

    def _drop(self, name: Name) -> None:
        gone = self._kept.pop(name, None)
        if gone is not None:
            self.size_b -= gone.size_b
