"""An engine that misbehaves on demand, byte for byte: raw sockets, no HTTP library.

A request's `x-fake: NAME ARGS…` header picks the script that answers it; a test adds its own to `scripts`. Without the
header the well-behaved engine of `fake_engine` answers. Everything received is recorded; when the peer leaves while a
script runs, the script is cancelled and the moment is kept.
"""

import asyncio
import contextlib
import itertools
import json
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from tests.support.http_bytes import ChunkedDecoder, Head, split_head
from tests.support.loop_thread import LoopThread
from tests.support.patience import eventually

Script = Callable[["Exchange"], Awaitable[None]]
_PROBES = frozenset({"/v1/models", "/health", "/metrics", "/version", "/props", "/api/tags", "/get_model_info"})
_OWN_IDS = ("tidegate-probe", "tidegate-scrape")


@dataclass
class Received:
    """One request as it arrived, and what became of it. Times are monotonic seconds."""

    number: int
    connection: int
    """Number of the connection; requests that share it came over one socket."""
    raw_head: bytes
    head: Head
    body: bytes
    received_at: float
    answered_at: float | None = None
    """The script ran to its end."""
    aborted_at: float | None = None
    """The peer closed before."""

    @property
    def method(self) -> str:
        return self.head.start.split(" ")[0]

    @property
    def target(self) -> str:
        return self.head.start.split(" ")[1]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def open(self) -> bool:
        return self.answered_at is None and self.aborted_at is None

    @property
    def is_probe(self) -> bool:
        """Whether the proxy asks for itself: its id says so; on usual routes a GET does."""
        if (self.header("x-request-id") or "").startswith(_OWN_IDS):
            return True
        return self.method == "GET" and self.path in _PROBES and self.header("x-fake") is None

    def header(self, name: str) -> str | None:
        return self.head.get(name)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Exchange:
    """What a script holds: the request, its arguments, and the raw end of the connection."""

    request: Received
    arguments: list[str]
    backend: "FakeBackend"
    _peer: "_Connection" = field(repr=False)

    async def send(self, data: bytes) -> None:
        """Writes and waits while the peer does not read."""
        await self._peer.send(data)

    def close(self) -> None:
        """FIN in both directions, after what was sent."""
        self._peer.transport.close()

    def half_close(self) -> None:
        """FIN in our direction only."""
        self._peer.transport.write_eof()

    def reset(self) -> None:
        """RST at once; what was not yet sent is lost."""
        self._peer.reset()

    @property
    def sent_b(self) -> int:
        """Bytes given to the kernel for this connection."""
        return self._peer.sent_b - self._peer.transport.get_write_buffer_size()


