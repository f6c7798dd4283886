"""A WebSocket between one client and one engine: bytes pass both ways as they are, until somebody closes.

    client ──bytes──▶ engine        each direction: frames are counted off, so that a close of our own stands between
    client ◀──bytes── engine        two of them and nowhere else; nothing passes after a close

Owns the copying, back-pressure (one side slow: the other is not read), the limits of one tunnel, and how it ends. The
engine's connection was made, and its handshake answered, by an attempt like any other; its place is held meanwhile.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from proxy.model.faults import FaultError, Kind, internal
from proxy.model.realtime import RealtimeSettings, RealtimeView
from proxy.model.timeline import Clock
from proxy.wire import websocket
from proxy.wire.websocket import Frames

_CLOSE_S: Final = 1.0
"""After a close of ours both sides have so long to say theirs."""
EARLY_B: Final = 64 * 1024
"""What a client may send before it knows that there is a tunnel; it should send nothing."""


class Client(Protocol):
    """The client's side; a connection is one."""

    transport: asyncio.Transport | None
    tunnel: Callable[[bytes], None] | None
    on_pause: Callable[[bool], None] | None

    def send(self, data: bytes) -> None:
        """Write some bytes."""

    def abort(self) -> None:
        """Break it."""


class Tunnels:
    """One per proxy: those that are open, and what became of the others."""

    def __init__(self) -> None:
        self._by_tenant: Counter[bytes] = Counter()
        self._running: set[Tunnel] = set()
        self.open = 0
        self.from_clients_b = self.to_clients_b = 0
        self.ends: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def enter(self, whose: bytes, settings: RealtimeSettings) -> None:
        """One more of this tenant, to be followed by `leave`. FaultError where there are too many."""
        if self.open >= settings.connections:
            self.refused["full"] += 1
            text = f"There are {settings.connections} WebSockets open already; try again later."
            raise FaultError(internal(Kind.CONNECTIONS, text, 5.0))
        if self._by_tenant[whose] >= settings.per_tenant:
            self.refused["tenant"] += 1
            text = f"This API key has {settings.per_tenant} WebSockets open already; close one."
            raise FaultError(internal(Kind.QUOTA, text, 5.0))
        self.open += 1
        self._by_tenant[whose] += 1

    def leave(self, whose: bytes) -> None:
        """It is over."""
        self.open -= 1
        self._by_tenant[whose] -= 1
        if not self._by_tenant[whose]:
            del self._by_tenant[whose]

    def begins(self, tunnel: "Tunnel") -> None:
        """Bytes may pass."""
        self._running.add(tunnel)

    def ended(self, tunnel: "Tunnel") -> None:
        """None will any more."""
        self._running.discard(tunnel)
        self.ends[tunnel.end or "client_lost"] += 1

    async def drain(self) -> None:
        """Close all, and give both ends a moment to say so."""
        for tunnel in list(self._running):
            tunnel.close("drain", websocket.GOING_AWAY, "the proxy is shutting down")
        if self._running:
            tasks = [asyncio.ensure_future(tunnel.over.wait()) for tunnel in self._running]
            await asyncio.wait(tasks, timeout=_CLOSE_S + 1.0)
            for task in tasks:
                task.cancel()

    def view(self, settings: RealtimeSettings) -> RealtimeView:
        """For metrics."""
        most = settings.connections
        return RealtimeView(
            self.open, most, self.from_clients_b, self.to_clients_b, dict(self.ends), dict(self.refused)
        )


class _Way:
    """One direction."""

    __slots__ = ("_frames", "_last", "_write", "is_shut")

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._frames = Frames()
        self._last = b""
        """A close of ours that waits for the end of a frame."""
        self.is_shut = False
        """Nothing passes any more."""

    @property
    def was_closed(self) -> bool:
        """Whether a close of the sender has passed."""
        return self._frames.closed

    def passes(self, data: bytes) -> None:
        """Bytes of the sender."""
        if self.is_shut:
            self._frames.feed(data)  # whether the sender says its close
            return
        if not self._last:
            self._frames.feed(data)
            self._write(data)
            return
        passing_b = self._frames.feed(data, to_border=True)
        if passing_b:
            self._write(data[:passing_b])
        self._end()

    def close(self, frame: bytes) -> None:
        """This frame is the last one, as soon as it can stand there."""
        if not self.is_shut and not self._last:
            self._last = frame
            self._end()

    def _end(self) -> None:
        if self._frames.at_border or self._frames.closed:
            self.is_shut = True
            if not self._frames.closed:
                self._write(self._last)


