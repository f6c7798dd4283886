"""A terminal that shows a picture and tells of keys, and is as it was when that is over.

Owns its modes, the signals meanwhile, and what bytes a key is.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, TextIO

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
"""Another screen, without a cursor."""
_LEAVE = "\x1b[?25h\x1b[?1049l"
_KEYS = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"k": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"j": "down",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b[H": "home",
    b"\x1b[1~": "home",
    b"\x1b[F": "end",
    b"\x1b[4~": "end",
    b"\t": "tab",
    b" ": "space",
    b"\x03": "q",
    b"\x04": "q",
}
_KEY = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|[\x00-\xff]", re.DOTALL)
_MOST = 1024
"""Bytes that are read at once; whoever pastes a book presses no more keys than these hold."""
_FALLBACK = (80, 24)
_OVER = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def size_of(stream: TextIO) -> tuple[int, int]:
    """Columns and rows; those of the terminal, whatever COLUMNS says."""
    try:
        rows, columns = struct.unpack("hhhh", fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, b"\0" * 8))[:2]
    except OSError:
        return _FALLBACK
    return (columns or _FALLBACK[0], rows or _FALLBACK[1])


def keys_of(data: bytes) -> list[str]:
    """What was pressed; sequences that nobody knows are nothing."""
    found = [(match, _KEYS.get(match)) for match in _KEY.findall(data)]
    return [name or match.decode() for match, name in found if name or (len(match) == 1 and 32 < match[0] < 127)]


class Waker:
    """Ends a wait, from another thread or a signal."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()
        for end in (self.read, self._write):
            os.set_blocking(end, False)

    def __call__(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # full: it wakes anyway
            os.write(self._write, b"\0")

    def clear(self) -> None:
        """What was said is known."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.read, 4096):
                pass

    def close(self) -> None:
        """Whoever calls it afterwards wakes nobody."""
        ends = self.read, self._write
        self.read = self._write = -1
        for end in ends:
            os.close(end)


class Terminal:
    """Between `with` and its end; `over`: a signal ended it."""

    def __init__(self, waker: Waker) -> None:
        self._out = sys.stdout
        self._waker = waker
        self._in: int | None = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
        self._modes: list[Any] | None = None
        """Of the keyboard, as they were."""
        self._handlers: dict[int, Any] = {}
        self._shown: tuple[int, int] | None = None
        """Size of the picture that stands there."""
        self._stops = self._goes_on = False
        """Told by SIGTSTP and SIGCONT: handled where nothing else is written."""
        self.over = False

    def __enter__(self) -> "Terminal":
        for number in (*_OVER, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT):
            self._handlers[number] = signal.signal(number, self._on_signal)
        try:
            if self._in is not None:
                self._modes = termios.tcgetattr(self._in)
            self._enter()
        except BaseException:  # a Ctrl-C too: the terminal is as it was; it goes on its way
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is gone
            self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return size_of(self._out)

    def draw(self, lines: Sequence[str], size: tuple[int, int]) -> None:
        """All lines of a picture of this size, written at once."""
        clear = "\x1b[2J" if size != self._shown else ""
        self._shown = size
        rows = (f"\x1b[{row};1H\x1b[2K{line}" for row, line in enumerate(lines, 1))
        self._out.write(f"{clear}{''.join(rows)}")
        self._out.flush()

    def wait(self, timeout_s: float) -> list[str]:
        """Keys, as soon as there are some; or nothing: time is up, or somebody woke it."""
        watched = [self._waker.read] if self._in is None else [self._waker.read, self._in]
        ready, _, _ = select.select(watched, [], [], max(timeout_s, 0.0))
        if self._waker.read in ready:
            self._waker.clear()
        if self._stops:
            self._stop()
        if self._goes_on:
            self._goes_on = False
            self._enter()
        return list(self._pressed()) if self._in in ready else []

    def _pressed(self) -> Iterator[str]:
        assert self._in is not None
        try:
            data = os.read(self._in, _MOST)
        except OSError:
            data = b""
        if not data:
            self._in = None  # nobody is at the keyboard any more
        yield from keys_of(data)

    def _enter(self) -> None:
        if self._in is not None:
            tty.setcbreak(self._in)
        self._out.write(_ENTER)
        self._out.flush()
        self._shown = None

    def _leave(self) -> None:
        try:
            self._out.write(_LEAVE)
            self._out.flush()
        finally:
            if self._modes is not None:
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._modes)

    def _stop(self) -> None:
        """As Ctrl-Z wants it: the shell gets its terminal back until it says `fg`."""
        self._stops = False
        self._leave()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # it stands here until SIGCONT
        signal.signal(signal.SIGTSTP, handler)
        self._goes_on = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number in _OVER:
            self.over = True
        elif number == signal.SIGTSTP:
            self._stops = True
        elif number == signal.SIGCONT:
            self._goes_on = True
        self._waker()
