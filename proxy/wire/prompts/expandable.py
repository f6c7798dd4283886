"""Short answers that may be asked to go on: what was asked and what was answered, for a while.

Owns the bounds: bytes, count, time. The oldest go first. Given back to their own tenant alone.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

MOST_B: Final = 64 << 20
"""Of all together."""
ENTRY_B: Final = 4 << 20
"""A larger one is not kept."""
MOST: Final = 4096
_OVERHEAD_B: Final = 1024


class ShortAnswer(NamedTuple):
    """One of them."""

    tenant: str
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
        self._kept: OrderedDict[str, ShortAnswer] = OrderedDict()
        self.size_b = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, name: str, answer: ShortAnswer, now: float) -> None:
        """Under this name, instead of whatever was; the oldest make room."""
        self._drop(name)
        if answer.size_b > ENTRY_B or answer.until <= now:
            return
        self._kept[name] = answer
        self.size_b += answer.size_b
        while self.size_b > MOST_B or len(self._kept) > MOST or self._oldest().until <= now:
            self._drop(next(iter(self._kept)))

    def find(self, name: str, tenant: str, now: float) -> ShortAnswer | None:
        """None: it is not there, no more, or another tenant's."""
        found = self._kept.get(name)
        if found is not None and found.until <= now:
            self._drop(name)
            return None
        return found if found is not None and found.tenant == tenant else None

    def _oldest(self) -> ShortAnswer:
        return next(iter(self._kept.values()))

    def _drop(self, name: str) -> None:
        gone = self._kept.pop(name, None)
        if gone is not None:
            self.size_b -= gone.size_b
