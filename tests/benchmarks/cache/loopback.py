"""Both ends of the proxy whose kept answers are measured: an engine that answers at once, and a client that waits."""

import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.proxy_process import ProxyProcess, running_proxy
from tests.support.raw_client import RawConnection, request_bytes

PATH = "/v1/chat/completions"
_TEXT = "The quick brown fox jumps over the lazy dog and looks back at the bank of the river. " * 12
_MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "vllm"}]}
_NAMES = {"id": "chatcmpl-8f14e45fceea167a", "created": 1732300000, "model": "m"}
_USAGE = {"prompt_tokens": 182, "completion_tokens": 41, "total_tokens": 223}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SLOW_S = 2.0


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return chunk(b"data: " + _json({**_NAMES, "object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n")


_CHOICE = {"index": 0, "message": {"role": "assistant", "content": _TEXT[:240]}, "finish_reason": "stop"}
_WHOLE = _answer(_json({**_NAMES, "object": "chat.completion", "choices": [_CHOICE], "usage": _USAGE}))
_SAID = {"message": _TEXT[:240], "type": "x", "param": None, "code": None}
_ERROR = _answer(_json({"error": _SAID}), "400 Bad Request")
_STREAM = b"".join(
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        *(_event({"content": f" token{number}"}) for number in range(200)),
        _event({}, "stop"),
        chunk(b"data: [DONE]\n\n"),
        LAST_CHUNK,
    )
)


class Engine(threading.Thread):
    """One thread per connection."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = 0

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        while data := connection.recv(1 << 16):
            buffer += data
            end = buffer.find(b"\r\n\r\n") + 4
            found = _LENGTH.search(buffer[:end])
            if end >= 4 and len(buffer) >= end + (int(found[1]) if found else 0):
                request, buffer = buffer, b""
                connection.sendall(self._answered(request))

    def _answered(self, request: bytes) -> bytes:
        target = request.split(b" ", 2)[1]
        if target != PATH.encode():
            return _answer(_json(_MODELS)) if target == b"/v1/models" else _answer(b"{}", "404 Not Found")
        self.asked += 1
        if b'"kind-slow' in request:
            time.sleep(_SLOW_S)
        return _ERROR if b'"kind-error' in request else _STREAM if b'"stream": true' in request else _WHOLE


class Load:
    """One keep-alive connection, one request at a time."""

    _numbers = itertools.count()

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = RawConnection(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def send(self, kind: str) -> None:
        """`hit`, `stream`: always the same; `miss`, `off`, `error`: never; `slow`: takes the engine a while."""
        name = f"kind-{kind}" + ("" if kind in ("hit", "stream", "slow") else f" {next(self._numbers)}")
        messages = [{"role": "user", "content": _TEXT[:800]}]
        body = {"model": "m", "user": name, "temperature": 0, "messages": messages, "stream": kind == "stream"}
        self._connection.send(request_bytes("POST", PATH, body, [("authorization", "Bearer key")]))

    def read(self) -> None:
        self._connection.answer()

    def ask(self, kind: str) -> None:
        self.send(kind)
        self.read()

    def latencies(self, kind: str, count: int) -> list[float]:
        """Seconds each."""
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self.ask(kind)
            took.append(time.perf_counter() - began)
        return took


@contextmanager
def proxy_before(url: str, cache: dict[str, Any] | None) -> Iterator[ProxyProcess]:
    """One without probes, scrapes and a log that anybody reads."""
    config: dict[str, Any] = {
        "backends": [{"url": url, "name": "a", "models": ["m"], "kind": "vllm"}],
        "log": {"access": False},
        "routing": {"scrape": 0},
        "health": {"probe_interval": "60s"},
    }
    with running_proxy(config if cache is None else {**config, "cache": cache}) as proxy:
        proxy.listening()
        yield proxy


def cpu_s(pid: int) -> float:
    """Seconds that a process has computed, in its own code and the kernel's."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9
