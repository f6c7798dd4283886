"""Looks names up as this machine does: its hosts file, its name servers, its search domains.

Owns the threads in which that blocks, and the deadline. What the system's resolver is asked by tells no TTL, so how
often somebody looks is theirs to say. A thread cannot be ended: one that hangs is left behind, and its name is not
asked again before it has come back.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

Lookup: TypeAlias = Callable[[str, str], Awaitable[tuple[str, ...]]]
"""Host and family (`all`, `ipv4`, `ipv6`) → its addresses. OSError, with words for people, when there is no answer."""
DEADLINE_S: Final = 5.0
MAX_THREADS: Final = 16
_FAMILIES: Final = {"all": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_Ask: TypeAlias = Callable[[str, int], list[str]]


def ask_system(host: str, family: int) -> list[str]:
    """All addresses, IPv6 with its zone where it has one. Blocks; OSError or UnicodeError when there are none."""
    found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Resolver:
    """One per process; a `Lookup`."""

    def __init__(self, ask: _Ask = ask_system, deadline_s: float = DEADLINE_S) -> None:
        self._ask = ask
        self._deadline_s = deadline_s
        self._out: set[tuple[str, str]] = set()
        """In a thread now."""
        self._room = asyncio.Semaphore(MAX_THREADS)

    async def __call__(self, host: str, family: str) -> tuple[str, ...]:
        """See `Lookup`."""
        key = (host, family)
        async with self._room:
            if key in self._out:
                raise OSError("the lookup before has not come back yet")
            if len(self._out) >= MAX_THREADS:
                raise OSError(f"{MAX_THREADS} lookups of other names have not come back yet")
            try:
                async with asyncio.timeout(self._deadline_s):
                    return await self._in_thread(key)
            except TimeoutError:
                raise OSError(f"no answer within {self._deadline_s:g} s") from None

    def _in_thread(self, key: tuple[str, str]) -> "asyncio.Future[tuple[str, ...]]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[str, ...]] = loop.create_future()
        self._out.add(key)

        def end(found: list[str] | None, why: str) -> None:
            self._out.discard(key)
            if answer.done():
                return
            if found is None:
                answer.set_exception(OSError(why))
            else:
                answer.set_result(tuple(dict.fromkeys(found)))

        def ask() -> None:
            found, why = None, ""
            try:
                found = self._ask(key[0], _FAMILIES[key[1]])
            except UnicodeError:
                why = "it is not a name"
            except OSError as error:
                why = error.strerror or str(error)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(end, found, why)

        threading.Thread(target=ask, name="lookup", daemon=True).start()
        return answer
