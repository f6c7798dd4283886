"""A server of paced streams that costs little: `python -m tests.benchmarks.generator.source`, which prints its port.

Every answer has `max_tokens` events, one in each turn of a clock of `GAP_S`; all streams of a turn are written one
after the other.
"""

import asyncio
import json

import uvloop

GAP_S = 0.02
EVENT = b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
END = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":%d}}\n\ndata: [DONE]\n\n'
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MODELS = b'{"data":[{"id":"paced"}]}'


class Stream(asyncio.Protocol):
    """One connection; the streams that flow are in `flowing` with what they still owe."""

    flowing: "dict[Stream, int]" = {}  # noqa: RUF012 - of all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.received = transport, b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.flowing.pop(self, None)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if lengths and len(body) < int(lengths[0].split(b":")[1]):
            return
        self.received = b""
        if head.startswith(b"GET"):
            size = len(MODELS)
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + MODELS)
            return
        self.tokens = json.loads(body)["max_tokens"]
        self.transport.write(HEAD)
        self.flowing[self] = self.tokens

    def turn(self) -> None:
        """One event, and the end behind the last."""
        left = self.flowing[self] - 1
        self.transport.write(CHUNK)
        if left:
            self.flowing[self] = left
            return
        del self.flowing[self]
        end = END % self.tokens
        self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(end), end))


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Stream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    due = loop.time()
    while True:
        due += GAP_S
        await asyncio.sleep(max(0.0, due - loop.time()))
        for stream in list(Stream.flowing):
            stream.turn()


if __name__ == "__main__":
    uvloop.run(serve())
