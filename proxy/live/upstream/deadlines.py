"""How long an engine may take for an answer: for its first byte, in silence, in vain, and while its client is slow.

    waiting     first byte      as long as configured, or as whoever asks will wait
    thinking    silence         as long: a model may think after its head, too
    answering   silence         `idle`, once the answer proper has begun
    in vain     since progress  keep-alive comments and half events last no longer than a first byte may take
    fixed       -               reading is paused (no deadline), or only the end is waited for

Owns the one `deadline` of a connection while it carries a request; the sweep of the watch finds it in the past.
"""

import asyncio
from typing import Final, Protocol

from proxy.live.watch import NEVER, Watch

FIRST_BYTE_S: Final = 600.0
"""As long as the official clients wait for an answer when they say nothing else."""


class EngineSide(Protocol):
    """What whoever reads an answer may say to the engine's side of it, as long as it is not complete; the connection is
    one."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Go on reading."""

    def abort(self) -> None:
        """Close at once: whatever follows is not wanted."""

    def linger(self, seconds: float) -> None:
        """Wait so long for the end of the answer and for nothing else."""

    def answer_begun(self, now: float) -> None:
        """The model thinks no longer: from now on silence means something."""

    def in_vain(self, now: float, *, anew: bool) -> None:
        """What just came brought the answer no further; `anew`: something before it did, since this was last said."""

    def hand_over(self, to: asyncio.Protocol) -> asyncio.Transport:
        """What comes from now on is `to`'s: protocols were switched. That it is lost is to be said to
        `connection_lost`, too."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""


class Deadlines(asyncio.Protocol):
    """Of one connection. Times are monotonic seconds."""

    __slots__ = (
        "_clock",
        "_first_byte_s",
        "_fixed",
        "_idle_s",
        "_patience_s",
        "_progressed",
        "_silence_s",
        "_vain_deadline",
        "deadline",
        "transport",
        "watch",
    )

    def __init__(self, watch: Watch, first_byte_s: float | None, idle_s: float) -> None:
        self.watch = watch
        self._clock = watch.clock
        self._first_byte_s = first_byte_s
        self._idle_s = idle_s
        self.transport: asyncio.Transport | None = None
        self.deadline = NEVER
        self._progressed = 0.0
        """When something came that was not in vain, by the watch's clock."""
        self._vain_deadline = NEVER
        self._patience_s = self._silence_s = first_byte_s or FIRST_BYTE_S
        """Seconds that a first byte may take, and that silence may last now: as long, until the answer has begun."""
        self._fixed = False
        """No bytes move the deadline: reading is paused, or only the end is waited for."""

    def answer_begun(self, now: float) -> None:
        """The model thinks no longer: from now on silence means something."""
        self._silence_s = self._idle_s
        if not self._fixed:
            self.deadline = min(self.deadline, now + self._silence_s)

    def in_vain(self, now: float, *, anew: bool) -> None:
        """What just came brought the answer no further; `anew`: something before it did, since this was last said."""
        ran = self.watch.ran_at(now)
        if anew:
            self._progressed = ran
        if not self._fixed:
            self._vain_deadline = now + self._progressed + self._patience_s - ran
            self.deadline = min(self.deadline, self._vain_deadline)

    def pause(self) -> None:
        """Stop reading: the client is slower than the engine. The engine is not to blame, so no deadline runs."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._fixed = True
            self.deadline = NEVER

    def resume(self) -> None:
        """Go on reading."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            self._fixed = False
            now = self._clock()
            self._progressed = self.watch.ran_at(now)
            self.deadline = now + self._silence_s

    def linger(self, seconds: float) -> None:
        """Nothing more is wanted but the end of the answer, so that the connection can be used again."""
        self._fixed = True
        self.deadline = self._clock() + seconds

    @property
    def is_vain(self) -> bool:
        """Whether the deadline is that of what comes and brings the answer no further."""
        return self.deadline == self._vain_deadline

    # --- what the connection says

    def asked(self, patience_s: float) -> None:
        """A request goes out; whoever asks waits so long for the first byte, unless it is configured otherwise."""
        now = self._clock()
        self._progressed = self.watch.ran_at(now)
        self._patience_s = self._silence_s = self._first_byte_s or patience_s
        self.deadline = now + self._patience_s

    def may_be_as_silent_as_first(self) -> bool:
        """Whether silence means something now that did not, or would not again, while the model thinks."""
        return not self._fixed and self._silence_s < self._patience_s and not self.is_vain

    def thinks_again(self) -> None:
        """Silence may last as long as before the answer had begun."""
        self.deadline += self._patience_s - self._silence_s
        self._silence_s = self._patience_s
