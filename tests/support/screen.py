"""A terminal for a program under test: a real pseudo-terminal, and what somebody would see on it.

Knows the few sequences that `tidegate top` writes; any other one fails the test that reads it.
"""

import codecs
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SEQUENCE = re.compile(r"\x1b\[(?P<args>[0-9;?]*)(?P<what>[A-Za-z])")
_CONTROLLING = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Screen:
    """What is written, line by line."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}
        self.row = 1
        self.is_other_screen = False
        """The alternate one."""
        self.has_cursor = True
        self.styles: set[str] = set()
        self.plain = ""
        """What was written to the usual screen."""

    def write(self, text: str) -> None:
        """Whole sequences only."""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = _SEQUENCE.match(text, at)
                assert found, repr(text[at : at + 20])
                self._obey(found["args"], found["what"])
                at = found.end()
                continue
            end = text.find("\x1b", at)
            end = len(text) if end < 0 else end
            self._put(text[at:end])
            at = end

    def _put(self, text: str) -> None:
        if self.is_other_screen:
            self.rows[self.row] = self.rows.get(self.row, "") + text
        else:
            self.plain += text

    def _obey(self, args: str, what: str) -> None:
        if what == "m":
            self.styles.add(args)
        elif what == "H":
            self.row = int(args.split(";")[0] or 1)
        elif (what, args) == ("K", "2"):
            self.rows[self.row] = ""
        elif (what, args) == ("J", "2"):
            self.rows.clear()
        elif args == "?1049":
            self.is_other_screen = what == "h"
        elif args == "?25":
            self.has_cursor = what == "h"
        else:
            raise AssertionError(f"unknown sequence {args}{what}")

    @property
    def text(self) -> str:
        """All rows."""
        return "\n".join(self.rows.get(row, "") for row in range(1, max(self.rows, default=0) + 1))


class OnTerminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, *arguments: str, columns: int, rows: int, env: dict[str, str]) -> None:
        self.screen = Screen()
        self.end, inner = os.openpty()
        self.resize(columns, rows, tell=False)
        self.modes = termios.tcgetattr(inner)
        self._inner = inner
        command = [sys.executable, "-c", _CONTROLLING, sys.executable, "-m", "proxy.cli.main", *arguments]
        own = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, start_new_session=True, env={**own, **env}
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: bytes) -> None:
        """As at the keyboard."""
        os.write(self.end, keys)

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        """As a window manager does; the kernel tells the foreground of the terminal."""
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def ended(self, within_s: float = 20.0) -> int:
        """Its exit code."""
        return self.process.wait(within_s)

    @property
    def modes_now(self) -> list[object]:
        """Of the terminal."""
        return termios.tcgetattr(self._inner)

    def close(self) -> None:
        """Ends it, if it did not end by itself."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self._inner)
        self._reader.join(10)
        os.close(self.end)

    def _read(self) -> None:
        pending, decoder = "", codecs.getincrementaldecoder("utf-8")()
        with suppress(OSError):  # EIO: nobody has it open any more
            while data := os.read(self.end, 65536):
                whole, pending = _split(pending + decoder.decode(data))
                self.screen.write(whole)


def _split(text: str) -> tuple[str, str]:
    """Without a sequence of which the end has not come."""
    at = text.rfind("\x1b")
    return (text, "") if at < 0 or _SEQUENCE.match(text, at) else (text[:at], text[at:])


@contextmanager
def on_terminal(
    *arguments: str, columns: int = 100, rows: int = 30, env: dict[str, str] | None = None
) -> Iterator[OnTerminal]:
    """`tidegate ARGUMENTS` for the length of a block."""
    program = OnTerminal(*arguments, columns=columns, rows=rows, env={"TERM": "xterm-256color", **(env or {})})
    try:
        yield program
    finally:
        program.close()
