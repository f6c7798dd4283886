"""Lines on their way to a descriptor that may block, be full or be gone: a bounded queue and a thread that writes.

Whoever logs never waits for it. What does not fit into the queue and what cannot be written is lost and counted, and
the log itself says how many as soon as it can be written again. Writes go past Python's own buffers: a flush at the end
of the process could block there, or end it with a traceback.
"""

import errno
import os
import select
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from time import monotonic
from typing import Final

from proxy.model.units import MIB
from proxy.obs.log_file import Descriptor
from proxy.obs.trouble import Trouble

MAX_WAITING_B: Final = 4 * MIB
"""Waiting to be written, some 10,000 access-log lines: minutes of a busy proxy whose log's reader stands still."""
_PATIENCE_MS: Final = 1000
"""Between two looks at a non-blocking descriptor that takes nothing."""


def parts(lines: bytes, most_b: int) -> Iterator[bytes]:
    """Whole lines, at most so many bytes at once where one line is not longer; 0: all of them."""
    while most_b and len(lines) > most_b:
        end = lines.rfind(b"\n", 0, most_b) + 1 or lines.find(b"\n") + 1 or len(lines)
        yield lines[:end]
        lines = lines[end:]
        if not lines:
            return
    yield lines


class LineWriter:
    """One per log. One thread at a time offers; a thread of its own writes."""

    def __init__(
        self,
        to: Descriptor,
        lost_line: Callable[[int], bytes] | None,
        tell: Callable[[OSError | None], None] | None = None,
        max_waiting_b: int = MAX_WAITING_B,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`lost_line` makes the line that says how many were lost, None: the log has no such lines; `tell` hears of
        the first write that failed, and with None of the first that did not."""
        self._to = to
        self.lost_line = lost_line
        self._trouble = None if tell is None else Trouble(tell, clock)
        self._max_waiting_b = max_waiting_b
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._offered_b = self._done_b = 0  # each has one writer, so neither needs a lock
        self._refused = self._failed = 0
        self._untold_from = 0
        self._torn = False
        """The last write broke off inside a line."""
        self._thread = threading.Thread(target=self._run, name=f"log-{to.name}", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines lost since the start."""
        return self._refused + self._failed

    def offer(self, lines: bytes) -> None:
        """Have whole lines written; never waits."""
        if self._offered_b - self._done_b + len(lines) > self._max_waiting_b:
            self._refused += lines.count(b"\n")
            if self._trouble is not None:
                self._trouble.begins(OSError(errno.EAGAIN, "nobody takes its lines"))
            return
        self._offered_b += len(lines)
        self._queue.put(lines)

    def reopen(self) -> None:
        """What comes from now on goes into a file that is opened anew; never waits."""
        self._to.is_stale = True
        self._queue.put(b"")

    def begin(self) -> None:
        """Open it before there is anything to write, so that what is wrong with it is said at the start."""
        self._queue.put(b"")

    def close(self, within_s: float) -> None:
        """Until all that was offered is written, or the time is up; nothing may be offered afterwards."""
        self._queue.put(None)
        self._thread.join(within_s)

    # --- the thread

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            for part in parts(lines, self._to.room_b):
                if self._written(part):
                    self._say_lost()
            self._done_b += len(lines)
        self._to.close()

    def _say_lost(self) -> None:
        untold = self.lost - self._untold_from
        if untold and self.lost_line is not None and self._written(self.lost_line(untold), counts=False):
            self._untold_from += untold

    def _written(self, lines: bytes, *, counts: bool = True) -> bool:
        whole, head_b, done_b = lines, 0, 0
        try:
            head = (b"\n" if self._torn else b"") + self._to.ready(len(lines))
            whole, head_b = head + lines, len(head)
            rest = memoryview(whole)
            while done_b < len(whole):
                done_b += self._write_some(rest[done_b:])
        except OSError as error:
            if counts:
                self._failed += lines[max(0, done_b - head_b) :].count(b"\n")
            is_whole = self._to.failed(whole[:done_b])
            self._torn = not is_whole if done_b else self._torn
            if self._trouble is not None:
                self._trouble.begins(error)
            return False
        self._torn = False
        if self._trouble is not None:
            self._trouble.ends()
        return True

    def _write_some(self, data: memoryview) -> int:
        while True:
            try:
                return os.write(self._to.fd, data)
            except BlockingIOError:  # a pipe, or whoever shares the descriptor made it so
                if self._to.is_stale:
                    raise
                poll = select.poll()
                poll.register(self._to.fd, select.POLLOUT)
                poll.poll(_PATIENCE_MS)
