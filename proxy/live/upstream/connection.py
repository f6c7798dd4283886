"""The upstream hop: one HTTP/1.1 connection to a backend, on httptools.

Owns framing; how long an answer may take: `deadlines`. Knows nothing of JSON or SSE: what arrives goes to a Receiver as
it comes. A connection with any framing error is closed, never pooled.

Deadlines are moved by what an answer is made of: a whole head, bytes of its body. Interim answers, chunk extensions and
trailers move none; nor do bytes of which the receiver says that they were in vain.
"""

import asyncio
import fcntl
import sys
import termios
from typing import Any, Final, Protocol, cast

import httptools

from proxy.live.upstream.address import SocketAddress
from proxy.live.upstream.deadlines import FIRST_BYTE_S, Deadlines
from proxy.live.upstream.recognised import RecognisedAnswers
from proxy.live.watch import NEVER, Watch
from proxy.model.faults import Fault, FaultError, Kind, Retry, upstream
from proxy.wire import framing

_MAX_FRAMING_B: Final = 64 * 1024
"""Of a head with all that comes before it, or of what comes between two pieces of a body: engines send some hundred
bytes."""
_LARGE_B: Final = 64 * 1024
"""A request up to this size lies in the engine's kernel as soon as it is sent, whether the engine reads it or not."""


class Receiver(Protocol):
    """Whoever asked. Called in order: head, body…, then exactly one of ended and failed."""

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]], now: float) -> None:
        """The head of the answer (never a 1xx). `now`, here and below: monotonic seconds."""

    def on_body(self, data: bytes, now: float) -> None:
        """Some bytes of the body, framing removed."""

    def on_chunk(self, data: bytes, chunk: bytes, now: float) -> None:
        """The same, where they came as one whole chunk; `chunk`: with its framing."""

    def on_end(self) -> None:
        """The answer is complete."""

    def on_switch(self, headers: list[tuple[bytes, bytes]], rest: bytes, now: float) -> None:
        """The engine switched protocols, as it was asked to; `rest`: what it said in the other one. It is not read
        until it is handed over."""

    def on_fault(self, fault: Fault) -> None:
        """The answer will never be complete."""

    def goes_on_thinking(self) -> bool:
        """Asked after a silence: whether what came last was a thought again, which may last as long as the first."""


class Owner(Protocol):
    """Whoever keeps the connections to one backend."""

    def opened(self, connection: "UpstreamConnection") -> None:
        """There is a connection."""

    def idle(self, connection: "UpstreamConnection") -> None:
        """It can carry another request."""

    def closed(self, connection: "UpstreamConnection") -> None:
        """It is gone. May be said twice."""


