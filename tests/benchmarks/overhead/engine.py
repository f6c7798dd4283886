"""An engine that costs as little as one in Python can: `python -m tests.benchmarks.overhead.engine [WORDS [PHASES]]`.

A whole answer is always the same 580 bytes. A stream has `max_tokens` chunks of so many words (1), `presence_penalty`
seconds apart: a field that every router lets pass, and that makes no request greedy. None: as fast as they are taken.
Streams with a gap have phases of their own (128), so that chunks come alone and not in bursts. Says where it is ready.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from threading import Condition, Thread
from time import monotonic, sleep
from typing import NamedTuple, cast

import uvloop

_NAMES = {"id": "chatcmpl-8f14e45fceea167a", "created": 1732300000, "model": "mock"}
_USAGE = {"prompt_tokens": 182, "completion_tokens": 41, "total_tokens": 223}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(body: bytes, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _chunk(fields: dict[str, object]) -> bytes:
    event = b"data: " + _json({**_NAMES, "object": "chat.completion.chunk", **fields}) + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}


_MESSAGE = {"role": "assistant", "content": "The quick brown fox jumps over the lazy dog. " * 6}
_WHOLE = _answer(
    _json(
        {
            **_NAMES,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}],
            "usage": _USAGE,
        }
    )
)
_MODEL = {"id": "mock", "object": "model", "created": 1732300000, "owned_by": "mock", "max_model_len": 32768}
_MODELS = _answer(_json({"object": "list", "data": [_MODEL]}))
_METRICS = _answer(b"# HELP none of them\n", "text/plain; version=0.0.4")
_OK = _answer(b'{"status":"ok","model_path":"mock","model_id":"mock"}')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_WORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
_PHASES = int(sys.argv[2]) if len(sys.argv) > 2 else 128
"""Of a gap: 128 streams have one each. 1: a stream's first chunk comes a gap after its request, always."""
_CHUNK = _chunk(_choice({"content": " word" * _WORDS}))
_LAST = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_LOOK_S = 0.001
"""A stream that begins has its first chunk a gap later: whoever sleeps so long misses none."""
_numbers = count()


class Connection(asyncio.Protocol):
    """One request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.received, self.is_open = b"", True
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.may_write.set()

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        _, has_body, after = head.lower().partition(b"\r\ncontent-length:")
        if has_body and len(body) < int(after.split(b"\r\n", 1)[0]):
            return
        if b"\r\ntransfer-encoding: chunked" in head.lower() and not body.endswith(b"0\r\n\r\n"):
            return
        self.received = b""
        path = head.split(b" ", 2)[1]
        if head.startswith(b"GET"):
            told = _MODELS if path.endswith(b"/models") else _METRICS if path.endswith(b"/metrics") else _OK
            self.transport.write(told)
        elif b'"stream":true' in body.replace(b" ", b""):
            fields = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
            chunks = fields.get("max_tokens") or fields["max_completion_tokens"]  # a router may call it so
            if gap_s := fields.get("presence_penalty"):
                self.pace(chunks, gap_s)
            else:
                self.task = asyncio.ensure_future(self.flood(chunks))
        else:
            self.transport.write(_WHOLE)

    async def flood(self, chunks: int) -> None:
        """So many of them, as fast as they are taken."""
        self.transport.write(_HEAD)
        for _ in range(chunks):
            await self.may_write.wait()
            await asyncio.sleep(0)
            if not self.is_open:
                return
            self.transport.write(_CHUNK)
        self.transport.write(_end(chunks))

    def pace(self, chunks: int, gap_s: float) -> None:
        """So many of them, by the clock."""
        self.transport.write(_HEAD)
        socket = self.transport.get_extra_info("socket")
        _clock.add(Paced(socket.fileno(), chunks, gap_s, lambda: self.is_open))


class Paced(NamedTuple):
    """A stream that goes by the clock."""

    descriptor: int
    chunks: int
    gap_s: float
    is_open: Callable[[], bool]


class Clock(Thread):
    """Writes what is due in a thread of its own: loops have timers of whole milliseconds, and six chunks in one of them
    would be one burst."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._due: list[tuple[float, int, int, Paced]] = []
        """When, a number that makes it unique, chunks that were sent, the stream."""
        self._lock = Condition()

    def add(self, paced: Paced) -> None:
        number = next(_numbers)
        first = monotonic() + paced.gap_s * (1 + (number % _PHASES) / _PHASES)
        with self._lock:
            heappush(self._due, (first, number, 0, paced))
            self._lock.notify()

    def run(self) -> None:
        while True:
            with self._lock:
                while not self._due:
                    self._lock.wait()
                due, number, sent, paced = self._due[0]
                if due <= monotonic():
                    heappop(self._due)
                else:
                    paced = None
            if paced is None:
                sleep(min(max(0.0, due - monotonic()), _LOOK_S))
            elif paced.is_open():
                self._write(due, number, sent, paced)

    def _write(self, due: float, number: int, sent: int, paced: Paced) -> None:
        is_last = sent == paced.chunks
        try:
            os.write(paced.descriptor, _end(paced.chunks) if is_last else _CHUNK)
        except OSError:
            return  # the target has gone, or takes nothing: a broken stream, and counted so
        if not is_last:
            after = due if sent + 1 == paced.chunks else due + paced.gap_s
            with self._lock:
                heappush(self._due, (after, number, sent + 1, paced))


def _end(chunks: int) -> bytes:
    tokens = chunks * _WORDS
    usage = {**_USAGE, "completion_tokens": tokens, "total_tokens": 182 + tokens}
    return _chunk(_choice({}, "stop")) + _chunk({"choices": [], "usage": usage}) + _LAST


_clock = Clock()


async def serve() -> None:
    """Until it is ended."""
    _clock.start()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(f"ready at http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
