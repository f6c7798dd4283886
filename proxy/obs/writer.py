"""Lines on their way to a descriptor that may block, be full or be gone: a bounded queue and a thread that writes.

Whoever logs never waits for it. What does not fit into the queue and what cannot be written is lost and counted, and
the log itself says how many as soon as it can be written again. Writes go past Python's own buffers: a flush at the end
of the process could block there, or end it with a traceback.
"""

import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from proxy.model.units import MIB

MAX_WAITING_B: Final = 4 * MIB
"""Waiting to be written, some 10,000 access-log lines: minutes of a busy proxy whose log's reader stands still."""
_PATIENCE_MS: Final = 1000
"""Between two looks at a non-blocking descriptor that takes nothing."""
_NEWLINE: Final = 10


class LineWriter:
    """One per descriptor. One thread at a time offers; a thread of its own writes."""

    def __init__(
        self,
        fd: int,
        lost_line: Callable[[int], bytes],
        tell: Callable[[OSError | None], None] | None = None,
        max_waiting_b: int = MAX_WAITING_B,
    ) -> None:
        """`lost_line` makes the line that says how many were lost; `tell` hears of the first write that failed, and
        with None of the first that did not."""
        self._fd = fd
        self.lost_line = lost_line
        self._tell = tell
        self._max_waiting_b = max_waiting_b
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._offered_b = self._done_b = 0  # each has one writer, so neither needs a lock
        self._refused = self._failed = 0
        self._told = 0
        self._torn = False
        """The last write broke off inside a line."""
        self._in_trouble = False
        self._thread = threading.Thread(target=self._run, name=f"log-{fd}", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines lost since the start."""
        return self._refused + self._failed

    def offer(self, lines: bytes) -> None:
        """Have whole lines written; never waits."""
        if self._offered_b - self._done_b + len(lines) > self._max_waiting_b:
            self._refused += lines.count(b"\n")
            return
        self._offered_b += len(lines)
        self._queue.put(lines)

    def close(self, within_s: float) -> None:
        """Until all that was offered is written, or the time is up; nothing may be offered afterwards."""
        self._queue.put(None)
        self._thread.join(within_s)

    # --- the thread

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            if self._written(lines):
                self._say_lost()
            self._done_b += len(lines)

    def _say_lost(self) -> None:
        untold = self.lost - self._told
        if untold and self._written(self.lost_line(untold), counts=False):
            self._told += untold

    def _written(self, lines: bytes, *, counts: bool = True) -> bool:
        rest = memoryview(b"\n" + lines if self._torn else lines)
        whole = rest
        try:
            while rest:
                rest = rest[self._write_some(rest) :]
        except OSError as error:
            self._failed += lines[-len(rest) :].count(b"\n") if counts else 0
            if len(rest) < len(whole):
                self._torn = whole[-len(rest) - 1] != _NEWLINE
            self._set_trouble(error)
            return False
        self._torn = False
        self._set_trouble(None)
        return True

    def _write_some(self, data: memoryview) -> int:
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:  # whoever shares the descriptor made it so
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll(_PATIENCE_MS)

    def _set_trouble(self, error: OSError | None) -> None:
        if (error is not None) is not self._in_trouble:
            self._in_trouble = error is not None
            if self._tell is not None:
                self._tell(error)
