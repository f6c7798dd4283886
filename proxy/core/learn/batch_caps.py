"""How many inputs one call to an engine may hold, learned from what it took and refused.

Owns the number per kind of call. One that an engine names is believed; else it is looked for between the most that it
took and the fewest that it refused.
"""

from typing import Final

_MOST_KINDS: Final = 1024
"""Kinds of calls (endpoint and model) of one backend of which something is remembered."""
UNLIMITED: Final = 1 << 30
_AGAIN: Final = 256
"""Calls at a cap that nobody told, after which twice as many are tried: it may have been another input's fault."""


class _Bounds:
    """Of one kind of call."""

    __slots__ = ("at_cap", "refused", "told", "took")

    def __init__(self) -> None:
        self.took = 1
        """The most that it took."""
        self.refused = UNLIMITED
        """The fewest that it refused."""
        self.told = 0
        """What it said itself; 0: nothing."""
        self.at_cap = 0
        """Calls as large as that, since one was refused."""

    @property
    def cap(self) -> int:
        """How many to send."""
        if self.told:
            return self.told
        return UNLIMITED if self.refused == UNLIMITED else max(1, (self.took + self.refused) // 2)


class BatchCaps:
    """One per backend."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[str, _Bounds] = {}

    def of(self, kind: str) -> int:
        """Inputs in one call at most; `UNLIMITED` where none was ever refused."""
        bounds = self._kinds.get(kind)
        return UNLIMITED if bounds is None else bounds.cap

    def took(self, kind: str, inputs: int) -> None:
        """It answered a call with so many. Of kinds that refused none, nothing is remembered."""
        bounds = self._kinds.get(kind)
        if bounds is None:
            return
        bounds.took = max(bounds.took, inputs)
        if inputs >= bounds.refused:
            bounds.refused = UNLIMITED  # it takes more than it did
        if inputs > bounds.told:
            bounds.told = 0
        if not bounds.told and bounds.refused != UNLIMITED and inputs >= bounds.cap:
            bounds.at_cap += 1
            if bounds.at_cap >= _AGAIN:
                bounds.refused, bounds.at_cap = 2 * bounds.refused, 0

    def refused(self, kind: str, inputs: int, told: int | None = None) -> None:
        """So many were too many; `told`: how many it says it takes."""
        bounds = self._kinds.get(kind)
        if bounds is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.pop(next(iter(self._kinds)))
            bounds = self._kinds[kind] = _Bounds()
        bounds.told = told or 0
        bounds.refused, bounds.at_cap = max(2, inputs), 0
        if bounds.took >= inputs:
            bounds.took = 1  # it takes less than it did

    def forget(self) -> None:
        """Another engine may stand there."""
        self._kinds.clear()
