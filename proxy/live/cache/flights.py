"""Single-flight: of identical requests one is made, the others wait for its answer.

Owns who leads and who waits. A leader that leaves hands over to the next; one whose answer cannot be kept sends all the
others on their own ways, so that nobody fails for somebody else and nobody waits twice for nothing.
"""

import asyncio
from typing import Final, NamedTuple

from proxy.core.cache.store import Entry


class Landing(NamedTuple):
    """What became of a leader."""

    entry: Entry | None
    """Its answer, if it is kept."""
    next_may_lead: bool = False
    """It left for reasons of its own."""


LEFT: Final = Landing(None, True)
NOTHING: Final = Landing(None)
"""It failed, or what it got is not to be kept."""


class Flight:
    """One request under way; its leader lands it, whatever happens."""

    __slots__ = ("_landed", "key")

    def __init__(self, key: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.key = key
        self._landed: asyncio.Future[Landing] = loop.create_future()

    async def landing(self, within_s: float) -> Landing:
        """What becomes of it; NOTHING after that time."""
        await asyncio.wait((self._landed,), timeout=within_s)
        return self._landed.result() if self._landed.done() else NOTHING

    def land(self, landing: Landing) -> None:
        """It is over. The first word counts."""
        if not self._landed.done():
            self._landed.set_result(landing)


class Flights:
    """Of all keys; as many as there are requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._flights: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def find(self, key: bytes) -> Flight | None:
        """The one under way."""
        return self._flights.get(key)

    def lead(self, key: bytes) -> Flight:
        """A new one, in the place of any that was there."""
        flight = self._flights[key] = Flight(key, self._loop)
        return flight

    def land(self, flight: Flight, landing: Landing) -> None:
        """It is over."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        flight.land(landing)
