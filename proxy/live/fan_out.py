"""One flowing answer for several clients: who comes late gets the beginning at once and then follows.

Owns who has how much of it. A client that is slow keeps its own bytes waiting, up to a bound; beyond that, or where
nobody else follows, the engine waits for it as for the client of an answer of its own.
"""

import asyncio
from typing import Final

from proxy.live.answer import Sink
from proxy.live.relay import Relay
from proxy.live.stream import TimedStream
from proxy.model.faults import Fault
from proxy.wire.meter import Meter
from proxy.wire.tokens import CountSource
from proxy.wire.usage import NO_USAGE, Usage

_PIECE_B: Final = 64 << 10
"""Of what a client missed, written at once."""


class Room:
    """What all beginnings together may take, that are kept for those who may come late: bytes."""

    def __init__(self, most_b: int) -> None:
        self.left_b = most_b

    def take(self, size_b: int) -> bool:
        """Some more, if there is room."""
        if size_b > self.left_b:
            return False
        self.left_b -= size_b
        return True


class FanOut:
    """The client's side of a relay, and as many clients as there are. `most_b`: bytes kept for late ones, as long as
    there is `room`, and for each slow one."""

    __slots__ = (
        "_followers",
        "_is_fresh",
        "_kept",
        "_kept_b",
        "_most_b",
        "_paused",
        "_room",
        "fault",
        "has_ended",
        "relay",
    )

    def __init__(self, relay: Relay, most_b: int, room: Room) -> None:
        self.relay = relay
        self._room = room
        self.has_ended = False
        self.fault: Fault | None = None
        """How it ended."""
        self._followers: list[Follower] = []
        self._kept: list[bytes] | None = []
        """All of it so far; None: too much for late ones."""
        self._kept_b = 0
        self._most_b = most_b
        self._paused = False
        self._is_fresh = True

    def follow(self, loop: asyncio.AbstractEventLoop) -> "Follower | None":
        """One client more; None: it is too late."""
        if self._kept is None:
            return None
        follower = Follower(self, self._kept, self._kept_b, loop, is_first=self._is_fresh)
        self._is_fresh = False
        self._followers.append(follower)
        return follower

    def leave(self, follower: "Follower") -> None:
        """It takes no more."""
        if follower in self._followers:
            self._followers.remove(follower)
            self.balance()

    def leads(self, follower: "Follower") -> bool:
        """Whether it is the first that is still there."""
        return bool(self._followers) and self._followers[0] is follower

    def end(self, fault: Fault | None) -> None:
        """Nothing more comes."""
        self.has_ended, self.fault = True, fault
        self.forget()
        for follower in self._followers[:]:
            follower.settle()

    def forget(self) -> None:
        """From now on it is too late for others."""
        if self._kept is not None:
            self._kept = None
            self._room.left_b += self._kept_b

    def balance(self) -> None:
        """The engine waits for whoever is too far behind."""
        most_b = self._most_b if len(self._followers) > 1 else 0
        wanted = any(follower.is_paused and follower.behind_b >= most_b for follower in self._followers)
        if wanted is not self._paused:
            self._paused = wanted
            self.relay.on_pause(wanted)

    # --- Sink

    def send(self, data: bytes) -> None:
        self.send_chunk(data, b"")

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        if self._kept is not None:
            size_b = len(data)
            if self._kept_b + size_b > self._most_b or not self._room.take(size_b):
                self.forget()
            else:
                self._kept.append(data)
                self._kept_b += size_b
        for follower in self._followers[:]:
            follower.take(data, chunk)


class Follower:
    """The answer of one of them, as `proxy.live.answer.Answer`."""

    __slots__ = (
        "_behind",
        "_done",
        "_loop",
        "_of",
        "_since",
        "_sink",
        "behind_b",
        "complete",
        "is_first",
        "is_paused",
        "meter",
    )

    def __init__(
        self, of: FanOut, beginning: list[bytes], beginning_b: int, loop: asyncio.AbstractEventLoop, *, is_first: bool
    ) -> None:
        self._of = of
        self._behind = beginning[:]
        """What its client has not got yet."""
        self.behind_b = beginning_b
        self._loop = loop
        self._since = loop.time()
        self._sink: Sink | None = None
        self._done: asyncio.Future[None] | None = None
        self.is_first = is_first
        self.meter = of.relay.meter if self.is_first else Meter()
        """The tokens are counted once, for the first."""
        self.is_paused = False
        self.complete = False
        """Its client has all of it."""

    @property
    def backend(self) -> str:
        """Whose answer it is."""
        return self._of.relay.backend

    @property
    def status(self) -> int:
        """Of its head."""
        return self._of.relay.status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of its head, as the engine sent them."""
        return self._of.relay.headers

    @property
    def events(self) -> TimedStream | None:
        """None: it is no stream of events."""
        return self._of.relay.stream

    @property
    def body(self) -> bytes:
        """It flows: what is there is passed on."""
        return b""

    @property
    def fault(self) -> Fault | None:
        """Why it broke off."""
        return self._of.fault if self.complete else None

    def start(self, sink: Sink) -> "asyncio.Future[None]":
        """Pass on what is there and all that follows; done at its end."""
        self._sink = sink
        self._done = self._loop.create_future()
        self._catch_up()
        return self._done

    def on_pause(self, paused: bool) -> None:
        """The client takes no more for now, or does again."""
        self.is_paused = paused
        if not paused:
            self._catch_up()
        self._of.balance()

    def usage(self) -> Usage:
        """Token counts: the engine counted them once, for the first."""
        return self._of.relay.usage() if self.is_first else NO_USAGE

    def token_source(self) -> CountSource:
        """How the tokens were counted that passed so far."""
        return self._of.relay.token_source()

    def take(self, data: bytes, chunk: bytes) -> None:
        """Some more came."""
        sink = self._sink
        if sink is None or self.is_paused or self._behind:
            self._behind.append(data)
            self.behind_b += len(data)
            self._of.balance()
        elif chunk:
            sink.send_chunk(data, chunk)
        else:
            sink.send(data)

    def settle(self) -> None:
        """All has come; it is over when its client has it."""
        done = self._done
        if self._behind or not self._of.has_ended or done is None:
            return
        self.complete = True
        seen = self._of.relay.meter
        if not self.is_first and seen.first_token is not None:
            self.meter.first_token = max(seen.first_token, self._since)
            self.meter.last_token = seen.last_token
        if not done.done():
            done.set_result(None)

    def cut(self) -> None:
        """Its client gets no more of it."""
        self._behind.clear()
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _catch_up(self) -> None:
        sink = self._sink
        while sink is not None and self._behind and not self.is_paused:
            piece, size = self._next_piece()
            self.behind_b -= size
            sink.send(piece)
        self.settle()

    def _next_piece(self) -> tuple[bytes, int]:
        count, size = 0, 0
        while count < len(self._behind) and size < _PIECE_B:
            size += len(self._behind[count])
            count += 1
        piece = b"".join(self._behind[:count])
        del self._behind[:count]
        return piece, size
