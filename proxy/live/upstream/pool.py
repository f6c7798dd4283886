"""The connections to one backend: made, counted, kept for the next request, closed.

Idle ones are taken newest first, so that the rest can age out. One whose maker is cancelled, or too slow, is given up
in whatever state it is: the loop may have made it already, and nobody else would ever close it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from proxy.live.upstream import tls
from proxy.live.upstream.address import SocketAddress
from proxy.live.upstream.connection import UpstreamConnection
from proxy.live.watch import Watch
from proxy.model.faults import Fault, FaultError, Kind, Retry, upstream


class ConnectionPool:
    """One per backend."""

    def __init__(self, address: SocketAddress, loop: asyncio.AbstractEventLoop, watch: Watch) -> None:
        self.address = address
        self.watch = watch
        self._loop = loop
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self.on_opened: Callable[[], None] | None = None
        self._retired = False

    @property
    def open_connections(self) -> int:
        """Connections that are not closed."""
        return len(self._open)

    @property
    def in_use(self) -> int:
        """Those that carry a request now."""
        return self.open_connections - len(self._idle)

    def take_idle(self) -> UpstreamConnection | None:
        """A pooled connection that is still open; None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection. FaultError (retry: safe, nothing was sent) when there is none within the limit."""
        address = self.address
        connection = UpstreamConnection(self, address, self.watch)
        try:
            async with self.watch.timeout(address.connect_s):
                await self._make(connection)
        except TimeoutError:
            connection.abandon()
            text = f"No connection to backend {address.name} within {address.connect_s:g} s."
            raise FaultError(upstream(Kind.CONNECT_TIMEOUT, text, Retry.SAFE)) from None
        except OSError as error:
            connection.abandon()
            raise FaultError(_unreachable(address, error)) from None
        except BaseException:  # a cancelled caller too: nobody else knows of the connection; it goes on its way
            connection.abandon()
            raise
        return connection

    async def _make(self, connection: UpstreamConnection) -> None:
        """TLS in a second step, so that what is under it is known, and closed, whenever the first is done."""
        address = self.address
        if address.socket:
            await self._loop.create_unix_connection(lambda: connection, address.socket)
            return
        await self._loop.create_connection(lambda: connection, address.ip or address.host, address.port)
        if address.tls is None:
            return
        if connection.transport is None:
            raise ConnectionResetError
        connection.transport = await self._loop.start_tls(
            connection.transport, connection, address.tls, server_hostname=address.host
        )

    def retire(self) -> None:
        """Nothing is kept for a next request any more; what is in use goes on to its end."""
        self._retired = True
        self.close()

    def configure(self, address: SocketAddress) -> None:
        """It is used, and new connections are made by this; those that wait were perhaps made by another one."""
        self._retired = False
        if address != self.address:
            self.address = address
            self.close()

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().abort()

    def opened(self, connection: UpstreamConnection) -> None:
        """There is a connection."""
        self._open.add(connection)
        self.watch.add(connection)
        if self.on_opened is not None:
            self.on_opened()

    def idle(self, connection: UpstreamConnection) -> None:
        """It can carry another request."""
        if self._retired or connection.address is not self.address:
            connection.abort()
        else:
            self._idle.append(connection)

    def closed(self, connection: UpstreamConnection) -> None:
        """It is gone. May be said twice."""
        self._open.discard(connection)
        self.watch.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)


def _unreachable(address: SocketAddress, error: OSError) -> Fault:
    kind, reason = Kind.CONNECT, (error.strerror or "the connection was closed").lower()[:64]
    if isinstance(error, ssl.SSLError):
        kind, reason = Kind.TLS, tls.reason(error, address.host)
    return upstream(kind, f"Cannot connect to backend {address.name}: {reason}.", Retry.SAFE)
