"""An engine below HTTP: a coroutine per connection that reads and writes what it likes, when it likes.

For what `FakeBackend` does not do: answer before it has read a request, or not read it at all.
Probes get a good answer.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.loop_thread import LoopThread

Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Gets the head of a request, its body unread."""
_MODELS = b'{"object":"list","data":[{"id":"fake-model","object":"model"}]}'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class RawEngine:
    """Listens; every request that is no probe is handed to `serve`."""

    def __init__(self, loop: LoopThread, serve: Serve) -> None:
        self.serve = serve
        self.connections = 0
        """Of requests, without those of probes."""
        self.left_at_end = 0
        """Requests during which the other side closed."""
        self.open_requests = 0
        """Requests that it works on."""
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = loop.run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Closes everything."""
        self._loop.run(self._stop())

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._joined, "127.0.0.1", 0)

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close a turn later

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        counted = False
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET /v1/models"):
                    writer.write(JSON_HEAD % len(_MODELS) + _MODELS)
                    continue
                self.connections += not counted
                counted = True
                await self._work(head, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left_at_end += counted
        except asyncio.CancelledError:  # stopped: what was not sent has nobody to go to
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _work(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_requests += 1
        try:
            await self.serve(head, reader, writer)
        finally:
            self.open_requests -= 1


@contextlib.contextmanager
def raw_engine(loop: LoopThread, serve: Serve) -> Iterator[RawEngine]:
    """One for the length of a block."""
    engine = RawEngine(loop, serve)
    try:
        yield engine
    finally:
        engine.stop()


def said(*events: bytes) -> bytes:
    """Events as chunks, and the end."""
    return b"".join(chunk(event) for event in events) + LAST_CHUNK
