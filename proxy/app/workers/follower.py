"""A worker that does not decide: a proxy whose driver is linked to the decider, by whose configuration it serves.

    LINK ─▶ HELLO ─▶ CONFIG: the proxy starts, or takes it ─▶ linked ─ … ─ lost ─▶ it decides alone until the next LINK

Owns its link, and what was not told yet of requests while there is none.
"""

import asyncio
import logging
import pickle
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from proxy.app.candidate import candidate
from proxy.app.listeners import StartError
from proxy.app.proxy import Proxy
from proxy.app.tasks import watched
from proxy.app.workers.seat import Seat
from proxy.app.workers.start import Start
from proxy.config.schema import Config
from proxy.core.scheduler import Scheduler
from proxy.live.workers import words
from proxy.live.workers.link import Link, Message
from proxy.live.workers.records import record_told
from proxy.live.workers.remote import RemoteDriver
from proxy.model.timeline import Clock
from proxy.obs.record import Record

_log = logging.getLogger("tidegate.workers")
UNTOLD: Final = 10_000
"""Requests that ended while nobody counted; the oldest of more are lost to logs and metrics."""


class RejectedError(Exception):
    """The decider does not take this worker."""


class Follower:
    """One per process."""

    def __init__(
        self,
        start: Start,
        version: str,
        listen: socket.socket,
        admin: socket.socket,
        unlinked: Callable[[], None],
    ) -> None:
        """`unlinked`: its link broke."""
        self._unlinked = unlinked
        self._start = start
        self._version = version
        self._sockets = listen, admin
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._is_linked = False
        self._driver: RemoteDriver | None = None
        self._untold: deque[Message] = deque()
        self._lost = 0
        self._config = b""
        self._wanted = b""
        self._turn = asyncio.Lock()
        self.proxy: Proxy | None = None
        self.started: asyncio.Future[None] = self._loop.create_future()
        """It serves; RejectedError or StartError: it never will."""

    async def join(self, connection: socket.socket) -> None:
        """A decider is at the other end."""
        before, self._link = self._link, None
        if before is not None:
            before.close()
            self._alone("there is another decider")
        link: list[Link] = []

        def lost(why: str) -> None:
            if self._link is link[0]:
                self._link = None
                self._alone(why)
                self._unlinked()

        def made() -> Link:
            link.append(Link(self._loop, lambda message: self._heard(link[0], message), lost))
            self._link = link[0]
            return link[0]

        await self._loop.create_connection(made, sock=connection)
        link[0].send((words.HELLO, self._version, self._start.number, self._start.serial))

    def tell(self, record: Record) -> None:
        """Of a request that is over, to the one that counts for all."""
        told = (words.RECORD, record_told(record))
        if self._link is not None and self._is_linked:
            self._link.send(told)
            return
        if len(self._untold) == UNTOLD:
            self._untold.popleft()
            self._lost += 1
        self._untold.append(told)

    async def close(self) -> None:
        """What was said last has arrived."""
        if self._link is not None:
            self._link.close()
        await asyncio.sleep(0.05)

    # --- within

    def _heard(self, link: Link, message: Message) -> None:
        if message[0] == words.CONFIG:
            self._wanted = message[1]
            watched(self._take(link))
        elif message[0] == words.REJECTED:
            _log.error("this worker cannot work with the decider: %s", message[1])
            if not self.started.done():
                self.started.set_exception(RejectedError(message[1]))
        elif self._driver is not None:
            self._driver.heard(message)

    async def _take(self, link: Link) -> None:
        """The last configuration that came."""
        async with self._turn:
            if self._wanted != self._config:
                self._config = self._wanted
                config: Config = pickle.loads(self._config)  # noqa: S301 - of our own process
                try:
                    await (self._reload(config) if self.proxy is not None else self._begin(config))
                except StartError as error:
                    _log.error("%s", error)
                    if not self.started.done():
                        self.started.set_exception(error)
                    return
        if link is self._link and not self._is_linked and self._driver is not None:
            self._is_linked = True
            self._driver.linked(link)
            if self._lost:
                _log.warning("%d requests were not counted while the decider was away", self._lost)
                self._lost = 0
            while self._untold:
                link.send(self._untold.popleft())

    async def _begin(self, config: Config) -> None:
        listen, admin = self._sockets
        proxy = Proxy(
            config,
            seat=Seat(
                driver=self._drives,
                listen=listen,
                admin=admin,
                answers_admin=False,
                first_job=self._start.first_job,
                tell=self.tell,
            ),
        )
        await proxy.start()
        self.proxy = proxy
        if not self.started.done():
            self.started.set_result(None)

    async def _reload(self, config: Config) -> None:
        assert self.proxy is not None
        new = await asyncio.to_thread(candidate, config)
        await self.proxy.meet(new)
        self.proxy.configured.prepare(new)()

    def _drives(self, scheduler: Scheduler, loop: asyncio.AbstractEventLoop, clock: Clock) -> RemoteDriver:
        self._driver = RemoteDriver(scheduler, loop, clock)
        return self._driver

    def _alone(self, why: str) -> None:
        if self._is_linked and self._driver is not None:
            _log.warning("the decider is gone, this worker decides alone: %s", why)
            self._is_linked = False
            self._driver.unlinked()
