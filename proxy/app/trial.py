"""A configuration on trial: rolled back unless somebody confirms it in time, and at once when answers get worse.

Owns the clock of the trial and the counts that it is judged by: those of the minutes before the change, and those
since. What "worse" means is `obs.worsening`'s to say.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import monotonic, time
from typing import Any, Final

from proxy.app.listeners import StartError
from proxy.app.reloader import InPlace, Reloader
from proxy.app.tasks import watched
from proxy.obs.worsening import Tally, worse

_log = logging.getLogger("tidegate.reload")
MARK_S: Final = 5.0
"""Between two marks of the counts."""
MARKS: Final = 60
"""Kept: five minutes of them are what a trial is compared with."""
_JUDGE_S: Final = 0.5
LONGEST_S: Final = 3600.0


class Trials:
    """One per process. `counts`: as they are now."""

    def __init__(self, reloader: Reloader, counts: Callable[[], Tally]) -> None:
        self._reloader = reloader
        self._counts = counts
        self._marks: deque[tuple[float, Tally]] = deque([(monotonic(), counts())], MARKS)
        self._trial: asyncio.Task[None] | None = None
        self._back: InPlace | None = None
        """What is put in place again."""
        self._until = 0.0
        """Seconds since 1970."""

    @property
    def is_on(self) -> bool:
        """Whether one is on trial."""
        return self._back is not None

    async def run(self) -> None:
        """Mark the counts, until cancelled."""
        while True:
            await asyncio.sleep(MARK_S)
            if not self.is_on:
                self._marks.append((monotonic(), self._counts()))

    async def reload(self, trigger: str, within_s: float) -> dict[str, Any]:
        """Read the file anew, and put it on trial for so long. What has been in place for a while, since the file is
        watched, can be tried as well."""
        reloaded = await self._reloader.ask(trigger)
        back = self._back or self._reloader.before
        if reloaded.ok and back is not None:
            self._begin(back, within_s)
        return {**reloaded.view(), "trial": self.view()}

    def confirm(self) -> bool:
        """It stays. False: none is on trial."""
        if not self.is_on:
            return False
        self._end()
        self._reloader.before = None
        _log.info("the configuration is confirmed: it stays")
        return True

    async def roll_back(self, reason: str) -> str | None:
        """To what was in place before the last change. None: done; else why not."""
        back = self._back or self._reloader.before
        if back is None:
            return "there is nothing to go back to: no change since the start, or it was confirmed"
        self._end()
        try:
            await self._reloader.go_back(back, reason)
        except StartError as error:
            _log.exception("the configuration cannot be rolled back")
            return str(error)
        return None

    def view(self) -> dict[str, Any] | None:
        """JSON's types only; None: nothing is on trial."""
        back = self._back
        return None if back is None else {"until": self._until, "back_to": back.digest}

    async def close(self) -> None:
        """The end has begun."""
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)

    # --- inside

    def _begin(self, back: InPlace, within_s: float) -> None:
        self._end()
        self._back, self._until = back, time() + within_s
        self._trial = watched(self._judge(within_s))
        _log.info("the configuration is on trial for %g s: without a confirmation it is rolled back", within_s)

    def _end(self) -> None:
        self._back = None
        trial, self._trial = self._trial, None
        if trial is not None and trial is not asyncio.current_task():
            trial.cancel()

    async def _judge(self, within_s: float) -> None:
        changed_at = self._reloader.changed_at
        start = self._counts() if monotonic() - changed_at < MARK_S else self._at(changed_at)
        before = start.since(self._marks[0][1])
        end = monotonic() + within_s
        while monotonic() < end:
            await asyncio.sleep(min(_JUDGE_S, max(0.0, end - monotonic())))
            reason = worse(before, self._counts().since(start))
            if reason is not None:
                await self.roll_back(reason)
                return
        await self.roll_back(f"nobody confirmed it within {within_s:g} s")

    def _at(self, moment: float) -> Tally:
        """The last mark before that moment."""
        earlier = [counts for at, counts in self._marks if at <= moment]
        return earlier[-1] if earlier else self._marks[0][1]
