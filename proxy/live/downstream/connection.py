"""The downstream edge: client connections as HTTP/1.1 servers see them.

Owns the order of answers, keep-alive, pipelining, deadlines, closes that lose nothing, and noticing that a client left;
the `reader` owns what comes in. Knows nothing of models or backends: a request that was read whole goes to the
`Handler`, which answers through the connection. A half-closed client counts as gone, as with HAProxy's
`abortonclose`: nobody waits for the answer. An answer that is complete is delivered as slowly as the client reads.

    state       until                                     `deadline`: when it has lasted too long
    READING     a request is whole ──▶ ANSWERING          head, idle: closed; body: 408
    ANSWERING   its handler is done ──▶ READING, or FIN   none
    LINGERING   our FIN is out; the client closes         what it still sends is dropped, then it is closed
    GONE        for good                                  none

In each of them bytes that the client does not take are looked at first: whoever takes none for `write_stall` is gone.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, cast

from proxy.live.downstream.budget import Budget
from proxy.live.downstream.message import Message
from proxy.live.downstream.reader import BETWEEN, IN_BODY, Reader
from proxy.live.downstream.response_writer import ResponseWriter
from proxy.live.downstream.slow_reader import SlowReader
from proxy.live.downstream.terms import Terms
from proxy.live.downstream.unsent import reset, unsent_b
from proxy.live.watch import NEVER, Watch
from proxy.model.faults import Fault, Kind, downstream, internal
from proxy.model.limits import Limits
from proxy.wire import answers, errors
from proxy.wire.headers import Head, HeaderPolicy

_LINGER_S: Final = 1.0
"""After our FIN what the client still sends is read and dropped as long as it sends: no reset destroys the answer."""
_LINGER_MAX_S: Final = 30.0
"""But not longer than this."""
_PIPELINE_BYTES: Final = 256 * 1024
"""Bodies waiting behind the request being answered; above it the connection is not read, not even for a FIN."""

READING: Final = 0
ANSWERING: Final = 1
LINGERING: Final = 2
GONE: Final = 3

Handler = Callable[["ClientConnection", Message], Coroutine[Any, Any, None]]


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
        budget: Budget,
        gate: Callable[[Head, str], None] | None = None,
        uploads: Callable[[Head], bool] | None = None,
    ) -> None:
        """`gate`, `uploads`: as in `Terms`."""
        self.handler = handler
        self.limits = limits
        self.new_id = new_id
        self.watch = watch
        self.clock = watch.clock
        self.loop = loop
        self.max_connections = max_connections
        self.budget = budget
        self.terms = Terms(limits, policy, new_id, budget, watch.ran, gate, uploads)
        self.connections: set[ClientConnection] = set()
        self.refused = 0
        self.draining = False

    def configure(self, limits: Limits, policy: HeaderPolicy, max_connections: int) -> None:
        """Other terms, for connections that are open too, as far as they have not begun to apply; nobody is closed."""
        self.limits = self.terms.limits = limits
        self.terms.policy = policy
        self.max_connections = max_connections

    def connection(self) -> "ClientConnection":
        """A protocol for one accepted socket."""
        return ClientConnection(self)

    def drain(self) -> None:
        """Close idle connections; the others close after their answer."""
        self.draining = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for connection in list(self.connections):
            connection.close_if_idle()

    def is_delivering(self) -> bool:
        """Whether a client has not yet taken the whole of a complete answer."""
        return any(connection.is_delivering() for connection in self.connections)


class ClientConnection(ResponseWriter):
    """One client connection; answers one request at a time, in order."""

    __slots__ = (
        "_charge_b",
        "_edge",
        "_linger_end",
        "_queue",
        "_queued_b",
        "_reader",
        "_slow",
        "_task",
        "client",
        "deadline",
        "on_pause",
        "stalled",
        "state",
        "tunnel",
        "write_paused",
    )

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self._edge = edge
        self._reader = Reader(edge.terms)
        self._queue: deque[Message] = deque()
        self._queued_b = 0
        self._task: asyncio.Task[None] | None = None
        self._charge_b = 0
        """Taken of the budget for the request being answered, as long as its handler has not made it its own."""
        self._linger_end = NEVER
        """When lingering ends at the latest, unless the client still takes its answer."""
        self._slow = SlowReader(edge.limits.connections.write_stall)
        self.state = READING
        self.client = ""
        """Address of the peer."""
        self.deadline = NEVER
        self.write_paused = False
        self.stalled = False
        """Closed because the client took no byte for too long."""
        self.on_pause: Callable[[bool], None] | None = None
        self.tunnel: Callable[[bytes], None] | None = None
        """Who gets what comes after a handshake; None: no request follows, and nothing else."""

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.client = self._reader.peer = _address(transport)
        edge = self._edge
        if len(edge.connections) >= edge.max_connections:
            edge.refused += 1
            self._write_error(internal(Kind.CONNECTIONS, "Too many open connections.", retry_after_s=1.0))
            self.transport.close()
            return
        edge.connections.add(self)
        edge.watch.add(self)
        limits = edge.limits
        self.deadline = self._edge.clock() + limits.head.timeout
        self.transport.set_write_buffer_limits(limits.connections.buffer_high, limits.connections.buffer_low)

    def connection_lost(self, exc: Exception | None) -> None:
        self._edge.connections.discard(self)
        self._edge.watch.discard(self)
        self.state = GONE
        self.transport = None
        self.closing = True
        self._reader.close()
        for message in self._queue:
            self._edge.budget.give(message.charge_b)
        self._queue.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._edge.budget.give(self.take_charge())  # a task that is cancelled before its first step runs no `finally`

    def eof_received(self) -> None:
        return None

    def pause_writing(self) -> None:
        self.write_paused = True
        assert self.transport is not None
        self.deadline = self._slow.begins(unsent_b(self.transport), self._edge.clock())
        if self.on_pause is not None:
            self.on_pause(True)

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.state != LINGERING:
            self.deadline = NEVER if self.state == ANSWERING else self._idle_deadline()
        if self.on_pause is not None:
            self.on_pause(False)

    def data_received(self, data: bytes) -> None:
        if self.closing:
            if self.tunnel is not None:
                self.tunnel(data)
            elif self.state == LINGERING:
                self.deadline = min(self._edge.clock() + _LINGER_S, self._linger_end)
            return
        reader = self._reader
        if reader.state == BETWEEN and self.state == READING:
            self.deadline = self._edge.clock() + self._edge.limits.head.timeout
        for message in reader.feed(data):
            self._enqueue(message)
        if reader.state == IN_BODY and self.state == READING:
            self._note_progress()

    def expired(self, now: float) -> None:
        """The sweep found `deadline` in the past."""
        transport = self.transport
        if transport is None:
            return
        left_b = unsent_b(transport)
        if left_b:
            self._judge_reader(transport, left_b, now)
        elif self.state == LINGERING and self._slow.has_caught_up():
            self.deadline = now + _LINGER_S  # a moment more for what it may still send
        elif self.state == LINGERING:
            transport.abort()
        elif self.state == ANSWERING:
            self.deadline = NEVER  # an answer runs: what is read behind it has time
        elif self._reader.state == IN_BODY and not self.closing:
            fault = downstream(Kind.BODY_TOO_SLOW, "The request body came too slowly.")
            self._enqueue(self._reader.refuse(fault))
        else:
            transport.abort()

    def _judge_reader(self, transport: asyncio.Transport, left_b: int, now: float) -> None:
        if self._slow.is_gone(left_b):
            self.stalled = True
            reset(transport)
        else:
            self.deadline = self._slow.next_look(now)

    def is_delivering(self) -> bool:
        """Whether a complete answer waits for its reader."""
        return self.state != ANSWERING and self.transport is not None and unsent_b(self.transport) > 0

    # --- what was read

    def _note_progress(self) -> None:
        reader, limits, now = self._reader, self._edge.limits.body, self._edge.clock()
        if reader.wants_continue and self.transport is not None:
            reader.wants_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elapsed = self._edge.watch.ran() - reader.body_start
        if elapsed > limits.stall and reader.body_b < limits.min_rate * elapsed:
            self.deadline = now  # too slow on average: the sweep ends it
        else:
            left_s = NEVER if limits.timeout is None else limits.timeout - elapsed
            self.deadline = now + min(limits.stall, left_s)

    def _enqueue(self, message: Message) -> None:
        if message.fault is not None:  # answered in its turn, then the connection ends
            self.closing = True
        elif self.closing or len(self._queue) >= self._edge.limits.connections.pipeline:
            self.closing = True
            self._edge.budget.give(message.charge_b)
            return
        if self.state != ANSWERING:
            self._start(message)
            return
        if message.fault is not None and message.fault.kind is Kind.UPGRADE:
            message = replace(message, head=None)  # what follows it is lost until its turn comes: it gets no tunnel
        self._queue.append(message)
        self._queued_b += len(message.body)
        if self._queued_b > _PIPELINE_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def _start(self, message: Message) -> None:
        self.deadline = NEVER
        self.answers(message)
        self._charge_b = message.charge_b
        self.state = ANSWERING
        if message.upload is not None and self.transport is not None:
            message.upload.comes_over(self.transport)
            if self._reader.wants_continue and self._reader.upload is message.upload:
                self._reader.wants_continue = False
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._task = self._edge.loop.create_task(self._edge.handler(self, message))

    # --- answering: what the handler calls

    def new_id(self) -> str:
        """A request id for a request whose head could not be read."""
        return self._edge.new_id()

    def take_charge(self) -> int:
        """What was taken of the budget for the request: from now on the caller's to give back."""
        charge_b, self._charge_b = self._charge_b, 0
        return charge_b

    def is_last(self, message: Message) -> bool:
        return not message.keep_alive or self._edge.draining

    def finished(self) -> None:
        """The handler is done with this request: go on with the next, wait for one, or close."""
        self._task = None
        self.on_pause = None
        self.message = None
        self._edge.budget.give(self.take_charge())
        if self.transport is None:
            return
        self.state = READING
        if self.transport.is_closing():
            return
        if self._queue:
            message = self._queue.popleft()
            if self._queued_b > _PIPELINE_BYTES >= self._queued_b - len(message.body):
                self.transport.resume_reading()
            self._queued_b -= len(message.body)
            self._start(message)
        elif self.closing or self._edge.draining or self._reader.upload is not None:
            self._close()  # an upload that nobody takes any more is no beginning of a next request
        elif self._reader.state != BETWEEN:
            self._reader.body_start = self._edge.watch.ran()  # what came slowly behind the answer had time
            self._note_progress()
        elif not self.write_paused:
            self.deadline = self._idle_deadline()

    async def until_taken(self) -> None:
        """Until the client takes more of what is sent, if it has enough for now."""
        if not self.write_paused:
            return
        taken = self._edge.loop.create_future()
        self.on_pause = lambda paused: None if paused or taken.done() else taken.set_result(None)
        try:
            await taken
        finally:
            self.on_pause = None

    def close_if_idle(self) -> None:
        """For a drain: a connection between requests ends, as soon as its last answer is delivered."""
        if self.state != READING or self.transport is None or self._reader.state != BETWEEN:
            return
        if unsent_b(self.transport):
            self._close()
        else:
            self.transport.close()

    # --- answering: inside

    def _idle_deadline(self) -> float:
        return self._edge.clock() + self._edge.limits.connections.idle

    def _write_error(self, fault: Fault) -> None:
        error = errors.answer(fault)
        headers = [*error.headers, (b"content-length", b"%d" % len(error.body)), (b"connection", b"close")]
        if self.transport is not None:
            self.transport.write(answers.head(error.status, headers) + error.body)

    def _close(self) -> None:
        """Send FIN behind the answer, then drop what the client still sends: unread data would turn into a reset."""
        assert self.transport is not None
        self.closing = True
        self._reader.close()
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.state = LINGERING
        now = self._edge.clock()
        self._slow.forget()
        self._linger_end = now + _LINGER_MAX_S
        self.deadline = now + _LINGER_S


def _address(transport: asyncio.BaseTransport) -> str:
    """Of the peer; an IPv4 one as such, though the listener be an IPv6 one."""
    peer: object = transport.get_extra_info("peername")
    return str(peer[0]).removeprefix("::ffff:") if isinstance(peer, tuple) else ""
