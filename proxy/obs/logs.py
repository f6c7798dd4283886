"""The logs of a process: access lines on standard output or in files, what the proxy itself does on standard error.

Owns where they go and the operational lines, text or JSON; the access lines are `access_log`'s and `csv_log`'s. In JSON
every line is an object, whoever has something to say: warnings of Python and crashes of threads come here too.
"""

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import orjson

from proxy.obs.access_log import lost_line, timestamp
from proxy.obs.csv_log import HEADER
from proxy.obs.log_file import Descriptor, LogFile
from proxy.obs.writer import LineWriter

_CHATTY = ("urllib3", "watchfiles")
"""Libraries that tell of each thing they do. A line per change of a watched folder would, in a log in that folder, be
the next change."""
_LAST_LINES_S = 1.0
"""At the end each log may take so long for what still waits."""
_MISFITS = (TypeError, ValueError, LookupError, AttributeError)
"""Of arguments and their text: a bug, but no reason to stop."""
_log = logging.getLogger("tidegate.log")


class Files(NamedTuple):
    """Logs that are files, by name; empty: none."""

    access: str = ""
    """Instead of standard output."""
    csv: str = ""
    rotate_b: int = 0
    """A larger one is put aside; 0: never."""
    keep: int = 1
    """Of those put aside."""


class Logs:
    """Made once per process; from then on `logging` goes through it."""

    def __init__(self, level: str, form: str, files: Files | None = None) -> None:
        files = files or Files()
        formatter = _JsonFormatter() if form == "json" else _TextFormatter()
        self._errors = LineWriter(Descriptor(2), formatter.lost_line)
        self._files: list[LineWriter] = []
        self.access = self._opened(files, files.access, lost_line(form))
        self.csv = self._opened(files, files.csv, None, HEADER) if files.csv else None
        self._handler = _Handler(self._errors)
        self._handler.setFormatter(formatter)
        logging.basicConfig(level=level.upper(), handlers=[self._handler], force=True)
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        _catch_strays()
        for writer in self._files:
            writer.begin()

    def configure(self, level: str, form: str) -> None:
        """Other lines from now on."""
        formatter = _JsonFormatter() if form == "json" else _TextFormatter()
        self._handler.setFormatter(formatter)
        self._errors.lost_line = formatter.lost_line
        self.access.lost_line = lost_line(form)
        logging.getLogger().setLevel(level.upper())

    def say(self, message: str) -> None:
        """A line at `info` whatever the level: where the proxy listens."""
        self._handler.handle(_record(logging.INFO, message))

    def lost(self) -> dict[str, int]:
        """Lines lost by log."""
        lost = {"access": self.access.lost, "operational": self._errors.lost}
        return lost if self.csv is None else {**lost, "csv": self.csv.lost}

    def reopen(self) -> int:
        """Have every file opened anew, since somebody has moved it away; how many there are. Never waits."""
        for writer in self._files:
            writer.reopen()
        return len(self._files)

    def close(self) -> None:
        """The last lines are written, as far as anybody takes them."""
        for writer in (self.access, self.csv, self._errors):
            if writer is not None:
                writer.close(_LAST_LINES_S)

    def _opened(self, files: Files, name: str, lost: Callable[[int], bytes] | None, header: bytes = b"") -> LineWriter:
        what = "access" if lost is not None else "CSV"
        if not name:
            return LineWriter(Descriptor(1), lost, _Teller(what))
        tell = _Teller(what)
        writer = tell.writer = LineWriter(LogFile(Path(name), files.rotate_b, files.keep, header), lost, tell)
        self._files.append(writer)
        return writer


class _Handler(logging.Handler):
    """Formats in the thread that logs, under the handler's lock, and waits for nobody."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except _MISFITS as error:
            text = f"a log line of {record.name} cannot be formatted: {type(error).__name__}"
            line = self.format(_record(logging.ERROR, text))
        self._writer.offer(line.encode("utf-8", "backslashreplace") + b"\n")


class _TextFormatter(logging.Formatter):
    """Time as in the access log, level, logger, message; a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{timestamp(record.created)} {record.levelname} {record.name} {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text

    def lost_line(self, count: int) -> bytes:
        return self.format(_lost(count)).encode() + b"\n"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return self._line(record).decode()

    def lost_line(self, count: int) -> bytes:
        return self._line(_lost(count), dropped_log_lines=count) + b"\n"

    def _line(self, record: logging.LogRecord, **more: int) -> bytes:
        fields: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _printable(record.getMessage()),
            **more,
        }
        if record.exc_info:
            fields["traceback"] = _printable(self.formatException(record.exc_info))
        return orjson.dumps(fields)


def _printable(text: str) -> str:
    """Without lone surrogates, which are no JSON."""
    return text.encode("utf-8", "backslashreplace").decode()


def _record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("tidegate", level, "", 0, message, None, None)


def _lost(count: int) -> logging.LogRecord:
    return _record(logging.WARNING, f"dropped_log_lines={count}")


class _Teller:
    """Says in the operational log what is wrong with another one."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.writer: LineWriter | None = None
        """To say how many lines it has lost, where it does not say so itself."""

    def __call__(self, error: OSError | None) -> None:
        if error is not None:
            reason = (error.strerror or str(error)).lower()
            _log.error("the %s log cannot be written: %s; its lines are dropped and counted", self._what, reason)
        elif self.writer is None:
            _log.warning("the %s log can be written again", self._what)
        else:
            lost = self.writer.lost
            _log.warning("the %s log can be written again; lines lost since the start: %d", self._what, lost)


# --- what would write to standard error past `logging`, as text, and wait for its reader


def _catch_strays() -> None:
    logging.captureWarnings(True)
    sys.excepthook = _on_crash
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread_crash


def _on_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("the process ends; this is a bug, please report it", exc_info=(kind, error, trace))


def _on_unraisable(told: "sys.UnraisableHookArgs") -> None:
    error = told.exc_value
    _log.error("an error that nobody could handle: %s", told.err_msg or "in a finaliser", exc_info=error)


def _on_thread_crash(told: threading.ExceptHookArgs) -> None:
    _log.error("a thread crashed; this is a bug, please report it", exc_info=told.exc_value)
