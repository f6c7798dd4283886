"""The downstream edge: client connections as HTTP/1.1 servers see them, on httptools.

Owns framing, limits on heads and bodies, keep-alive, pipelining, lingering closes, and noticing that a client left.
Knows nothing of models or backends: a request that was read whole goes to the `Handler`, which answers through the
connection. A half-closed client counts as gone, as with HAProxy's `abortonclose`: nobody waits for the answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, NamedTuple, cast

import httptools

from proxy.live.watch import NEVER, Watch
from proxy.model.faults import Fault, FaultError, Kind, downstream, internal
from proxy.model.limits import Limits
from proxy.wire import answers, errors
from proxy.wire.headers import Head, HeaderPolicy, check_head

_LINGER_S = 1.0
"""After an early answer the rest of the body is read and dropped so long, so that no reset destroys the answer."""
_PIPELINE_BYTES = 256 * 1024
"""Bodies waiting behind the request being answered; above it the connection is not read, not even for a FIN."""
_FRAMING_ALLOWANCE_B = 64 * 1024
_HEX = frozenset(b"0123456789abcdefABCDEF")
_FRAMING_RATIO = 16
"""Chunk extensions and tiny chunks cost CPU and carry nothing: a one-byte chunk needs 6 bytes, so 16 is generous."""


class Message(NamedTuple):
    """One request as read: head checked, body whole; or the fault that ended the reading."""

    head: Head | None
    body: bytes
    keep_alive: bool
    http10: bool
    fault: Fault | None = None


Handler = Callable[["Connection", Message], Coroutine[Any, Any, None]]


class Edge:
    """What all client connections share."""

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits,
        policy: HeaderPolicy,
        new_id: Callable[[], str],
        watch: Watch,
        loop: asyncio.AbstractEventLoop,
        max_connections: int,
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.policy = policy
        self.new_id = new_id
        self.watch = watch
        self.loop = loop
        self.max_connections = max_connections
        self.connections: set[Connection] = set()
        self.refused = 0
        self.draining = False

    def connection(self) -> "Connection":
        """A protocol for one accepted socket."""
        return Connection(self)

    def drain(self) -> None:
        """Close idle connections; the others close after their answer."""
        self.draining = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for connection in list(self.connections):
            connection.close_if_idle()


class Connection(asyncio.Protocol):
    """One client connection; answers one request at a time, in order."""

    __slots__ = (
        "_body",
        "_body_b",
        "_body_chunked",
        "_body_start",
        "_chunked",
        "_edge",
        "_head",
        "_head_b",
        "_headers",
        "_in_body",
        "_message_open",
        "_parser",
        "_queue",
        "_queued_b",
        "_raw_b",
        "_target",
        "_task",
        "_trailers",
        "_unsent_b",
        "_upgrade",
        "client",
        "closing",
        "deadline",
        "head_sent",
        "message",
        "on_pause",
        "sent",
        "stalled",
        "transport",
        "write_paused",
    )

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Message] = deque()
        self._task: asyncio.Task[None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_b = self._head_b = self._queued_b = self._raw_b = self._trailers = 0
        self._body_start = 0.0
        self._target = b""
        self._head: Head | None = None
        self._in_body = self._message_open = self._upgrade = self._chunked = self._body_chunked = False
        self.transport: asyncio.Transport | None = None
        self.client = ""
        """Address of the peer."""
        self.deadline = NEVER
        self.closing = False
        """No further request is read."""
        self.head_sent = False
        self.sent = False
        """Body bytes went out since somebody set this to False."""
        self.write_paused = False
        self.stalled = False
        """Closed because the client took no byte for too long."""
        self._unsent_b = 0
        self.on_pause: Callable[[bool], None] | None = None
        self.message: Message | None = None

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.client = _address(transport)
        edge = self._edge
        if len(edge.connections) >= edge.max_connections:
            edge.refused += 1
            self._write_error(internal(Kind.CONNECTIONS, "Too many open connections.", retry_after_s=1.0))
            self.transport.close()
            return
        edge.connections.add(self)
        edge.watch.add(self)
        limits = edge.limits
        self.deadline = monotonic() + limits.head.timeout
        self.transport.set_write_buffer_limits(limits.connections.buffer_high, limits.connections.buffer_low)

    def connection_lost(self, exc: Exception | None) -> None:
        self._edge.connections.discard(self)
        self._edge.watch.discard(self)
        self.transport = None
        self.closing = True
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()

    def eof_received(self) -> None:
        return None

    def pause_writing(self) -> None:
        self.write_paused = True
        assert self.transport is not None
        self._unsent_b = self.transport.get_write_buffer_size()
        self.deadline = monotonic() + self._edge.limits.connections.write_stall
        if self.on_pause is not None:
            self.on_pause(True)

    def resume_writing(self) -> None:
        self.write_paused = False
        self.deadline = NEVER if self._task is not None else self._idle_deadline()
        if self.on_pause is not None:
            self.on_pause(False)

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        if not self._message_open:
            if self._task is None:
                self.deadline = monotonic() + self._edge.limits.head.timeout
            if not _is_request_line(data):
                self._reject(downstream(Kind.MALFORMED, "The request line is malformed."))
                return
        elif self._in_body and self._task is None:
            self._note_progress()
        if not self._in_body:
            self._head_b += len(data)
        self._raw_b += len(data)
        self._feed(data)
        if self._in_body and self._body_chunked:
            self._check_framing(data)
        if self._message_open and not self._in_body and self._head_b > self._edge.limits.head.total:
            self._reject(downstream(Kind.HEAD_TOO_LARGE, "The request head is too large."))

    def expired(self, now: float) -> None:
        """The sweep found `deadline` in the past."""
        if self.transport is None:
            return
        if self.write_paused:
            self._check_stall(self.transport.get_write_buffer_size())
        elif self._task is not None:
            self.deadline = NEVER  # an answer runs: what is read behind it has time
        elif self._in_body and not self.closing:
            self._reject(downstream(Kind.BODY_TOO_SLOW, "The request body came too slowly."))
        else:
            self.transport.abort()

    def _check_stall(self, unsent_b: int) -> None:
        if unsent_b < self._unsent_b:  # slow, but it reads
            self._unsent_b = unsent_b
            self.deadline = monotonic() + self._edge.limits.connections.write_stall
        elif self.transport is not None:
            self.stalled = True
            self.transport.abort()

    # --- reading: httptools callbacks

    def on_message_begin(self) -> None:
        self._message_open = True
        self._headers = []
        self._body = []
        self._body_b = self._head_b = self._trailers = 0
        self._target = b""
        self._head = None

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head_b += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None:  # a trailer: never merged
            self._trailers += 1
            self._head_b += len(name) + len(value)
            limits = self._edge.limits.head
            if self._trailers > limits.count or self._head_b > limits.total:
                raise FaultError(downstream(Kind.HEAD_TOO_LARGE, "The trailers are too large."))
            return
        size = len(name) + len(value)
        self._head_b += size
        limits = self._edge.limits.head
        if size > limits.field or self._head_b > limits.total:
            raise FaultError(downstream(Kind.HEAD_TOO_LARGE, "A request header, or all together, is too large."))
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser, edge = self._parser, self._edge
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            self._upgrade = True
            return
        self._head = check_head(
            parser.get_method(),
            self._target,
            parser.get_http_version(),
            self._headers,
            limits=edge.limits.head,
            policy=edge.policy,
            new_id=edge.new_id,
        )
        length = self._content_length()
        self._body_chunked = length < 0
        if length == 0:
            return
        if length > edge.limits.body.size:
            raise FaultError(downstream(Kind.BODY_TOO_LARGE, f"The body is larger than {edge.limits.body.size} bytes."))
        self._in_body = True
        self._body_start = monotonic()
        if self._task is None:
            self.deadline = self._body_start + edge.limits.body.stall
            if self._head.expects_continue and self.transport is not None:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._body_b += len(data)
        if self._body_b > self._edge.limits.body.size:
            limit = self._edge.limits.body.size
            raise FaultError(downstream(Kind.BODY_TOO_LARGE, f"The body is larger than {limit} bytes."))

    def on_message_complete(self) -> None:
        if self._upgrade or self.closing:
            return
        if self._body_chunked and self._is_overweight():
            raise FaultError(_overweight())
        self._in_body = self._message_open = False
        self._head_b = self._raw_b = 0
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        keep_alive = self._parser.should_keep_alive()
        self._enqueue(Message(self._head, body, keep_alive, self._parser.get_http_version() == "1.0"))

    # --- reading: inside

    def _content_length(self) -> int:
        """Bytes announced; -1 for a chunked body, 0 for none."""
        for name, value in self._headers:
            lower = name.lower()
            if lower == b"content-length":
                return int(value)
            if lower == b"transfer-encoding":
                return -1
        return 0

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, FaultError):
                raise
            self._reject(error.__context__.fault)
        except httptools.HttpParserInvalidMethodError:
            self._reject(downstream(Kind.METHOD if self._target else Kind.MALFORMED, "This method is not known."))
        except httptools.HttpParserError:
            self._reject(downstream(Kind.MALFORMED, "The request is not well-formed HTTP/1.1."))

    def _ignore_upgrade(self, rest: bytes) -> None:
        """RFC 9110 §7.8: a server may ignore `Upgrade`. llhttp stops there, so the head is read again without it."""
        method = self._parser.get_method()
        if not self._upgrade or method == b"CONNECT":
            self._reject(downstream(Kind.METHOD, "CONNECT is not supported."))
            return
        kept = [h for h in self._headers if h[0].lower() not in (b"upgrade", b"connection", b"http2-settings")]
        lines = b"".join(b"%b: %b\r\n" % header for header in kept)
        version = self._parser.get_http_version().encode()
        self._upgrade = False
        self._parser = httptools.HttpRequestParser(self)
        self._feed(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._target, version, lines) + rest)

    def _note_progress(self) -> None:
        limits, now = self._edge.limits.body, monotonic()
        elapsed = now - self._body_start
        if elapsed > limits.stall and self._body_b < limits.min_rate * elapsed:
            self.deadline = now  # too slow on average: the sweep ends it
        else:
            self.deadline = min(now + limits.stall, self._body_start + limits.timeout)

    def _check_framing(self, data: bytes) -> None:
        if self._is_overweight():
            self._reject(_overweight())
        elif self._body_b < len(data) and _first_chunk_b(data) > self._edge.limits.body.size:
            limit = self._edge.limits.body.size
            self._reject(downstream(Kind.BODY_TOO_LARGE, f"The body is larger than {limit} bytes."))

    def _is_overweight(self) -> bool:
        return self._raw_b > _FRAMING_ALLOWANCE_B + _FRAMING_RATIO * self._body_b

    def _enqueue(self, message: Message) -> None:
        if self._task is None:
            self._start(message)
        elif len(self._queue) < self._edge.limits.connections.pipeline:
            self._queue.append(message)
            self._queued_b += len(message.body)
            if self._queued_b > _PIPELINE_BYTES and self.transport is not None:
                self.transport.pause_reading()
        else:
            self.closing = True

    def _reject(self, fault: Fault) -> None:
        """A request that cannot be read: answered in its turn, then the connection ends."""
        self.closing = True
        self._in_body = self._message_open = False
        self._enqueue_last(Message(None, b"", False, False, fault))

    def _enqueue_last(self, message: Message) -> None:
        if self._task is None:
            self._start(message)
        else:
            self._queue.append(message)

    def _start(self, message: Message) -> None:
        self.deadline = NEVER
        self.head_sent = False
        self.message = message
        self._task = self._edge.loop.create_task(self._edge.handler(self, message))

    # --- answering: what the handler calls

    def new_id(self) -> str:
        """A request id for a request whose head could not be read."""
        return self._edge.new_id()

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole answer in one write."""
        assert self.message is not None
        if status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        self._write_head(status, headers, body if not self._is_head_request() else b"")

    def begin(self, status: int, headers: list[tuple[bytes, bytes]], length: int | None) -> None:
        """The head of an answer whose body follows by `send`: of `length` bytes, or chunked (HTTP/1.0: until close)."""
        assert self.message is not None
        self._chunked = length is None and not self.message.http10
        self.sent = False
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        elif self._chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            self.closing = True
        self._write_head(status, headers, b"")

    def send(self, data: bytes) -> None:
        """Some body bytes; several in one loop turn leave in one system call."""
        self.send_chunk(data, b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        """Some body bytes that came as a chunk, `chunk`: with its framing, which is ours as well."""
        if self.transport is not None:
            self.sent = True
            self.transport.write(chunk if self._chunked else data)

    def end(self) -> None:
        """The body is complete."""
        if self._chunked and self.transport is not None:
            self.transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the transport: the only honest end of a body that was cut."""
        self.closing = True
        if self.transport is not None:
            self.transport.abort()

    def finished(self) -> None:
        """The handler is done with this request: go on with the next, wait for one, or close."""
        self._task = None
        self.on_pause = None
        self.message = None
        if self.transport is None:
            return
        if self._queue:
            message = self._queue.popleft()
            if self._queued_b > _PIPELINE_BYTES >= self._queued_b - len(message.body):
                self.transport.resume_reading()
            self._queued_b -= len(message.body)
            self._start(message)
        elif self.closing or self._edge.draining:
            self._close()
        elif self._message_open:
            now = monotonic()
            self._body_start = now
            self.deadline = now + self._edge.limits.body.stall
        elif not self.write_paused:
            self.deadline = self._idle_deadline()

    def close_if_idle(self) -> None:
        """For a drain: a connection between requests ends."""
        if self._task is None and self.transport is not None and not self._message_open:
            self.transport.close()

    # --- answering: inside

    def _idle_deadline(self) -> float:
        return monotonic() + self._edge.limits.connections.idle

    def _is_head_request(self) -> bool:
        return self.message is not None and self.message.head is not None and self.message.head.method == "HEAD"

    def _write_head(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.head_sent = True
        message = self.message
        assert message is not None
        if not message.keep_alive or self._edge.draining:
            self.closing = True
        if self.closing:
            headers.append((b"connection", b"close"))
        elif message.http10:
            headers.append((b"connection", b"keep-alive"))
        if self.transport is not None:
            self.transport.write(answers.head(status, headers) + body)

    def _write_error(self, fault: Fault) -> None:
        error = errors.answer(fault)
        headers = [*error.headers, (b"content-length", b"%d" % len(error.body)), (b"connection", b"close")]
        if self.transport is not None:
            self.transport.write(answers.head(error.status, headers) + error.body)

    def _close(self) -> None:
        """Send FIN, then drop what the client still sends for a moment: unread data would turn into a reset."""
        assert self.transport is not None
        self.closing = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.deadline = monotonic() + _LINGER_S
        else:
            self.transport.close()


def _address(transport: asyncio.BaseTransport) -> str:
    """Of the peer; an IPv4 one as such, though the listener be an IPv6 one."""
    peer: object = transport.get_extra_info("peername")
    return str(peer[0]).removeprefix("::ffff:") if isinstance(peer, tuple) else ""


def _overweight() -> Fault:
    return downstream(Kind.MALFORMED, "The body's chunk framing outweighs the body.")


def _first_chunk_b(data: bytes) -> int:
    """The size that a read announces which begins a chunked body; 0 when it announces none."""
    start = data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0
    line = data[start : start + 32].split(b"\r\n", 1)[0].split(b";", 1)[0]
    return int(line, 16) if line.isalnum() and set(line) <= _HEX else 0


def _is_request_line(data: bytes) -> bool:
    """Catches what llhttp lets pass at the start of a request: HTTP/0.9 and doubled spaces."""
    end = data.find(b"\r\n")
    if end < 0:
        return data.find(b"  ", 0, 8192) < 0
    return data.find(b"  ", 0, end) < 0 and (end == 0 or data.find(b" HTTP/", 0, end) >= 0)