class FakeBackend:
    """A listening engine. Made on any thread; lives on the `LoopThread`."""

    def __init__(
        self,
        loop: LoopThread,
        default: Script,
        scripts: dict[str, Script],
        *,
        models: tuple[str, ...] = ("fake-model",),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        idle_close_s: float | None = None,
        path: str = "",
    ) -> None:
        """With `path` it listens on a Unix socket."""
        self.models = models
        self.default = default
        self.scripts = dict(scripts)
        self.received: list[Received] = []
        self.connections_total = 0
        self.script_errors: list[BaseException] = []
        self.idle_close_s = idle_close_s
        """Closes a connection without a request for so long, as engines do after 5 s."""
        self.numbers = itertools.count(1)
        self._open: set[_Connection] = set()
        self._loop = loop
        self._tls = tls
        self._path = path
        self.port = port
        self._server: asyncio.Server | None = None
        self.start()

    @property
    def url(self) -> str:
        if self._path:
            return f"unix:{self._path}"
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    # life

    def start(self) -> None:
        """Listens; on the same port as before after a `stop`."""
        self._server = self._loop.run(self._listen())
        if not self._path:
            self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stops listening and resets every connection, as a killed process does."""
        if self._server is not None:
            self._loop.run(self._shut(self._server))
            self._server = None

    def drop_connections(self) -> None:
        """Resets every open connection; goes on listening."""
        self._loop.call(self._reset_all)

    # what was seen

    @property
    def requests(self) -> list[Received]:
        """Requests that are not probes."""
        return [request for request in self.received if not request.is_probe]

    @property
    def probes(self) -> list[Received]:
        return [request for request in self.received if request.is_probe]

    @property
    def open_requests(self) -> int:
        return sum(request.open for request in self.requests)

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def forget(self) -> None:
        """Empties the record."""
        self.received.clear()

    def wait_for_request(self, count: int = 1, within_s: float = 5.0) -> Received:
        """The `count`-th request since the last `forget`."""
        eventually(lambda: len(self.requests) >= count, f"{count} requests at {self.url}", within_s)
        return self.requests[count - 1]

    # inside the loop

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if self._path:
            return await loop.create_unix_server(lambda: _Connection(self), self._path, backlog=512)
        return await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, ssl=self._tls, reuse_address=True, backlog=512
        )

    async def _shut(self, server: asyncio.Server) -> None:
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(2):
            await asyncio.sleep(0)  # what was accepted just now: a server that is closed would never let go of it
        server.close()
        peers = list(self._open)
        self._reset_all()
        await asyncio.gather(*(peer.task for peer in peers if peer.task), return_exceptions=True)
        await asyncio.sleep(0)

    def _reset_all(self) -> None:
        for peer in list(self._open):
            peer.reset()

    def joined(self, peer: "_Connection") -> int:
        self._open.add(peer)
        self.connections_total += 1
        return self.connections_total

    def left(self, peer: "_Connection") -> None:
        self._open.discard(peer)

    async def answer(self, request: Received, peer: "_Connection") -> None:
        words = (request.header("x-fake") or "").split()
        script = self.default if not words else self.scripts[words[0]]
        await script(Exchange(request, words[1:], self, peer))


class _Connection(asyncio.Protocol):
    """One accepted connection: reads requests one after the other and has each answered."""

    def __init__(self, backend: FakeBackend) -> None:
        self.backend = backend
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.task: asyncio.Task[None] | None = None
        self.number = 0
        self.sent_b = 0
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._current: Received | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.number = self.backend.joined(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._news.set()

    def eof_received(self) -> bool:
        self._peer_left()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer_left()
        self.backend.left(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # for Exchange

    async def send(self, data: bytes) -> None:
        if self.transport.is_closing():
            await asyncio.sleep(0)  # the loop will say that it is lost, if a script that never ends lets it
            return
        self.transport.write(data)
        self.sent_b += len(data)
        await self._writable.wait()

    def reset(self) -> None:
        raw = self.transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    # reading

    def _peer_left(self) -> None:
        self._ended = True
        self._news.set()
        if self._current is not None and self._current.open:
            self._current.aborted_at = time.monotonic()
            if self.task is not None:
                self.task.cancel()

    async def _serve(self) -> None:
        try:
            while (request := await self._next_request()) is not None:
                self._current = request
                self.backend.received.append(request)
                await self.backend.answer(request, self)
                request.answered_at = time.monotonic()
                self._current = None
        except asyncio.CancelledError:
            pass
        except Exception as error:  # shown by the fixture at the end of the test
            self.backend.script_errors.append(error)
        finally:
            self.transport.close()

    async def _next_request(self) -> Received | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.backend.idle_close_s):
                if not await self._more_until(lambda: bool(self._buffer)):
                    return None
        if not self._buffer or not await self._more_until(lambda: split_head(bytes(self._buffer)) is not None):
            return None
        split = split_head(bytes(self._buffer))
        assert split is not None
        head, length = split
        raw = bytes(self._buffer[:length])
        del self._buffer[:length]
        if (head.get("expect") or "").lower() == "100-continue":
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._body(head)
        if body is None:
            return None
        return Received(next(self.backend.numbers), self.number, raw, head, body, time.monotonic())

    async def _body(self, head: Head) -> bytes | None:
        if head.get("transfer-encoding") is not None:
            return await self._chunked_body()
        size = int(head.get("content-length") or 0)
        if not await self._more_until(lambda: len(self._buffer) >= size):
            return None
        body = bytes(self._buffer[:size])
        del self._buffer[:size]
        return body

    async def _chunked_body(self) -> bytes | None:
        decoder = ChunkedDecoder()
        while not decoder.done:
            if not await self._more_until(lambda: bool(self._buffer)):
                return None
            decoder.feed(bytes(self._buffer))
            self._buffer.clear()
        self._buffer += decoder.rest
        return decoder.body

    async def _more_until(self, enough: Callable[[], bool]) -> bool:
        """False when the connection ends before there is enough."""
        while not enough():
            if self._ended:
                return False
            self._news.clear()
            await self._news.wait()
        return True
