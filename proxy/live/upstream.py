"""The upstream hop: pooled HTTP/1.1 connections to one backend, on httptools.

Owns connecting, reuse, the deadlines of an answer and back-pressure towards the engine. Knows nothing of JSON or SSE:
what arrives goes to a Receiver as it comes. A connection with any framing error is closed, never pooled.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, cast

import httptools

from proxy.live.watch import NEVER, Watch
from proxy.model.faults import Fault, FaultError, Kind, Retry, upstream
from proxy.wire import framing

_MAX_HEAD_B = 64 * 1024
"""Of an answer; engines send some hundred bytes."""


class Receiver(Protocol):
    """Whoever asked. Called in order: head, body…, then exactly one of ended and failed."""

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head of the answer (never a 1xx)."""

    def on_body(self, data: bytes) -> None:
        """Some bytes of the body, framing removed."""

    def on_chunk(self, data: bytes, chunk: bytes, now: float) -> None:
        """The same, where they came as one whole chunk; `chunk`: with its framing. `now`: monotonic seconds."""

    def on_end(self) -> None:
        """The answer is complete."""

    def on_fault(self, fault: Fault) -> None:
        """The answer will never be complete."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a backend is and how patient we are with it. Times in seconds."""

    name: str
    host: str
    port: int
    authority: bytes
    """The `Host` header."""
    prefix: str
    """Path before `/v1`, without a trailing slash."""
    api_key: str | None
    tls: ssl.SSLContext | None
    connect_s: float
    first_byte_s: float
    idle_s: float
    keepalive_s: float


