"""Whether somebody who may fail is asked at all: a rest after so many failures in a row, then again."""

import logging
from typing import Final

from proxy.model.timeline import Clock

_log = logging.getLogger("tidegate.cache")
_FAILURES: Final = 3
_REST_S: Final = 1.0


class Rest:
    """Of one kind of questions. `what`: who is asked, for the log."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what = what
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is asked, now."""
        return self._clock() >= self._until

    def answered(self) -> None:
        """In time."""
        if self._failures >= _FAILURES:
            _log.info("%s answers again", self._what)
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """It did not answer."""
        self._failures += 1
        if self._failures >= _FAILURES:
            self._until = self._clock() + _REST_S
        if self._failures == _FAILURES:
            _log.warning("%s does not answer (%s); going on without it", self._what, type(error).__name__)
