"""One end of the connection between a worker and the decider: whole messages, all of one turn of the loop in one write.

    send ─▶ kept until the turn of the loop ends ─▶ one frame: length (4 bytes), then a list of messages
    frame ─▶ `heard`, message by message; what is no frame, silence and a full buffer end the connection: `lost`

Owns frames, the heartbeat and the bound of what is unsent. What messages mean is the business of its two ends.
"""

import asyncio
import marshal
import struct
from collections.abc import Callable
from math import inf
from typing import Any, Final, cast

Message = tuple[Any, ...]

BEAT: Final = 0
"""First word of a message that says only that its sender is alive."""
BEAT_S: Final = 0.5
SILENT_S: Final = 3.0
"""Without a word for so long the other end hangs, or is stopped."""
FRAME_B: Final = 16 << 20
"""A longer frame is none."""
UNSENT_B: Final = 8 << 20
"""More than that nobody reads at the other end."""
_FORM: Final = 2
"""Of `marshal`: later ones look for values that occur twice, which costs more here than it saves."""
_LENGTH: Final = struct.Struct("<I")
_BEAT: Final[Message] = (BEAT,)
_MALFORMED: Final = (ValueError, EOFError, TypeError, LookupError)


class Link(asyncio.Protocol):
    """One end. `heard` is called with every message of the other one, `lost` once, with why it is over; neither is
    called after `close`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, heard: Callable[[Message], None], lost: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._heard = heard
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._unsent: list[Message] = []
        self._read = bytearray()
        self._heard_at = inf
        """The first word may take as long as a process takes to start."""
        self._beat: asyncio.TimerHandle | None = None
        self._beat_at = 0.0
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True
        self._beat_soon()
        if self._unsent:
            self._loop.call_soon(self._flush)

    def send(self, message: Message) -> None:
        """With all others of this turn of the loop. Plain values only."""
        unsent = self._unsent
        unsent.append(message)
        if len(unsent) == 1 and self.is_open:
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """What was sent is on its way; nothing is heard any more."""
        if self.is_open:
            self._flush()
        self._end()
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        read = self._read
        if not read and len(data) >= 4 and _LENGTH.unpack_from(data)[0] == len(data) - 4:  # one frame: the usual case
            self._take(data[4:])
            return
        read += data
        while self.is_open and len(read) >= 4:
            (length,) = _LENGTH.unpack_from(read)
            if length > FRAME_B:
                self._broken(f"a frame of {length} bytes")
                return
            if len(read) < 4 + length:
                return
            frame = bytes(read[4 : 4 + length])
            del read[: 4 + length]
            self._take(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self._broken("the other end has closed" if error is None else str(error))

    # --- within

    def _take(self, frame: bytes) -> None:
        try:
            messages: list[Message] = marshal.loads(frame)  # noqa: S302 - of our own process
            for message in messages:
                if not self.is_open:
                    return
                if message[0] != BEAT:
                    self._heard(message)
        except _MALFORMED as error:
            self._broken(f"a frame that is none: {error}")

    def _flush(self) -> None:
        unsent, transport = self._unsent, self._transport
        if not unsent or transport is None or not self.is_open:
            return
        self._unsent = []
        frame = marshal.dumps(unsent, _FORM)
        transport.write(_LENGTH.pack(len(frame)) + frame)
        if transport.get_write_buffer_size() > UNSENT_B:
            self._broken("the other end does not read")

    def _on_beat(self) -> None:
        now = self._loop.time()
        is_late = now - self._beat_at > BEAT_S  # this process stood still: what came meanwhile is not read yet
        if now - self._heard_at > SILENT_S and not is_late:
            self._broken("the other end is silent")
            return
        self.send(_BEAT)
        self._beat_soon()

    def _beat_soon(self) -> None:
        self._beat_at = self._loop.time() + BEAT_S
        self._beat = self._loop.call_later(BEAT_S, self._on_beat)

    def _broken(self, why: str) -> None:
        if not self.is_open:
            return
        self._end()
        if self._transport is not None:
            self._transport.abort()
        self._lost(why)

    def _end(self) -> None:
        self.is_open = False
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
