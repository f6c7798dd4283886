"""The place of one proxy among workers: alone, the one that decides, or one that asks it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from proxy.core.scheduler import Scheduler
from proxy.live.driver import Driver
from proxy.model.timeline import Clock
from proxy.obs.record import Record


async def _nothing() -> None:
    """There is nobody to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What differs."""

    driver: Callable[[Scheduler, asyncio.AbstractEventLoop, Clock], Driver] = Driver
    """Makes what carries jobs to whoever decides."""
    listen: socket.socket | None = None
    """Inherited; None: bound here."""
    admin: socket.socket | None = None
    answers_admin: bool = True
    first_job: int = 1
    """Ids of jobs begin here: they are those of one worker."""
    tell: Callable[[Record], None] | None = None
    """Takes what is told of requests; None: it is told here."""
    others: Callable[[], int] = lambda: 0
    """Requests of other workers that a drain waits for."""
    last: Callable[[], Awaitable[None]] = _nothing
    """Waits for the last words of other workers."""


ALONE: Final = Seat()
