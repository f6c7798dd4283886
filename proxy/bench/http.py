"""A lean HTTP/1.1 client: connections that are kept, and the moment at which each piece of an answer came.

Owns framing and connections. uvloop's own clock stands still within a turn of its loop, so moments are read from the
clock of the machine, once for each piece of bytes.
"""

import asyncio
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import httptools

CONNECT_S: Final = 10.0
_HEADERS_MAX: Final = 256
_WHY_MAX: Final = 200


class LostError(Exception):
    """The connection ended before the answer did; the message says why."""

    def __init__(self, why: str, *, stale: bool = False) -> None:
        super().__init__(why[:_WHY_MAX])
        self.stale = stale
        """It was kept from a request before, and nothing of this answer had come: the server had closed it."""


class Taker(Protocol):
    """Who is given an answer, as it comes; `now`: monotonic seconds."""

    def on_head(self, status: int, headers: dict[str, str]) -> None: ...

    def on_body(self, data: bytes, now: float) -> None: ...


class Base(NamedTuple):
    """A server, and what stands before every path there."""

    scheme: str
    host: str
    port: int
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Base":
        """With or without `/v1` at its end, as clients write it."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, parts.hostname or "", port, parts.path.rstrip("/").removesuffix("/v1"))

    @property
    def authority(self) -> str:
        """For the header `host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    def request(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """Its bytes."""
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", f"host: {self.authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._taker: Taker | None = None
        self._ended: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._now = 0.0
        self._began = False
        self._until_closed = False
        self._kept = 0
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    async def ask(self, request: bytes, taker: Taker) -> None:
        """Send it, and wait for the end of its answer. Raises LostError."""
        assert self._transport is not None
        if not self.usable:
            raise LostError("it was closed", stale=True)
        self._taker, self._began, self._until_closed = taker, False, False
        ended = self._ended = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            await ended
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._taker = self._ended = None
        self._kept += 1

    def close(self) -> None:
        """At once; whoever waits hears of it."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._now = monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lost(f"its answer is not HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._until_closed and exc is None:
            self._end()
        else:
            self._lost("the connection was reset" if exc is not None else "the connection was closed")

    # of the parser

    def on_message_begin(self) -> None:
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) < _HEADERS_MAX:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._taker is None:
            return
        self._began = True
        self._until_closed = "content-length" not in self._headers and "transfer-encoding" not in self._headers
        self._taker.on_head(status, self._headers)

    def on_body(self, body: bytes) -> None:
        if self._taker is not None:
            self._taker.on_body(body, self._now)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._end()

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _lost(self, why: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(LostError(why, stale=self._kept > 0 and not self._began))


class Pool:
    """Connections to one server; those that are free are used again, the last one first."""

    def __init__(self, url: str, headers: dict[str, str] | None = None, *, insecure: bool = False) -> None:
        self.base = Base.of(url)
        self._headers = headers or {}
        self._tls = _tls(insecure) if self.base.scheme == "https" else None
        self._free: list[Connection] = []
        self._all: set[Connection] = set()

    async def ask(
        self,
        path: str,
        body: bytes,
        taker: Taker,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        on_sent: Callable[[], None] | None = None,
        on_connection: Callable[[Connection], None] | None = None,
    ) -> None:
        """One exchange. A kept connection that the server had closed is replaced once. Raises LostError.

        `on_sent` is called when the bytes go out, `on_connection` is given what can be closed to leave.
        """
        request = self.base.request(method, path, {**self._headers, **(headers or {})}, body)
        while True:
            kept = self._kept()
            connection = kept or await self._connect()
            if on_connection is not None:
                on_connection(connection)
            if on_sent is not None:
                on_sent()
            try:
                await connection.ask(request, taker)
            except LostError as lost:
                self._all.discard(connection)
                if lost.stale and kept is not None:
                    continue
                raise
            except asyncio.CancelledError:
                self._all.discard(connection)
                raise
            if connection.usable:
                self._free.append(connection)
            else:
                self._all.discard(connection)
            return

    def close(self) -> None:
        """All of them."""
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._free.clear()

    def _kept(self) -> Connection | None:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
            self._all.discard(connection)
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                name = self.base.host if self._tls else None
                made = loop.create_connection(
                    Connection, self.base.host, self.base.port, ssl=self._tls, server_hostname=name
                )
                _, connection = await made
        except TimeoutError:
            raise LostError(f"no connection within {CONNECT_S:g} s") from None
        except ssl.SSLError as error:
            raise LostError(f"TLS: {error.reason or error}") from None
        except OSError as error:
            raise LostError(_plainly(error)) from None
        self._all.add(connection)
        return connection


class Whole:
    """Takes an answer in one piece."""

    MAX_B: Final = 64 << 20

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self.body.clear()

    def on_body(self, data: bytes, now: float) -> None:
        if len(self.body) < self.MAX_B:
            self.body += data


def _plainly(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "connection refused"
    return (error.strerror or str(error)).lower()


def _tls(insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
