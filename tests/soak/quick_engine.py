"""An engine that is quick enough not to be what is measured: one protocol class, no task per request.

`x-fake` names what it does with a request; without it, a short whole answer. Owns how many requests it works on.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.support.fake_engine import DONE, chat_chunk, event, json_answer, plain_answer_bytes, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk

STEP_S = 0.005
"""Between two events of `drip`."""
_WORD = chunk(event(chat_chunk({"content": "word "})))
_HEAD = stream_head() + chunk(event(chat_chunk({"role": "assistant", "content": ""})))
_END = chunk(event(chat_chunk({}, "stop"))) + chunk(DONE) + LAST_CHUNK
_STREAM = _HEAD + 6 * _WORD + _END
_FLOOD = 8 * chunk(event(chat_chunk({"content": "x" * 8_000})))


def _whole(text: str, tokens: int = 5) -> bytes:
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return plain_answer_bytes(json_answer({"object": "chat.completion", "choices": [choice], "usage": usage}))


_SHORT, _LONG = _whole("short"), _whole("x" * 300_000)


class QuickEngine:
    """Listens in the running loop."""

    def __init__(self, model: str) -> None:
        listed = {"object": "list", "data": [{"id": model, "object": "model"}]}
        self.models = plain_answer_bytes(json_answer(listed))
        self.port = 0
        self.url = ""
        self.connections: set[_Connection] = set()

    @property
    def open_requests(self) -> int:
        """Requests that it still works on."""
        return sum(connection.works for connection in self.connections)


@contextlib.asynccontextmanager
async def quick_engine(model: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[QuickEngine]:
    """One for the length of a block."""
    engine = QuickEngine(model)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(engine), "127.0.0.1", 0, ssl=tls, backlog=1024)
    engine.port = server.sockets[0].getsockname()[1]
    engine.url = f"http{'s' if tls else ''}://127.0.0.1:{engine.port}"
    try:
        yield engine
    finally:
        server.close()
        for connection in list(engine.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    def __init__(self, engine: QuickEngine) -> None:
        self.works = False
        self._engine = engine
        self._buffer = b""
        self._writable = True
        self._floods = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._engine.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.works = self._floods = False
        self._engine.connections.discard(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._flood()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if end and len(body) >= int(_field(head, b"content-length") or 0):
            self._buffer = b""
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"GET "):
            self.transport.write(self._engine.models)
            return
        self.works = True
        WAYS[_field(head, b"x-fake") or b"short"](self)

    # what it does

    def short(self) -> None:
        self._end(_SHORT)

    def long(self) -> None:
        self._end(_LONG)

    def stream(self) -> None:
        self._end(_STREAM)

    def hang(self) -> None:
        """Nothing, ever."""

    def drip(self) -> None:
        """Event by event, without an end."""
        self.transport.write(_HEAD)
        self._drip()

    def flood(self) -> None:
        """As fast as it is read, without an end."""
        self.transport.write(_HEAD)
        self._floods = True
        self._flood()

    def half(self) -> None:
        """A whole answer that stops in its middle."""
        self.transport.write(_SHORT[:-20])

    def _end(self, answer: bytes) -> None:
        self.works = False
        self.transport.write(answer)

    def _drip(self) -> None:
        if self.works:
            self.transport.write(_WORD)
            asyncio.get_running_loop().call_later(STEP_S, self._drip)

    def _flood(self) -> None:
        """One write a turn: a transport that is lost without knowing it would take them for ever."""
        if self._floods and self._writable and not self.transport.is_closing():
            self.transport.write(_FLOOD)
            asyncio.get_running_loop().call_soon(self._flood)


WAYS: dict[bytes, Callable[[_Connection], None]] = {
    name.encode(): getattr(_Connection, name) for name in ("short", "long", "stream", "hang", "drip", "flood", "half")
}


def _field(head: bytes, name: bytes) -> bytes:
    """A field's value; empty when it is not there."""
    found = head.lower().find(b"\r\n" + name + b":")
    if found < 0:
        return b""
    start = found + len(name) + 3
    return head[start : head.find(b"\r\n", start) % (len(head) + 1)].strip()
