"""A load that costs about 20 µs a request, so that a lean proxy is not measured half asleep:

    python -m tests.benchmarks.overhead.load URL --connections 32 --seconds 3 [--stream CHUNKS --gap MS] [--model NAME]

Closed loop; `tidegate bench` tells more and costs more. Says `measuring` and `measured` at the ends of its window, then
what it saw as JSON. Every answer is looked at: 200, whole, a stream's last event.
"""

import argparse
import asyncio
import json
import resource
from time import monotonic
from typing import cast
from urllib.parse import urlsplit

import uvloop

PROMPT = "What would you say of this, in one sentence? " * 21
"""1 KB with what stands around it."""
_END = b"\r\n0\r\n\r\n"
_DONE = b"data: [DONE]"


def request(host: str, model: str, stream: int, gap_ms: int) -> bytes:
    """Its bytes; `stream`: chunks, 0: a whole answer."""
    fields: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 41}
    if stream:
        fields |= {
            "stream": True,
            "max_tokens": stream,
            "presence_penalty": gap_ms / 1e3,
            "stream_options": {"include_usage": True},
        }
    body = json.dumps(fields).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    return f"{head}authorization: Bearer sk-none\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


class Window:
    """What was seen since `measuring`."""

    def __init__(self) -> None:
        self.is_open = False
        self.answers = self.errors = self.chunks = 0
        self.took: list[float] = []

    def answered(self, seconds: float, *, good: bool) -> None:
        """One is over."""
        if self.is_open:
            self.answers += good
            self.errors += not good
            self.took.append(seconds)


class Client(asyncio.Protocol):
    """One connection, one request at a time, for ever."""

    def __init__(self, window: Window, asked: bytes) -> None:
        self.window, self.asked = window, asked
        self.size = -1
        """Bytes that the answer has yet; -1: its head has not come, -2: it has chunks."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ask()

    def ask(self) -> None:
        self.size, self.head, self.tail, self.is_good, self.since = -1, b"", b"", False, monotonic()
        self.transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        if self.size == -1:
            self.head += data
            head, found, data = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            lower = head.lower()
            _, has_length, after = lower.partition(b"\r\ncontent-length:")
            self.size = int(after.split(b"\r\n", 1)[0]) if has_length else -2
            self.is_good = head.startswith(b"HTTP/1.1 200")
        if self.size == -2:
            self.window.chunks += data.count(b'" word') * self.window.is_open
            self.tail = (self.tail + data)[-64:]
            if not self.tail.endswith(_END):
                return
            self.is_good &= _DONE in self.tail
        else:
            self.size -= len(data)
            if self.size > 0:
                return
        self.window.answered(monotonic() - self.since, good=self.is_good)
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.window.errors += self.window.is_open


async def measured(options: argparse.Namespace) -> dict[str, float]:
    """All connections at once, then the window."""
    parts, loop, window = urlsplit(options.url), asyncio.get_running_loop(), Window()
    asked = request(parts.netloc, options.model, options.stream, options.gap)
    clients = [
        await loop.create_connection(lambda: Client(window, asked), parts.hostname, parts.port)
        for _ in range(options.connections)
    ]
    await asyncio.sleep(options.warm_up)
    print("measuring", flush=True)
    window.is_open, since = True, monotonic()
    await asyncio.sleep(options.seconds)
    window.is_open, seconds = False, monotonic() - since
    print("measured", flush=True)
    for transport, _ in clients:
        transport.abort()
    took = sorted(window.took) or [0.0]
    return {
        "answers": window.answers,
        "errors": window.errors,
        "chunks": window.chunks,
        "seconds": seconds,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[len(took) * 99 // 100] * 1e3,
    }


def main() -> None:
    """Prints what it saw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--stream", type=int, default=0)
    parser.add_argument("--gap", type=int, default=0)
    parser.add_argument("--model", default="mock")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    print(json.dumps(uvloop.run(measured(options))), flush=True)


if __name__ == "__main__":
    main()
