"""Trouble that lasts, or comes and goes: told when it begins, then once per interval, and told when it is over.

Owns that rule, for whatever writes or sends in the background and must not fill the log with its own failures.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, Generic, TypeVar

TELL_EVERY_S: Final = 60.0
What = TypeVar("What")


class Trouble(Generic[What]):
    """Of one log or one receiver; any thread may tell it."""

    def __init__(self, tell: Callable[[What | None], None], clock: Callable[[], float] = monotonic) -> None:
        """`tell` hears what is wrong, and with None that nothing is any more."""
        self._tell = tell
        self._clock = clock
        self._told = False
        """That there is some, and not yet that it is over."""
        self._again_at: float | None = None
        self._telling = threading.Lock()

    def begins(self, what: What) -> None:
        """Something failed."""
        with self._telling:
            now = self._clock()
            if self._again_at is not None and now < self._again_at:
                return
            self._told, self._again_at = True, now + TELL_EVERY_S
        self._tell(what)

    def ends(self) -> None:
        """Something succeeded; costs nothing where nothing was wrong."""
        if not self._told:
            return
        with self._telling:
            was_told, self._told = self._told, False
        if was_told:
            self._tell(None)
