"""Where the lines of a log go: a descriptor that is open already, or a file by its name.

Owns the file: opened when it is needed, in whatever state it is found, rotated by size, opened anew when somebody has
moved it away (logrotate), and whole lines only. All of it runs in the thread that writes, which may wait for it.
"""

import contextlib
import errno
import logging
import os
import stat
from pathlib import Path
from typing import Final

_NEWLINE: Final = 10
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
"""A pipe that nobody reads is an error, and nothing to wait for."""
_MODE: Final = 0o640
_log = logging.getLogger("tidegate.log")


class ForeignFileError(OSError):
    """It holds something else than this log, and is left alone."""


class Descriptor:
    """Open already, and nobody's to close: a standard stream."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_stale = False
        """It is to be opened anew."""
        self.room_b = 0
        """More than this is not to be written at once; 0: any amount is."""

    @property
    def name(self) -> str:
        """For people."""
        return str(self.fd)

    def ready(self, lines_b: int) -> bytes:
        """To be called before so many bytes are written to `fd`; what must stand in front of them. OSError."""
        return b""

    def failed(self, written: bytes) -> bool:
        """A write broke off behind `written`; whether no piece of a line is left there."""
        return not written or written[-1] == _NEWLINE

    def close(self) -> None:
        """Nothing more is written."""


class LogFile(Descriptor):
    """Opened by its name. `header`: the first line of every file; `most_b`: a larger one is put aside, 0: never;
    `kept`: so many of those put aside are kept, the newest as NAME.1."""

    def __init__(self, path: Path, most_b: int, kept: int, header: bytes = b"") -> None:
        super().__init__(-1)
        self._path = path
        self._header = header
        self._most_b = most_b
        self.room_b = max(1, most_b - len(header)) if most_b else 0
        self._kept = kept
        self._rotate_at_b = most_b
        self._size_b = 0
        """Before the last write."""
        self._is_regular = True
        self._tore_pipe = False
        """A piece of a line is in it."""

    @property
    def name(self) -> str:
        return self._path.name

    def ready(self, lines_b: int) -> bytes:
        if self.is_stale:
            self.close()
        if self.fd < 0:
            head = self._open()
            if not self._is_regular:
                return head
        self._size_b = self._size() if self._is_regular else 0
        if self._most_b and self._size_b and self._size_b + lines_b > self._rotate_at_b:
            self._rotate()
        return self._header if self._is_regular and not self._size_b else b""

    def failed(self, written: bytes) -> bool:
        """What was written of a line is taken back, where that can be done; the next line opens it anew, and looks."""
        is_whole = super().failed(written)
        if not is_whole and self._is_regular and self.fd >= 0:
            end_b = self._size_b + written.rfind(b"\n") + 1
            with contextlib.suppress(OSError):
                if self._size() == self._size_b + len(written):
                    os.ftruncate(self.fd, end_b)
        self._tore_pipe = not is_whole and not self._is_regular
        self.close()
        return True

    def close(self) -> None:
        self.is_stale = False
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _open(self) -> bytes:
        try:
            self.fd = os.open(self._path, _FLAGS, _MODE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise OSError(errno.ENXIO, "nobody reads the pipe") from None
            raise
        self._is_regular = stat.S_ISREG(os.fstat(self.fd).st_mode)
        self._rotate_at_b = self._most_b
        tore, self._tore_pipe = self._tore_pipe, False
        if not self._is_regular:
            return b"\n" + self._header if tore else self._header
        try:
            self._check()
        except OSError:
            self.close()
            raise
        return b""

    def _check(self) -> None:
        """A file that is there goes on, with a line of its own."""
        size_b = self._size()
        if not size_b:
            return
        with self._path.open("rb") as file:
            if file.read(len(self._header)) != self._header:
                raise ForeignFileError(errno.EEXIST, "the file there has no such columns, and is left alone")
            file.seek(size_b - 1)
            if file.read(1) != b"\n":
                os.write(self.fd, b"\n")

    def _size(self) -> int:
        return os.fstat(self.fd).st_size

    def _rotate(self) -> None:
        """Aside, and a new one. Where that cannot be, lines matter more than the size of a file."""
        try:
            if self._is_still_there():
                self._put_aside()
        except OSError as error:
            self._rotate_at_b = self._size_b + self._most_b
            _log.error("%s cannot be put aside and grows: %s", self.name, (error.strerror or str(error)).lower())
            return
        self.close()
        self._open()
        self._size_b = self._size() if self._is_regular else 0

    def _is_still_there(self) -> bool:
        """Not moved away by somebody who has not said so yet."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self.fd), self._path.stat())
        return False

    def _put_aside(self) -> None:
        free = 1
        while free < self._kept and self._aside(free).exists():
            free += 1
        for number in range(free, 1, -1):
            self._aside(number - 1).replace(self._aside(number))
        self._path.replace(self._aside(1))

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
