"""A client of HTTP/1.1 that notes when what came. Follows no redirect, and obeys no proxy variable."""

import asyncio
import contextlib
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httptools

from proxy.app.doctor.front.trials import Answer
from proxy.app.doctor.names import Names

_MAX_BODY_B: Final = 1 << 20
_CONTINUE_S: Final = 1.5
"""So long it is waited for; clients usually wait one second."""
_PORTS: Final = {"http": 80, "https": 443}


class Question(NamedTuple):
    """One request."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    within_s: float
    asks_first: bool = False
    """`Expect: 100-continue`."""
    declares_b: int = 0
    """The length that is told of a body that is never sent; 0: of the one that is."""
    leaves: bool = False
    """After its first event."""
    verifies: bool = True
    method: str = "POST"


async def get(url: str, headers: Mapping[str, str], within_s: float, names: Names) -> Answer:
    """The same for a GET, whoever has the certificate: of this machine's own proxy."""
    return await ask(Question(url, headers, b"", within_s, verifies=False, method="GET"), names)


async def ask(question: Question, names: Names) -> Answer:
    """What came back; never raises."""
    began = time.monotonic()
    parts = urlsplit(question.url)
    port = parts.port or _PORTS[parts.scheme]
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(question.within_s):
            found = await names.reach(parts.hostname or "", port)
            if not found.reached:
                why = found.error or (f"it {found.places[0].error}" if found.places else "it has no address")
                return Answer(error=f"cannot be reached: {why}")
            secure = _context(question.verifies) if parts.scheme == "https" else None
            server = parts.hostname if secure is not None else None
            host = found.reached[0].host
            reader, writer = await asyncio.open_connection(host, port, ssl=secure, server_hostname=server)
            writer.write(_head(question, parts.netloc.rpartition("@")[2], parts.path))
            reading = _Reading(began)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(question.within_s - (time.monotonic() - began)):
                    await _exchange(question, reader, writer, reading)
            return reading.answer()
    except TimeoutError:
        return Answer(error=f"no connection within {question.within_s:g} s")
    except ssl.SSLError as error:
        said = getattr(error, "verify_message", "") or (error.reason or "failed").replace("_", " ").lower()
        return Answer(error=f"TLS: {said}")
    except OSError as error:
        return Answer(error=f"cannot be reached: {(error.strerror or 'no answer').lower()}")
    except httptools.HttpParserError:
        return Answer(error="its answer is not HTTP")
    finally:
        if writer is not None:
            writer.transport.abort()


async def _exchange(
    question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reading: "_Reading"
) -> None:
    if question.asks_first:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CONTINUE_S):
                await reading.read(reader, lambda: reading.continued_s is not None or reading.status != 0)
        if question.declares_b or reading.status:
            return
    writer.write(question.body)
    await writer.drain()
    await reading.read(reader, lambda: question.leaves and bool(reading.events_at))


class _Reading:
    """An answer as it comes."""

    def __init__(self, began: float) -> None:
        self.events_at: list[float] = []
        self.continued_s: float | None = None
        self.status = 0
        self._began = began
        self._headers: dict[str, str] = {}
        self._body = b""
        self._unpacks: Callable[[bytes], bytes] | None = None
        self._is_whole = self._is_over = False
        self._took_s = 0.0
        self._parser = httptools.HttpResponseParser(self)

    async def read(self, reader: asyncio.StreamReader, is_enough: Callable[[], bool]) -> None:
        """Until it ends, or that is so."""
        while not self._is_whole and not is_enough():
            data = await reader.read(_MAX_BODY_B)
            if not data:
                self._is_over, self._took_s = True, time.monotonic() - self._began
                return
            self._feed(data)

    def answer(self) -> Answer:
        """What has come of it."""
        return Answer(
            self.status,
            self._headers,
            self._body,
            tuple(self.events_at),
            self._took_s,
            self._is_whole or (self._is_over and "content-length" not in self._headers and self._ends_by_closing()),
            self.continued_s,
            "" if self.status or self.continued_s is not None else "no answer",
        )

    # --- called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self.continued_s = time.monotonic() - self._began
            self._headers.clear()
            return
        self.status = status
        if self._headers.get("content-encoding", "") in ("gzip", "deflate"):
            self._unpacks = zlib.decompressobj(47).decompress

    def on_body(self, data: bytes) -> None:
        with contextlib.suppress(zlib.error):
            data = data if self._unpacks is None else self._unpacks(data)
        self._body = (self._body + data)[:_MAX_BODY_B]
        more = self._body.count(b"\ndata: ") + self._body.startswith(b"data: ") - len(self.events_at)
        self.events_at += [time.monotonic() - self._began] * more

    def on_message_complete(self) -> None:
        if self.status:
            self._is_whole = True

    # --- inside

    def _feed(self, data: bytes) -> None:
        self._parser.feed_data(data)
        self._took_s = time.monotonic() - self._began

    def _ends_by_closing(self) -> bool:
        return "chunked" not in self._headers.get("transfer-encoding", "").lower()


def _head(question: Question, host: str, path: str) -> bytes:
    lines = [f"{question.method} {path} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in question.headers.items()]
    lines.append(f"content-length: {question.declares_b or len(question.body)}")
    if question.asks_first:
        lines.append("expect: 100-continue")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _context(verifies: bool) -> ssl.SSLContext:
    made = ssl.create_default_context()
    if not verifies:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made
