"""A client that sends exactly the bytes it is given, and reads answers with a deadline.

Owns one TCP connection. Knows no proxy and no OpenAI: meaning is the business of the tests.
"""

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.http_bytes import BadMessageError, ChunkedDecoder, Head, HeaderList, head_bytes, split_head

DEADLINE_S = 10.0


@dataclass
class RawAnswer:
    """One answer as it came."""

    head: Head
    status: int
    reason: str
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = True
    """False: the connection ended inside the body."""
    interim: list[int] = field(default_factory=list)
    """1xx answers before it."""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of an OpenAI envelope; fails when the body is none."""
        envelope = self.json()
        assert set(envelope) == {"error"}, envelope
        error = envelope["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        assert isinstance(error["message"], str)
        assert error["message"]
        assert isinstance(error["type"], str)
        assert (self.head.get("content-type") or "").startswith("application/json")
        assert isinstance(error, dict)
        return error


class RawConnection:
    """A connection; every read ends by `DEADLINE_S` or the deadline given."""

    def __init__(self, address: tuple[str, int], receive_buffer_b: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer_b is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_b)
        self.socket.settimeout(DEADLINE_S)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # sending

    def send(self, data: bytes) -> bool:
        """False when the peer stopped listening before all was sent."""
        try:
            self.socket.sendall(data)
        except (ConnectionError, TimeoutError):
            return False
        return True

    def drip(self, data: bytes, size: int = 1, pause_s: float = 0.05) -> bool:
        """Sends in pieces with a pause after each; False when the peer stopped listening."""
        for start in range(0, len(data), size):
            if not self.send(data[start : start + size]):
                return False
            if self._peer_closed_during(pause_s):
                return False
        return True

    def half_close(self) -> None:
        """FIN: nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # reading

    def answer(self, *, to_head: bool = False, deadline_s: float = DEADLINE_S) -> RawAnswer:
        """The next answer. `to_head`: it answers a HEAD request, so it has no body."""
        until = time.monotonic() + deadline_s
        interim: list[int] = []
        while True:
            answer = self.answer_head(max(0.01, until - time.monotonic()))
            if answer.status // 100 == 1:
                interim.append(answer.status)
                continue
            answer.interim = interim
            if not to_head and answer.status not in (204, 304):
                self._read_body(answer, until)
            return answer

    def answer_head(self, deadline_s: float = DEADLINE_S) -> RawAnswer:
        """The head of the next answer; its body stays unread."""
        until = time.monotonic() + deadline_s
        while (split := split_head(self._buffer)) is None:
            if not self._fill(until):
                raise BadMessageError(f"connection ended inside an answer's head: {self._buffer[:200]!r}")
        head, length = split
        self._buffer = self._buffer[length:]
        version, _, rest = head.start.partition(" ")
        code, _, reason = rest.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not code.isdigit():
            raise BadMessageError(f"bad status line {head.start!r}")
        return RawAnswer(head, int(code), reason)

    def chunks(self, deadline_s: float = DEADLINE_S) -> Iterator[bytes]:
        """Chunks of a chunked body as they come; ends after the last one. Broken off: BadMessageError."""
        until = time.monotonic() + deadline_s
        decoder, given = ChunkedDecoder(), 0
        decoder.feed(self._take())
        while True:
            while given < len(decoder.chunks):
                given += 1
                yield decoder.chunks[given - 1]
            if decoder.done:
                self._buffer = decoder.rest
                return
            if not self._fill(until):
                raise BadMessageError("connection ended inside a chunked body")
            decoder.feed(self._take())

    def read_some(self, deadline_s: float = DEADLINE_S) -> bytes:
        """What has come, at least one byte; empty at the end."""
        if not self._buffer:
            self._fill(time.monotonic() + deadline_s)
        return self._take()

    def closed_within(self, deadline_s: float = DEADLINE_S) -> bool:
        """Whether the peer ends the connection in time without sending another byte."""
        until = time.monotonic() + deadline_s
        try:
            return not self._buffer and not self._fill(until)
        except TimeoutError:
            return False

    def _take(self) -> bytes:
        taken, self._buffer = self._buffer, b""
        return taken

    def _fill(self, until: float) -> bool:
        if self._ended:
            return False
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer by the deadline")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError:
            data = b""
        self._ended = not data
        self._buffer += data
        return bool(data)

    def _peer_closed_during(self, pause_s: float) -> bool:
        self.socket.settimeout(pause_s)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return False
        except ConnectionError:
            data = b""
        finally:
            self.socket.settimeout(DEADLINE_S)
        self._ended = not data
        self._buffer += data
        return True

    def _read_body(self, answer: RawAnswer, until: float) -> None:
        head = answer.head
        if (head.get("transfer-encoding") or "").lower() == "chunked":
            self._read_chunked(answer, until)
        elif (length := head.get("content-length")) is not None:
            self._read_length(answer, int(length), until)
        else:
            while self._fill(until):
                pass
            answer.body = self._take()

    def _read_chunked(self, answer: RawAnswer, until: float) -> None:
        if answer.head.get("content-length") is not None:
            raise BadMessageError("an answer with Content-Length and Transfer-Encoding")
        decoder = ChunkedDecoder()
        decoder.feed(self._take())
        while not decoder.done and self._fill(until):
            decoder.feed(self._take())
        answer.chunks, answer.body, answer.complete = decoder.chunks, decoder.body, decoder.done
        self._buffer = decoder.rest

    def _read_length(self, answer: RawAnswer, length: int, until: float) -> None:
        while len(self._buffer) < length and self._fill(until):
            pass
        answer.body, self._buffer = self._buffer[:length], self._buffer[length:]
        answer.complete = len(answer.body) == length


def request_bytes(
    method: str,
    target: str,
    body: bytes | dict[str, Any] | None = None,
    headers: HeaderList | None = None,
) -> bytes:
    """A well-formed request; a dict becomes JSON."""
    fields: HeaderList = [("Host", "proxy.test"), *(headers or [])]
    data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
    names = {name.lower() for name, _ in fields}
    if body is not None and "transfer-encoding" not in names:
        fields.append(("Content-Length", str(len(data))))
    if body is not None and "content-type" not in names:
        fields.append(("Content-Type", "application/json"))
    return head_bytes(f"{method} {target} HTTP/1.1", fields) + data


@contextmanager
def connected(address: tuple[str, int], data: bytes = b"") -> Iterator[RawConnection]:
    """A connection on which `data` was sent."""
    with RawConnection(address) as connection:
        if data:
            connection.send(data)
        yield connection


def ask(
    address: tuple[str, int],
    method: str,
    target: str,
    body: bytes | dict[str, Any] | None = None,
    headers: HeaderList | None = None,
    deadline_s: float = DEADLINE_S,
) -> RawAnswer:
    """One request on a connection of its own."""
    with connected(address, request_bytes(method, target, body, headers)) as connection:
        return connection.answer(to_head=method == "HEAD", deadline_s=deadline_s)