class Tunnel(asyncio.Protocol):
    """The engine's end of one, and all of it. `early`: what the engine sent behind its head."""

    def __init__(self, client: Client, settings: RealtimeSettings, tunnels: Tunnels, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._tunnels = tunnels
        self._clock = clock
        self._engine: asyncio.Transport | None = None
        self._on_engine_lost: Callable[[Exception | None], None] | None = None
        self._up = _Way(self._to_engine)
        self._down = _Way(client.send)
        self._began = self._moved = clock()
        self._first = ""
        """Who closed first: `client` or `engine`."""
        self._is_client_paused = False
        self._close_by: float | None = None
        """When a close that was said is over, whatever the others say."""
        self._news = asyncio.Event()
        self.over = asyncio.Event()
        self.from_client_b = self.to_client_b = 0
        self.end = ""
        """How it ended, in a word of `RealtimeView.ends`; empty: it has not."""

    def begin(
        self, engine: asyncio.Transport, said: bytes, asked: bytes, lost: Callable[[Exception | None], None]
    ) -> None:
        """`said`, `asked`: what engine and client sent before; `lost`: who else hears that the engine is gone."""
        self._engine = engine
        self._on_engine_lost = lost
        self._client.tunnel = self.from_client
        self._client.on_pause = self._client_pauses
        self._tunnels.begins(self)
        if said:
            self.data_received(said)
        if asked:
            self.from_client(asked)

    async def run(self) -> None:
        """Until it is over. Cancelled: the client is gone."""
        try:
            while not self.end or (self._close_by is not None and not self._is_quiet()):
                wait_s = self._next() - self._clock()
                if wait_s <= 0:
                    if self._close_by is not None:
                        if self.end == "drain":  # whoever takes nothing keeps no process waiting
                            self._client.abort()
                        break
                    self._late()
                    continue
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._news.wait()
        finally:
            self._let_go()

    def close(self, end: str, code: int, reason: str) -> None:
        """Say so to both sides."""
        if self.end:
            return
        self.end = end
        self._close_by = self._clock() + _CLOSE_S
        self._down.close(websocket.close(code, reason, masked=False))
        self._up.close(websocket.close(code, reason, masked=True))
        self._news.set()

    # --- the client's side

    def from_client(self, data: bytes) -> None:
        """Bytes of it."""
        self.from_client_b += len(data)
        self._tunnels.from_clients_b += len(data)
        self._up.passes(data)
        if self._up.was_closed and not self._first:
            self._first = "client"
        self._passed()

    def _client_pauses(self, paused: bool) -> None:
        """It is slower than the engine, or no longer."""
        if self._engine is not None and not self._engine.is_closing():
            if paused:
                self._engine.pause_reading()
            else:
                self._engine.resume_reading()

    # --- the engine's side: asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        self.to_client_b += len(data)
        self._tunnels.to_clients_b += len(data)
        self._down.passes(data)
        if self._down.was_closed and not self._first:
            self._first = "engine"
        self._passed()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._engine = None
        if self._on_engine_lost is not None:
            self._on_engine_lost(exc)
            self._on_engine_lost = None
        if not self.end:
            self._ended_by_engine()
        self._news.set()

    def pause_writing(self) -> None:
        self._pause_client(True)

    def resume_writing(self) -> None:
        self._pause_client(False)

    # --- inside

    def _to_engine(self, data: bytes) -> None:
        if self._engine is not None:
            self._engine.write(data)

    def _pause_client(self, pauses: bool) -> None:
        transport = self._client.transport
        if transport is None or transport.is_closing() or pauses is self._is_client_paused:
            return
        self._is_client_paused = pauses
        if pauses:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _passed(self) -> None:
        self._moved = self._clock()
        if self._close_by is not None:
            self._news.set()
        elif self._settings.size and self.from_client_b + self.to_client_b > self._settings.size:
            self.close("size", websocket.TOO_MUCH, "too many bytes")

    def _next(self) -> float:
        """When something is late."""
        if self._close_by is not None:
            return self._close_by
        return min(self._moved + self._settings.idle, self._began + self._settings.life)

    def _late(self) -> None:
        if self._clock() >= self._began + self._settings.life:
            self.close("life", websocket.GOING_AWAY, "open for too long")
        else:
            self.close("idle", websocket.GOING_AWAY, "nothing was sent for too long")

    def _is_quiet(self) -> bool:
        """Whether both sides have said their close, after ours."""
        return self._engine is None or (self._up.was_closed and self._down.was_closed)

    def _ended_by_engine(self) -> None:
        self.end = self._first or "engine_lost"
        if self._first:
            return
        self._down.close(websocket.close(websocket.BAD_GATEWAY, "the engine is gone", masked=False))
        if not self._down.is_shut:  # in the middle of a frame nothing can be said
            self._client.abort()

    def _let_go(self) -> None:
        self._client.tunnel = None
        self._client.on_pause = None
        self._pause_client(False)
        if self._engine is not None:
            self._engine.close()
        self.end = self.end or self._first
        self._tunnels.ended(self)
        self.over.set()
