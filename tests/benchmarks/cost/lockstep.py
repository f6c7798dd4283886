"""Both ends of the proxy whose cost is counted: an engine and clients that wait for each other.

A wave of requests is answered before the next one comes, and a chunk is sent only when the one before has been read:
each has a turn of the proxy's loop to itself, as in a stream at its pace, however busy the machine is.
"""

import json
import re
import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.raw_client import request_bytes

Address = tuple[str, int]
PATH = "/v1/chat/completions"
MODEL = "counted"
WAIT_S = 120.0
"""Under callgrind a wave may take its time."""
_READ_B = 1 << 18
_TEXT = "The quick brown fox jumps over the lazy dog and looks back at the bank of the river. " * 8
_NAMES = {"id": "chatcmpl-8f14e45fceea167a5a36dedd4bea2543", "created": 1732300000, "model": MODEL}
_USAGE = {"prompt_tokens": 182, "completion_tokens": 41, "total_tokens": 223}
_MODELS = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "vllm", "max_model_len": 32768}]}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NUMBER = re.compile(rb'"number (\d+) ')


def _answer(content_type: str, body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    value = {**_NAMES, "object": "chat.completion.chunk", "choices": choices, **more}
    return chunk(b"data: " + _json(value) + b"\n\n")


def _delta(finish: str | None = None, **delta: str) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _word(number: int) -> tuple[bytes, bytes]:
    """A chunk that no other one equals, and what to know it by."""
    text = f" t{number:015x}"
    return _event([_delta(content=text)]), text.encode()


_MESSAGE = {"role": "assistant", "content": _TEXT[:240], "refusal": None}
_CHOICE = {"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}
_WHOLE = _answer(
    "application/json", _json({**_NAMES, "object": "chat.completion", "choices": [_CHOICE], "usage": _USAGE})
)
_OTHERS = {
    b"/v1/models": _answer("application/json", _json(_MODELS)),
    b"/metrics": _answer(
        "text/plain; version=0.0.4", f'vllm:num_requests_running{{model_name="{MODEL}"}} 0\n'.encode()
    ),
}
_NOTHING = _answer("application/json", b"{}", "404 Not Found")
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_BEGIN = _STREAM_HEAD + _event([_delta(role="assistant", content="")]) + _word(0)[0]
_END = _event([_delta("stop")]) + _event([], usage=_USAGE) + chunk(b"data: [DONE]\n\n") + LAST_CHUNK


class Engine(threading.Thread):
    """Answers at once; of a stream it sends the beginning, the rest is sent by hand."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.streams: dict[int, socket.socket] = {}
        """By the request's number: where its stream goes."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._accept()
                else:
                    self._read(cast(socket.socket, key.fileobj), key.data)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ, bytearray())

    def _read(self, connection: socket.socket, buffer: bytearray) -> None:
        data = connection.recv(_READ_B)
        if not data:
            self._selector.unregister(connection)
            connection.close()
        buffer += data
        end = buffer.find(b"\r\n\r\n") + 4
        found = _LENGTH.search(buffer[:end])
        if end >= 4 and len(buffer) >= end + (int(found[1]) if found else 0):
            request = bytes(buffer)
            buffer.clear()
            connection.sendall(self._answered(connection, request))

    def _answered(self, connection: socket.socket, request: bytes) -> bytes:
        target = request.split(b" ", 2)[1]
        if target != PATH.encode():
            return _OTHERS.get(target, _NOTHING)
        if b'"stream": true' not in request:
            return _WHOLE
        number = _NUMBER.search(request)
        assert number is not None
        self.streams[int(number[1])] = connection  # before its client can see the answer
        return _BEGIN


class Client:
    """One connection that is kept."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection(address, WAIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, number: int, *, stream: bool) -> None:
        """Sends a request of a kilobyte that no other one equals."""
        content = f"number {number:010d} {_TEXT}"
        messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": content}]
        more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        body = {"model": MODEL, "messages": messages, "max_tokens": 64, "temperature": 0.7, **more}
        self._socket.sendall(request_bytes("POST", PATH, body, [("Authorization", "Bearer sk-counted")]))

    def until(self, mark: bytes) -> None:
        """Reads to this mark, behind which nothing comes."""
        got = b""
        while mark not in got[-2 * len(mark) - 256 :]:
            data = self._socket.recv(_READ_B)
            assert data, got
            got += data
        assert not got.startswith(b"HTTP/1.1") or got.startswith(b"HTTP/1.1 200 "), got

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


class Load:
    """What is done to the proxy; each method says how many of its things it did."""

    def __init__(self, engine: Engine, clients: Sequence[Client]) -> None:
        self._engine = engine
        self._clients = clients
        self._number = 0

    def requests(self, waves: int) -> int:
        """Whole answers, in waves of one request per client."""
        for _ in range(waves):
            self._ask(stream=False)
            for client in self._clients:
                client.until(_WHOLE[-60:])
        return waves * len(self._clients)

    def streams(self, waves: int, chunks: int) -> int:
        """Streams of so many chunks beside their first and last, in waves of one per client."""
        for _ in range(waves):
            numbers = self._ask(stream=True)
            for client in self._clients:
                client.until(_word(0)[1] + b'"}')
            ends = [self._engine.streams.pop(number) for number in numbers]
            for _ in range(chunks):
                self._chunk(ends)
            for end, client in zip(ends, self._clients, strict=True):
                end.sendall(_END)
                client.until(b"\r\n" + LAST_CHUNK)
        return waves * len(self._clients)

    def _ask(self, *, stream: bool) -> list[int]:
        first = self._number + 1
        self._number += len(self._clients)
        for number, client in enumerate(self._clients, first):
            client.ask(number, stream=stream)
        return list(range(first, self._number + 1))

    def _chunk(self, ends: Sequence[socket.socket]) -> None:
        self._number += 1
        data, mark = _word(self._number)
        for end, client in zip(ends, self._clients, strict=True):
            end.sendall(data)
            client.until(mark)


@contextmanager
def crowd(address: Address, count: int) -> Iterator[list[Client]]:
    """So many clients for the length of a block."""
    clients = [Client(address) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
