"""Names and the addresses behind them: each is looked up once, in a thread that nobody waits for longer than is said.

Python's resolver cannot be cancelled, and the loop's own threads are waited for at its end; hence daemon threads.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult

from proxy.app.doctor import rules
from proxy.app.doctor.finding import Finding

LOOKUP_S: Final = 3.0
CONNECT_S: Final = 2.0
_SLOW_S: Final = 0.5
_MOST_ADDRESSES: Final = 8


class Place(NamedTuple):
    """One address of a name, and whether a connection came about there."""

    host: str
    is_v6: bool
    error: str = ""
    """Why there is none; empty: there is."""
    is_silent: bool = False
    """It said nothing at all."""


class Resolved(NamedTuple):
    """A name that was looked up."""

    host: str
    took_s: float
    places: tuple[Place, ...] = ()
    """In the resolver's order, which is that of connections."""
    error: str = ""
    """Why there are none."""
    is_late: bool = False
    """The resolver said nothing in time."""

    @property
    def reached(self) -> list[Place]:
        """Addresses that take connections."""
        return [place for place in self.places if not place.error]


class Names:
    """All names of one look around; each is asked for once."""

    def __init__(self, within_s: float = LOOKUP_S) -> None:
        self._within_s = within_s
        self._asked: dict[str, asyncio.Future[list[Place]]] = {}

    async def look_up(self, host: str) -> Resolved:
        """Its addresses, nothing of them tried."""
        began = time.monotonic()
        if host not in self._asked:
            self._asked[host] = _in_thread(host)
        try:
            async with asyncio.timeout(self._within_s):
                places = await asyncio.shield(self._asked[host])
        except TimeoutError:
            return Resolved(
                host, time.monotonic() - began, is_late=True, error=f"no answer within {self._within_s:g} s"
            )
        except OSError as error:
            return Resolved(host, time.monotonic() - began, error=str(error.strerror or error).lower())
        return Resolved(host, time.monotonic() - began, tuple(places[:_MOST_ADDRESSES]))

    async def reach(self, host: str, port: int) -> Resolved:
        """The same, with a connection tried to each address."""
        found = await self.look_up(host)
        tried = await asyncio.gather(*(_tried(place, port) for place in found.places))
        return found._replace(places=tuple(tried))


class Resolver(AbstractResolver):
    """For aiohttp: what was found, without asking again."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        """Whatever the host."""
        return [
            ResolveResult(
                hostname=host,
                host=place.host,
                port=port,
                family=socket.AF_INET6 if place.is_v6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for place in self._places
        ]

    async def close(self) -> None:
        """Nothing is open."""


def of_name(where: str, found: Resolved) -> Iterator[Finding]:
    """What is wrong with a name; nothing of addresses that nobody answers at: that is the engine's."""
    if found.is_late:
        return (yield rules.NAME_SILENT.found(where, f"the name {found.host} does not resolve: {found.error}"))
    if found.error:
        return (yield rules.NAME_UNKNOWN.found(where, f"the name {found.host} does not resolve"))
    if found.took_s > _SLOW_S:
        yield rules.NAME_SLOW.found(where, f"its name took {found.took_s:.1f} s to resolve")
    if not found.reached:
        return
    dead = [place for place in found.places if place.error and not _is_harmless(place)]
    if dead and found.places[0].is_silent:
        yield rules.ADDRESS_SILENT.found(where, f"{found.host} is {_told(found)}: the first is tried first, and silent")
    elif dead:
        order = "the first" if found.places[0] == dead[0] else "one"
        text = f"{found.host} is {_told(found)}: {order} of them, {dead[0].host}, {dead[0].error}"
        yield rules.ADDRESS_DEAD.found(where, text)
    families = [place.is_v6 for place in found.places]
    if max(families.count(True), families.count(False)) > 1:
        yield rules.ADDRESSES.found(where, f"{found.host} is {_told(found)}; all of them count as one backend")


def _is_harmless(place: Place) -> bool:
    """`localhost` is ::1 too, where few engines listen, and costs nothing to be refused."""
    return not place.is_silent and ip_address(place.host.partition("%")[0]).is_loopback


def _told(found: Resolved) -> str:
    return " and ".join(place.host for place in found.places)


def _in_thread(host: str) -> asyncio.Future[list[Place]]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Place]] = loop.create_future()
    future.add_done_callback(_heard)

    def ask() -> None:
        try:
            told: Any = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            told = error if isinstance(error, OSError) else OSError("this is no name")
        with contextlib.suppress(RuntimeError):  # the loop is gone, and nobody waits
            loop.call_soon_threadsafe(_settle, future, told)

    threading.Thread(target=ask, daemon=True, name="doctor-names").start()
    return future


def _settle(future: asyncio.Future[list[Place]], told: Any) -> None:
    if future.done():
        return
    if isinstance(told, OSError):
        future.set_exception(told)
    else:
        hosts = dict.fromkeys((str(where[0]), family == socket.AF_INET6) for family, _, _, _, where in told)
        future.set_result([Place(host, is_v6) for host, is_v6 in hosts])


def _heard(future: asyncio.Future[list[Place]]) -> None:
    """Nobody may be left to hear of it."""
    if not future.cancelled():
        future.exception()


async def _tried(place: Place, port: int) -> Place:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(place.host, port)
    except TimeoutError:
        return place._replace(error=f"says nothing within {CONNECT_S:g} s", is_silent=True)
    except OSError as error:
        return place._replace(error=_why(error))
    writer.close()
    return place


def _why(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refuses"
    return (error.strerror or str(error)).lower().partition(": ")[0][:80] if error.errno else "cannot be reached"
