"""What stands in for sockets in the tests of `proxy.live`: a transport, a sink, a connection to an engine."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from proxy.live.upstream.address import SocketAddress
from proxy.live.upstream.connection import UpstreamConnection
from proxy.live.upstream.pool import ConnectionPool
from proxy.live.watch import Watch
from proxy.model.faults import Fault
from proxy.model.timeline import Clock


class Transport(asyncio.Transport):
    """Remembers what is done to it. Closing is told to the protocol by the test, as a loop would: later."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_reading_paused = False
        self.closed = False
        self.unsent_b = 0
        """What the other side has not taken yet."""

    def get_write_buffer_size(self) -> int:
        return self.unsent_b

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True


class Receiver:
    """Everything that was told of one answer, in order."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.ends = 0
        self.chunks = 0
        """Pieces of the body that came as one whole chunk."""
        self.faults: list[Fault] = []
        self.thinks = False

    def goes_on_thinking(self) -> bool:
        return self.thinks

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]], now: float) -> None:
        assert not self.status
        self.status, self.headers = status, headers

    def on_body(self, data: bytes, now: float) -> None:
        assert self.status
        self.body += data

    def on_chunk(self, data: bytes, chunk: bytes, now: float) -> None:
        assert chunk.endswith(b"\r\n%b\r\n" % data)
        assert int(chunk[: -len(data) - 4], 16) == len(data)
        self.chunks += 1
        self.on_body(data, now)

    def on_end(self) -> None:
        self.ends += 1

    def on_fault(self, fault: Fault) -> None:
        self.faults.append(fault)


class Sink:
    """The client's side: takes everything, and may ask for a pause."""

    def __init__(self, on_send: Callable[[], None] | None = None) -> None:
        self.sent: list[bytes] = []
        self.chunks = 0
        self._on_send = on_send

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        if self._on_send is not None:
            self._on_send()

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        assert chunk == b"%x\r\n%b\r\n" % (len(data), data)
        self.chunks += 1
        self.send(data)

    @property
    def bytes(self) -> bytes:
        return b"".join(self.sent)


def address(**changes: Any) -> SocketAddress:
    """A backend that is nowhere."""
    usual: dict[str, Any] = {
        "name": "alpha",
        "host": "127.0.0.1",
        "port": 1,
        "authority": b"127.0.0.1:1",
        "prefix": "",
        "api_key": None,
        "tls": None,
        "connect_s": 1.0,
        "first_byte_s": 5.0,
        "idle_s": 3.0,
        "keepalive_s": 4.0,
    }
    return SocketAddress(**{**usual, **changes})


def pool(clock: Clock = monotonic, **changes: Any) -> ConnectionPool:
    """A pool on the running loop."""
    loop = asyncio.get_running_loop()
    return ConnectionPool(address(**changes), loop, Watch(loop, clock))


def connected(to: ConnectionPool) -> tuple[UpstreamConnection, Transport]:
    """A fresh connection of `to` on a transport of ours."""
    connection = UpstreamConnection(to, to.address, to.watch)
    transport = Transport()
    connection.connection_made(transport)
    return connection, transport


class Taker:
    """A client's side of an answer: keeps what it is given."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.got.append(data)

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        self.got.append(chunk)