class Connection(asyncio.Protocol):
    """One connection to a backend; one exchange at a time."""

    __slots__ = (
        "_address",
        "_between_chunks",
        "_fields_b",
        "_head_b",
        "_headers",
        "_parser",
        "_paused",
        "_pool",
        "_receiver",
        "_status",
        "_until_close",
        "deadline",
        "reused",
        "transport",
        "watch",
    )

    def __init__(self, pool: "Pool", watch: Watch) -> None:
        self._pool = pool
        self._address = pool.address
        self.watch = watch
        self.transport: asyncio.Transport | None = None
        self.deadline = NEVER
        self.reused = False
        self._receiver: Receiver | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._head_b = self._fields_b = 0
        self._until_close = False
        self._between_chunks = False
        """The parser has ended a chunk and begun no other."""
        self._paused = False

    # --- what its user calls

    def send(self, message: bytes, receiver: Receiver) -> None:
        """Write one request; the answer goes to `receiver`."""
        assert self._receiver is None
        assert self.transport is not None
        self._receiver = receiver
        self.deadline = monotonic() + self._address.first_byte_s
        self.transport.write(message)

    def pause(self) -> None:
        """Stop reading: the client is slower than the engine. The engine is not to blame, so no deadline runs."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._paused = True
            self.deadline = NEVER

    def resume(self) -> None:
        """Go on reading."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            self._paused = False
            self.deadline = monotonic() + self._address.idle_s

    def abort(self) -> None:
        """Close now; the receiver hears nothing more."""
        self._receiver = None
        if self.transport is not None:
            self.transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether a request could be written."""
        return self.transport is not None and not self.transport.is_closing()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._pool.opened()
        self.watch.add(self)

    def data_received(self, data: bytes) -> None:
        if self._receiver is None:  # an engine that talks unasked, or after its answer: not to be trusted again
            self.abort()
            return
        now = monotonic()
        self.deadline = now + self._address.idle_s
        if self._between_chunks:
            start = framing.one_chunk(data)
            if start:  # the parser need not know: it stands before a chunk and would stand there again
                self._receiver.on_chunk(data[start:-2], data, now)
                return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        if not self._status:
            self._head_b += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, FaultError):
                raise
            self._fail(error.__context__.fault)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(upstream(Kind.NONSENSE, f"Backend {self._address.name} sent something that is not HTTP/1.1."))
        if not self._status and self._head_b > _MAX_HEAD_B:
            self._fail(upstream(Kind.NONSENSE, f"Backend {self._address.name} sent too long a head."))
        if self._between_chunks and not data.endswith(b"\n"):  # the next size line has begun
            self._between_chunks = False

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.watch.discard(self)
        self.transport = None
        if self._until_close and exc is None:
            self._end(reusable=False)
        else:
            self._fail(self._lost())
        self._pool.closed(self)

    def expired(self, now: float) -> None:
        """The sweep found `deadline` in the past."""
        name = self._address.name
        if self._receiver is None:
            self.abort()
        elif self._status == 0:
            text = f"Backend {name} sent nothing for {self._address.first_byte_s:g} s."
            self._fail(upstream(Kind.FIRST_BYTE_TIMEOUT, text))  # it may be at work: never asked twice
        else:
            self._fail(upstream(Kind.IDLE_TIMEOUT, f"Backend {name} fell silent for {self._address.idle_s:g} s."))

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        if self._receiver is None:  # else the next request would get the rest of it as its answer
            raise FaultError(upstream(Kind.NONSENSE, f"Backend {self._address.name} answered unasked."))
        self._headers = []
        self._status = self._fields_b = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:  # a trailer: never merged
            return
        self._fields_b += len(name) + len(value)
        if self._fields_b > _MAX_HEAD_B:
            raise FaultError(upstream(Kind.NONSENSE, f"Backend {self._address.name} sent too long a head."))
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise FaultError(upstream(Kind.NONSENSE, f"Backend {self._address.name} switched protocols unasked."))
            return
        if self._parser.get_http_version() not in ("1.0", "1.1"):
            raise FaultError(upstream(Kind.NONSENSE, f"Backend {self._address.name} does not speak HTTP/1.1."))
        self._status = status
        framed = status in (204, 304) or any(
            n.lower() in (b"content-length", b"transfer-encoding") for n, _ in self._headers
        )
        self._until_close = not framed
        if self._receiver is not None:
            self._receiver.on_head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.on_body(data)

    def on_chunk_header(self) -> None:
        self._between_chunks = False

    def on_chunk_complete(self) -> None:
        self._between_chunks = True

    def on_message_complete(self) -> None:
        self._between_chunks = False
        if self._status >= 200:
            self._end(reusable=self._parser.should_keep_alive() and not self._until_close)

    # --- endings

    def _end(self, *, reusable: bool) -> None:
        receiver, self._receiver = self._receiver, None
        self._status = self._head_b = 0
        self.reused = True
        if self._paused:
            self.resume()
        self.deadline = monotonic() + self._address.keepalive_s
        if reusable and self.is_open:
            self._pool.idle(self)
        elif self.transport is not None:
            self.transport.abort()
        if receiver is not None:
            receiver.on_end()

    def _fail(self, fault: Fault) -> None:
        receiver, self._receiver = self._receiver, None
        if self.transport is not None:
            self.transport.abort()
        if receiver is not None:
            receiver.on_fault(fault)

    def _lost(self) -> Fault:
        name = self._address.name
        if self._status:
            return upstream(Kind.CUT, f"Backend {name} closed the connection in the middle of its answer.")
        retry = Retry.REUSED_CONNECTION_ONLY if self.reused else Retry.SAFE
        return upstream(Kind.RESET, f"Backend {name} closed the connection before it answered.", retry)


class Pool:
    """The connections to one backend: idle ones newest first, so that the rest can age out."""

    def __init__(self, address: Address, loop: asyncio.AbstractEventLoop, watch: Watch) -> None:
        self.address = address
        self._loop = loop
        self._watch = watch
        self._idle: list[Connection] = []
        self._open = 0

    @property
    def open_connections(self) -> int:
        """Connections that are not closed."""
        return self._open

    def take_idle(self) -> Connection | None:
        """A pooled connection that is still open; None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def connect(self) -> Connection:
        """A new connection. FaultError (retry: safe, nothing was sent) when there is none within the limit."""
        address = self.address
        connection = Connection(self, self._watch)
        try:
            async with asyncio.timeout(address.connect_s):
                await self._loop.create_connection(
                    lambda: connection,
                    address.host,
                    address.port,
                    ssl=address.tls,
                    server_hostname=address.host if address.tls else None,
                )
        except TimeoutError:
            text = f"No connection to backend {address.name} within {address.connect_s:g} s."
            raise FaultError(upstream(Kind.CONNECT_TIMEOUT, text, Retry.SAFE)) from None
        except OSError as error:
            reason = "TLS failed" if isinstance(error, ssl.SSLError) else (error.strerror or type(error).__name__)
            text = f"Cannot connect to backend {address.name}: {reason.lower()[:64]}."
            raise FaultError(upstream(Kind.CONNECT, text, Retry.SAFE)) from None
        return connection

    def opened(self) -> None:
        """A connection is there."""
        self._open += 1

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().abort()

    def idle(self, connection: Connection) -> None:
        """The connection can carry another request."""
        self._idle.append(connection)

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""
        self._open -= 1
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
