"""An engine that costs as little as one in Python can: `python -m tests.benchmarks.overhead.engine [WORDS]`.

A whole answer is always the same 580 bytes. A stream has `max_tokens` chunks of so many words (1), `seed` milliseconds
apart (0: as fast as they are taken); streams with a gap have phases of their own, so that chunks come alone and not in
bursts. Says where it is ready.
"""

import asyncio
import json
import sys
from itertools import count
from typing import cast

import uvloop

PHASES = 20
"""Of a gap of 20 ms: chunks of different streams are 1 ms apart, or at the same moment."""
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
_CHUNK = _chunk(_choice({"content": " word" * _WORDS}))
_LAST = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
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
            self.task = asyncio.ensure_future(self.stream(chunks, (fields.get("seed") or 0) / 1e3))
        else:
            self.transport.write(_WHOLE)

    async def stream(self, chunks: int, gap_s: float) -> None:
        """So many of them."""
        self.transport.write(_HEAD)
        loop = asyncio.get_running_loop()
        due = loop.time() + gap_s * (next(_numbers) % PHASES) / PHASES
        for _ in range(chunks):
            if gap_s:
                due += gap_s
                await asyncio.sleep(max(0.0, due - loop.time()))
            elif not self.may_write.is_set():
                await self.may_write.wait()
            else:
                await asyncio.sleep(0)
            if not self.is_open:
                return
            self.transport.write(_CHUNK)
        usage = {**_USAGE, "completion_tokens": chunks * _WORDS, "total_tokens": 182 + chunks * _WORDS}
        self.transport.write(_chunk(_choice({}, "stop")) + _chunk({"choices": [], "usage": usage}) + _LAST)


async def serve() -> None:
    """Until it is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(f"ready at http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
