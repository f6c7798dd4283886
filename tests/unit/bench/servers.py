"""Servers that answer with exactly these bytes, for clients that are tried in the test's loop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

Step = bytes | float | None
"""Bytes are sent, a number is a pause in seconds, None closes the connection."""


def head(status: int = 200, kind: str = "application/json", **more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(lines).encode() + b"\r\n"


def whole(body: bytes, status: int = 200, **more: str) -> bytes:
    return head(status, **more) + b"content-length: %d\r\n\r\n" % len(body) + body


def events(*data: str, **more: str) -> bytes:
    """The beginning of a stream, chunked, with these events in it; `END` ends it."""
    return head(200, "text/event-stream", **more) + b"transfer-encoding: chunked\r\n\r\n" + pieces(*data)


def pieces(*data: str) -> bytes:
    return b"".join(chunk(f"data: {one}\n\n".encode()) for one in data)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"


class Scripted:
    """Plays one script for each request, the last one again and again."""

    def __init__(self, scripts: Sequence[Sequence[Step]]) -> None:
        self._scripts = list(scripts)
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
                self.requests.append(request + body)
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                for step in script:
                    if step is None:
                        return
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                    else:
                        await asyncio.sleep(step)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*scripts: Sequence[Step]) -> AsyncIterator[Scripted]:
    """A server on a free port."""
    one = Scripted(scripts)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
