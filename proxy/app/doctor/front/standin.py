"""Answers at the proxy's address while no proxy runs there: what it says is known, so that what a client gets tells
what stands between. Whoever has no mark is told to come again.
"""

import asyncio
import contextlib
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httptools

from proxy.app.doctor.front.trials import EVENTS, PAUSE_S, RETRY_AFTER, Arrived, Trial
from proxy.config.address import Address

_MOST: Final = 64
"""Connections at once; more are closed."""
_MAX_BODY_B: Final = 1 << 16
_LEAVING_S: Final = 4.0
"""For so long it is waited for a client that leaves."""
_IDLE_S: Final = 10.0


class Standin:
    """What came, and how it is answered."""

    def __init__(self, mark: str, silence_s: float) -> None:
        self.arrived: dict[Trial, list[Arrived]] = defaultdict(list)
        self.left_after_s: float | None = None
        self._mark = mark.encode()
        self._silence_s = silence_s
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        self._open += 1
        try:
            while self._open <= _MOST:
                async with asyncio.timeout(_IDLE_S):
                    request = await _read(reader, writer)
                if request is None or not await self._answer(request, reader, writer):
                    return
        except (OSError, asyncio.IncompleteReadError, httptools.HttpParserError):
            return
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, request: "_Request", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may be used again."""
        trial = self._trial(request)
        if trial is None:
            _whole(writer, 503, b'{"error":{"message":"tidegate doctor is testing here; come again."}}', "", "1")
            return request.keeps
        named = request.headers.get("x-request-id", "")
        self.arrived[trial].append(Arrived(request.version, request.path, request.headers, len(request.body)))
        if trial is Trial.ERROR:
            _whole(writer, 503, b'{"error":{"message":"doctor","type":"doctor"}}', named, RETRY_AFTER)
        elif trial in (Trial.CONTINUE, Trial.SIZE):
            _whole(writer, 200, b'{"doctor":true}', named)
        else:
            events = _Events(writer, is_chunked=request.version != "1.0")
            _head(writer, "200 OK", f"content-type: text/event-stream\r\n{events.framing}{_STREAM}", named)
            flow = self._until_left(reader, events) if trial is Trial.LEAVE else self._stream(events)
            await flow
            return request.keeps and trial is Trial.STREAM and events.is_chunked
        await writer.drain()
        return request.keeps

    def _trial(self, request: "_Request") -> Trial | None:
        if request.is_large:  # its body is never sent: the head alone tells
            return Trial.SIZE if self._mark.decode() in request.headers.get("x-request-id", "") else None
        return next((trial for trial in Trial if self._mark + b" " + trial.encode() + b'"' in request.body), None)

    async def _stream(self, events: "_Events") -> None:
        for number in range(EVENTS):
            await events.write(b'{"choices":[{"index":0,"delta":{"content":"%d "}}]}' % number)
            await asyncio.sleep(PAUSE_S)
        await asyncio.sleep(self._silence_s)
        await events.write(b"[DONE]")
        await events.end()

    async def _until_left(self, reader: asyncio.StreamReader, events: "_Events") -> None:
        """Says one thing, then nothing, as an engine that thinks: only what stands in front can tell of the client."""
        await events.write(b'{"choices":[{"index":0,"delta":{"content":"x"}}]}')
        began = time.monotonic()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LEAVING_S):
                if not await reader.read(1):
                    self.left_after_s = time.monotonic() - began


@asynccontextmanager
async def standing_in(at: Address, tls: ssl.SSLContext | None, mark: str, silence_s: float) -> AsyncIterator[Standin]:
    """One at the address. OSError where it is taken, or not of this machine."""
    standin = Standin(mark, silence_s)
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(standin.serve(reader, writer)))

    server = await asyncio.start_server(begin, at.host, at.port, ssl=tls, limit=_MAX_BODY_B)
    try:
        yield standin
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Request:
    """One that is being read: what the parser says of it."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.path = ""
        self.version = ""
        self.keeps = False
        self.is_large = False
        self.has_head = self.is_done = False

    def on_url(self, url: bytes) -> None:
        self.path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_head = True
        length = self.headers.get("content-length", "")
        self.is_large = length.isdigit() and int(length) > _MAX_BODY_B

    def on_body(self, data: bytes) -> None:
        self.body = (self.body + data)[: _MAX_BODY_B + 1]

    def on_message_complete(self) -> None:
        self.is_done = True


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request | None:
    """The next one; None: there is none. Of a large one the head alone."""
    request = _Request()
    parser = httptools.HttpRequestParser(request)
    is_asked = False
    while not request.is_done and not request.is_large:
        data = await reader.read(_MAX_BODY_B)
        if not data:
            return None
        with contextlib.suppress(httptools.HttpParserUpgrade):
            parser.feed_data(data)
        request.version, request.keeps = parser.get_http_version(), parser.should_keep_alive()
        if request.has_head and not is_asked and request.headers.get("expect", "").lower() == "100-continue":
            is_asked = True
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
    request.keeps = request.keeps and not request.is_large
    return request


_STREAM: Final = "cache-control: no-cache\r\nx-accel-buffering: no\r\n"
"""What the proxy says beside its streams."""


def _head(writer: asyncio.StreamWriter, status: str, headers: str, request_id: str) -> None:
    own = f"x-request-id: {request_id}\r\nx-tidegate-route: backend=doctor\r\nserver-timing: total;dur=1\r\n"
    writer.write(f"HTTP/1.1 {status}\r\n{headers}{own}\r\n".encode("latin-1"))


def _whole(writer: asyncio.StreamWriter, status: int, body: bytes, request_id: str, retry_after: str = "") -> None:
    later = f"retry-after: {retry_after}\r\n" if retry_after else ""
    words = "200 OK" if status == 200 else f"{status} Service Unavailable"
    _head(writer, words, f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{later}", request_id)
    writer.write(body)


class _Events:
    """A stream as it is framed: in chunks, or until the connection ends, for who speaks HTTP/1.0."""

    def __init__(self, writer: asyncio.StreamWriter, *, is_chunked: bool) -> None:
        self.is_chunked = is_chunked
        self.framing = "transfer-encoding: chunked\r\n" if is_chunked else "connection: close\r\n"
        self._writer = writer

    async def write(self, data: bytes) -> None:
        event = b"data: " + data + b"\n\n"
        self._writer.write(b"%x\r\n%b\r\n" % (len(event), event) if self.is_chunked else event)
        await self._writer.drain()

    async def end(self) -> None:
        if self.is_chunked:
            self._writer.write(b"0\r\n\r\n")
            await self._writer.drain()