class UpstreamConnection(Deadlines):
    """One connection to a backend; one exchange at a time."""

    __slots__ = (
        "_abandoned",
        "_between_chunks",
        "_ended_well",
        "_framing_b",
        "_headers",
        "_owner",
        "_parser",
        "_read_at",
        "_receiver",
        "_recognised",
        "_request_b",
        "_status",
        "_switched",
        "_until_close",
        "address",
        "reused",
        "switches",
    )

    def __init__(self, owner: Owner, address: SocketAddress, watch: Watch) -> None:
        super().__init__(watch, address.first_byte_s, address.idle_s)
        self._owner = owner
        self.address = address
        """By what it was made."""
        self.reused = False
        self._receiver: Receiver | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        """Holds this connection, and is held by it: let go of as soon as nothing more can come."""
        self._recognised = RecognisedAnswers()
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._request_b = 0
        self._framing_b = 0
        """Bytes since the last that were part of a body."""
        self._read_at = 0.0
        self._until_close = False
        self._between_chunks = False
        """The parser has ended a chunk and begun no other."""
        self._ended_well = False
        """The last answer was whole, and another one may follow."""
        self._abandoned = False
        self._switched = False
        """A head said that another protocol follows."""
        self.switches = False
        """The request asks for that."""

    # --- what its user calls

    def send(self, message: bytes, receiver: Receiver, patience_s: float = FIRST_BYTE_S) -> None:
        """Write one request; the answer goes to `receiver`, who waits so long for its first byte unless it is
        configured otherwise."""
        assert self._receiver is None
        assert self.transport is not None
        self._receiver = receiver
        self._request_b = len(message)
        self.asked(patience_s)
        self.transport.write(message)

    def linger(self, seconds: float) -> None:
        self._between_chunks = False
        super().linger(seconds)

    def abort(self) -> None:
        """Close now; the receiver hears nothing more."""
        self._receiver = None
        if self.transport is not None:
            self.transport.abort()

    def abandon(self) -> None:
        """Whoever wanted it has gone while it was being made: a loop may never say that it was lost."""
        self._abandoned = True
        self.abort()
        self._let_go()

    def hand_over(self, to: asyncio.Protocol) -> asyncio.Transport:
        assert self.transport is not None
        self._receiver = None
        self.deadline = NEVER
        self.transport.set_protocol(to)
        self.transport.resume_reading()
        return self.transport

    @property
    def is_open(self) -> bool:
        """Whether a request could be written."""
        return self.transport is not None and not self.transport.is_closing()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._abandoned:
            self.transport.abort()
            return
        self.deadline = self._clock() + self.address.connect_s + self.address.keepalive_s  # unless it is used
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:  # an engine that talks unasked, or after its answer: not to be trusted again
            self.abort()
            return
        now = self._clock()
        if self._between_chunks:
            start = framing.one_chunk(data)
            if start:  # the parser need not know: it stands before a chunk and would stand there again
                self.deadline = now + self._silence_s
                receiver.on_chunk(data[start:-2], data, now)
                return
        self._read_at = now
        is_first = not self._framing_b and not self._status
        if is_first:
            start = self._recognised.body_at(data)
            if start:
                self._answer(data, start, now)
                return
            self._ended_well = False
        self._parse(data)
        if is_first and self._receiver is None and self._ended_well:
            self._recognised.learn(data, self._headers)

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            return
        self._framing_b += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, FaultError):
                raise
            self._fail(error.__context__.fault)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._fail(self._nonsense("sent something that is not HTTP/1.1"))
        if self._framing_b > _MAX_FRAMING_B:
            self._fail(self._nonsense("sent too much framing" if self._status else "sent too long a head"))
        if self._between_chunks and (self._fixed or not data.endswith(b"\n")):  # the next size line has begun
            self._between_chunks = False

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._until_close and exc is None:
            self._end(reusable=False)
        else:
            self._fail(self._lost())
        self._let_go()

    def expired(self, now: float) -> None:
        """The sweep found `deadline` in the past."""
        if self._receiver is None:
            self.abort()
        elif self.may_be_as_silent_as_first() and self._receiver.goes_on_thinking():
            self.thinks_again()
        else:
            self._fail(self._late())

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        if self._receiver is None:  # else the next request would get the rest of it as its answer
            raise FaultError(self._nonsense("answered unasked"))
        self._headers = []
        self._status = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # else a trailer: never merged
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status: int = self._parser.get_status_code()
        if status == 101:
            if not self.switches:
                raise FaultError(self._nonsense("switched protocols unasked"))
            self._switched = True
            return
        if status < 100 or status > 599:
            raise FaultError(self._nonsense("answered with a status that means nothing"))
        if self._parser.get_http_version() not in ("1.0", "1.1"):
            raise FaultError(self._nonsense("does not speak HTTP/1.1"))
        framed = self._is_framed()
        if status < 200:
            return
        self._status = status
        self._framing_b = 0
        self._until_close = not framed and status not in (204, 304)
        self.deadline = max(self.deadline, self._read_at + self._silence_s)
        if self._receiver is not None:
            self._receiver.on_head(status, self._headers, self._read_at)

    def on_body(self, data: bytes) -> None:
        if not self._status:
            raise FaultError(self._nonsense("put a body into an interim answer"))
        self._framing_b = 0
        if not self._fixed:
            self.deadline = self._read_at + self._silence_s
        if self._receiver is not None:
            self._receiver.on_body(data, self._read_at)

    def on_chunk_header(self) -> None:
        self._between_chunks = False

    def on_chunk_complete(self) -> None:
        self._between_chunks = True

    def on_message_complete(self) -> None:
        self._between_chunks = False
        if self._status:
            self._end(reusable=not self._until_close and self._parser.should_keep_alive() and self._was_taken())
        elif self._switched and not self._parser.should_upgrade():
            raise FaultError(self._nonsense("switched protocols without saying to which"))

    # --- endings

    def _answer(self, data: bytes, start: int, now: float) -> None:
        """A whole answer whose head came before: as the parser would have told it."""
        receiver = self._receiver
        headers = self._headers = self._recognised.headers(len(data) - start)
        self._status = 200
        self._until_close = False
        if receiver is not None:
            receiver.on_head(200, headers, now)
        if self._receiver is not None:
            self._receiver.on_body(data[start:], now)
        self._end(reusable=self._was_taken())

    def _switch(self, rest: bytes) -> None:
        receiver, transport = self._receiver, self.transport
        if not self._switched or receiver is None or transport is None:
            self._fail(self._nonsense("sent something that is not HTTP/1.1"))
            return
        transport.pause_reading()
        self._parser = None
        self.deadline = NEVER
        receiver.on_switch(self._headers, rest, self._read_at)

    def _is_framed(self) -> bool:
        """Whether the head says where the body ends. No coding but `chunked` was offered, so none is undone."""
        framed = chunked = False
        head_b = 0
        for name, value in self._headers:
            lower = name.lower()
            head_b += len(name) + len(value)
            if lower == b"transfer-encoding":
                if chunked or value.strip().lower() != b"chunked":
                    raise FaultError(self._nonsense("used a transfer coding that nobody asked for"))
                framed = chunked = True
            elif lower == b"content-length":
                framed = True
        if head_b > _MAX_FRAMING_B:
            raise FaultError(self._nonsense("sent too long a head"))
        return framed

    def _was_taken(self) -> bool:
        """Whether the engine has taken the whole request: what is left of it would stand before the next one."""
        transport = self.transport
        if transport is None or transport.get_write_buffer_size():
            return False
        return self._request_b <= _LARGE_B or (self._status < 400 and not _unacknowledged_b(transport))

    def _end(self, *, reusable: bool) -> None:
        receiver, self._receiver = self._receiver, None
        self._status = self._framing_b = 0
        self.reused = True
        self._ended_well = reusable
        if self._fixed:
            self.resume()
        self.deadline = self._clock() + self.address.keepalive_s
        if reusable and self.is_open:
            self._owner.idle(self)
        elif self.transport is not None:
            self.transport.abort()
        if receiver is not None:
            receiver.on_end()

    def _fail(self, fault: Fault) -> None:
        receiver, self._receiver = self._receiver, None
        if self.transport is not None:
            self.transport.abort()
        if receiver is not None:
            receiver.on_fault(fault)

    def _let_go(self) -> None:
        self.transport = None
        self._parser = None
        self._headers = []
        self._owner.closed(self)

    # --- faults

    def _nonsense(self, what: str) -> Fault:
        return upstream(Kind.NONSENSE, f"Backend {self.address.name} {what}.", Retry.SAFE)

    def _lost(self) -> Fault:
        name = self.address.name
        if self._status:
            return upstream(Kind.CUT, f"Backend {name} closed the connection in the middle of its answer.", Retry.SAFE)
        retry = Retry.REUSED_CONNECTION_ONLY if self.reused else Retry.SAFE
        return upstream(Kind.RESET, f"Backend {name} closed the connection before it answered.", retry)

    def _late(self) -> Fault:
        name, limit_s = self.address.name, self._patience_s
        if not self._status:
            what = "did not finish the head of its answer" if self._framing_b else "sent nothing"
            return upstream(Kind.FIRST_BYTE_TIMEOUT, f"Backend {name} {what} for {limit_s:g} s.")
        if self.is_vain:
            return upstream(Kind.IDLE_TIMEOUT, f"Backend {name} brought its answer no further for {limit_s:g} s.")
        return upstream(Kind.IDLE_TIMEOUT, f"Backend {name} fell silent for {self._silence_s:g} s.")


def _unacknowledged_b(transport: asyncio.Transport) -> int:
    """Bytes that the kernel holds because the other side has not taken them; 0 where that cannot be told."""
    socket = transport.get_extra_info("socket")
    if socket is None:
        return 0
    return int.from_bytes(fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
