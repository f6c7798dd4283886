"""A request body that is taken piece by piece, as fast as somebody takes it: what is too much waits with its sender.

Owns the pieces between the connection and whoever writes them down, and the pause of the connection.
"""

import asyncio
from collections import deque
from typing import Final

HIGH_B: Final = 512 * 1024
"""Bytes that nobody has taken yet, above which the connection is not read."""
UNKNOWN: Final = -1


class CutError(Exception):
    """The client left, or its framing is broken: the body has no end."""


class Upload:
    """One per request. `length_b`: bytes announced; UNKNOWN for a chunked one."""

    __slots__ = ("_bytes", "_dropped", "_ended", "_paused", "_pieces", "_transport", "_waiter", "is_cut", "length_b")

    def __init__(self, length_b: int) -> None:
        self.length_b = length_b
        self.is_cut = False
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._dropped = False
        """Nobody takes any of it any more."""
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- in

    def comes_over(self, transport: asyncio.Transport) -> None:
        """That is what pauses."""
        self._transport = transport
        self._throttle()

    def feed(self, data: bytes) -> None:
        """More of it."""
        if self._dropped:
            return
        self._pieces.append(data)
        self._bytes += len(data)
        self._throttle()
        self._wake()

    def end(self) -> None:
        """That was all."""
        self._ended = True
        self._wake()

    def cut(self) -> None:
        """No more will come, and it is not all."""
        self.is_cut = True
        self._pieces.clear()
        self._bytes = 0
        self._wake()

    # --- out

    async def next(self, timeout_s: float) -> bytes:
        """The next bytes; empty: that was all. CutError where there is no end, TimeoutError where nothing comes."""
        while not self._pieces and not self._ended and not self.is_cut:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._waiter, timeout_s)
            finally:
                self._waiter = None
        if self.is_cut:
            raise CutError
        data = b"".join(self._pieces)
        self._empty()
        return data

    @property
    def is_whole(self) -> bool:
        """All of it has come."""
        return self._ended

    def drop(self) -> None:
        """What still comes is read and thrown away."""
        self._dropped = True
        self._empty()

    def _empty(self) -> None:
        self._pieces.clear()
        self._bytes = 0
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _throttle(self) -> None:
        if self._bytes > HIGH_B and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
