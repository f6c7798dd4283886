"""The drain: readiness goes first, then running requests finish, and what is left is told why it ends.

Owns its waits; each ends at once when somebody is in a hurry.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import Final

from proxy.live.exchange import Exchange
from proxy.model.faults import Kind, internal
from proxy.model.limits import DrainSettings

_LOOK_S: Final = 0.02
_CUT_S: Final = 1.0
"""For the last events of what is cut."""
_LAST_WRITES_S: Final = 0.05


class Drain:
    """Of one proxy, once."""

    def __init__(
        self, running: AbstractSet[Exchange], settings: DrainSettings, others: Callable[[], int] = lambda: 0
    ) -> None:
        """`others`: requests of other workers that are waited for, too."""
        self._running = running
        self._others = others
        self._settings = settings
        self._hurry = asyncio.Event()

    def configure(self, settings: DrainSettings) -> None:
        """Other times, for a drain that has not begun."""
        self._settings = settings

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self._hurry.set()

    def outlook(self) -> str:
        """What there is to finish, and how long that may take."""
        settings = self._settings
        most = settings.readiness + settings.streams
        return f"draining: {_requests(self._left())} running, {most:g} s at most"

    async def readiness(self) -> None:
        """Load balancers notice that this proxy is not ready."""
        await self._pause(self._settings.readiness)

    async def streams(self) -> str:
        """Running requests finish; how that ended."""
        began = monotonic()
        await self._until_idle(self._settings.streams)
        took = monotonic() - began
        left = self._left()
        if not left:
            return f"drained: every request ended within {took:.1f} s"
        return f"drained: {_requests(left)} cut after {took:.1f} s"

    async def cut(self) -> None:
        """What still runs ends, and says why where it can."""
        for exchange in list(self._running):
            exchange.cut(internal(Kind.DRAINING, "Tidegate is shutting down; please try again.", retry_after_s=1.0))
        end = monotonic() + _CUT_S
        while self._running and monotonic() < end:  # noqa: ASYNC110 - at most once in a process's life
            await asyncio.sleep(_LOOK_S)
        await asyncio.sleep(_LAST_WRITES_S)

    async def delivery(self, is_delivering: Callable[[], bool], limit_s: float) -> None:
        """Slow readers take the rest of complete answers; who takes nothing for `limit_s` is not waited for."""
        end = monotonic() + limit_s
        while is_delivering() and monotonic() < end and not self._hurry.is_set():
            await self._pause(_LOOK_S)

    async def _until_idle(self, limit_s: float) -> None:
        end = monotonic() + limit_s
        while self._left() and monotonic() < end and not self._hurry.is_set():
            await self._pause(_LOOK_S)

    def _left(self) -> int:
        return len(self._running) + self._others()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            return


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"
