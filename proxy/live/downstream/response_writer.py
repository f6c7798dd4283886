"""The answer to one request on its way out: a head, then a whole body, one of a known length, or chunks.

Owns the framing of answers and what of them is out. The connection is one; which request is answered when is its
business.
"""

import asyncio
from typing import Final

from proxy.live.downstream.message import Message
from proxy.live.downstream.unsent import reset
from proxy.wire import answers

_NOT_BEGUN: Final = 0
_BY_LENGTH: Final = 1
_CHUNKED: Final = 2
_UNTIL_CLOSE: Final = 3
"""How the end of the body that is sent is told: here by the end of the connection, and by nothing else."""


class ResponseWriter(asyncio.Protocol):
    """One per connection; answers the request `message`."""

    __slots__ = ("_framing", "closing", "message", "sent", "transport")

    def __init__(self) -> None:
        self._framing = _NOT_BEGUN
        """Of the answer to `message`."""
        self.transport: asyncio.Transport | None = None
        self.message: Message | None = None
        self.closing = False
        """No further request is read."""
        self.sent = False
        """Body bytes went out since somebody set this to False."""

    @property
    def head_sent(self) -> bool:
        """Its head is out: from now on nothing can be told but by the body."""
        return self._framing != _NOT_BEGUN

    def answers(self, message: Message) -> None:
        """What follows is the answer to this request."""
        self.message = message
        self._framing = _NOT_BEGUN

    def is_last(self, message: Message) -> bool:
        """Whether the connection ends with the answer to it."""
        return not message.keep_alive

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole answer in one write."""
        self._framing = _BY_LENGTH
        if status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        self._write_head(status, headers, body if not self._is_head_request() else b"")

    def begin(self, status: int, headers: list[tuple[bytes, bytes]], length: int | None) -> None:
        """The head of an answer whose body follows by `send`: of `length` bytes, or chunked (HTTP/1.0: until close)."""
        assert self.message is not None
        self.sent = False
        if length is not None:
            self._framing = _BY_LENGTH
            headers.append((b"content-length", b"%d" % length))
        elif not self.message.http10:
            self._framing = _CHUNKED
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            self._framing = _UNTIL_CLOSE
            self.closing = True
        self._write_head(status, headers, b"")

    def switch(self, headers: list[tuple[bytes, bytes]]) -> None:
        """The head after which the bytes of the connection are another protocol's."""
        self._framing = _UNTIL_CLOSE
        if self.transport is not None:
            self.transport.write(answers.head(101, headers))

    def send(self, data: bytes) -> None:
        """Some body bytes; several in one loop turn leave in one system call."""
        self.send_chunk(data, b"%x\r\n%b\r\n" % (len(data), data) if self._framing == _CHUNKED else data)

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        """Some body bytes that came as a chunk, `chunk`: with its framing, which is ours as well."""
        if self.transport is not None:
            self.sent = True
            self.transport.write(chunk if self._framing == _CHUNKED else data)

    def end(self) -> None:
        """The body is complete."""
        if self._framing == _CHUNKED and self.transport is not None:
            self.transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the transport: the only honest end of a body that was cut."""
        self.closing = True
        if self.transport is None:
            return
        if self._framing == _UNTIL_CLOSE:
            reset(self.transport)
        else:
            self.transport.abort()

    def _is_head_request(self) -> bool:
        return self.message is not None and self.message.head is not None and self.message.head.method == "HEAD"

    def _write_head(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        message = self.message
        assert message is not None
        if self.is_last(message):
            self.closing = True
        if self.closing:
            headers.append((b"connection", b"close"))
        elif message.http10:
            headers.append((b"connection", b"keep-alive"))
        if self.transport is not None:
            self.transport.write(answers.head(status, headers) + body)
