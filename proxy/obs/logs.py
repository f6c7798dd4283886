"""Both logs of a process: access lines on standard output, what the proxy itself does on standard error.

Owns where they go and the operational lines, text or JSON; the access lines are `access_log`'s. In JSON every line is
an object, whoever has something to say: warnings of Python and crashes of threads come here too.
"""

import logging
import sys
import threading
from types import TracebackType

import orjson

from proxy.obs.access_log import lost_line, timestamp
from proxy.obs.writer import LineWriter

_LAST_LINES_S = 1.0
"""At the end each log may take so long for what still waits."""
_MISFITS = (TypeError, ValueError, LookupError, AttributeError)
"""Of arguments and their text: a bug, but no reason to stop."""
_log = logging.getLogger("tidegate.log")


class Logs:
    """Made once per process; from then on `logging` goes through it."""

    def __init__(self, level: str, form: str) -> None:
        formatter = _JsonFormatter() if form == "json" else _TextFormatter()
        self._errors = LineWriter(2, formatter.lost_line)
        self.access = LineWriter(1, lost_line(form), _tell_trouble)
        self._handler = _Handler(self._errors)
        self._handler.setFormatter(formatter)
        logging.basicConfig(level=level.upper(), handlers=[self._handler], force=True)
        _catch_strays()

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
        return {"access": self.access.lost, "operational": self._errors.lost}

    def close(self) -> None:
        """The last lines are written, as far as anybody takes them."""
        self.access.close(_LAST_LINES_S)
        self._errors.close(_LAST_LINES_S)


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


def _tell_trouble(error: OSError | None) -> None:
    if error is None:
        _log.warning("the access log can be written again")
    else:
        reason = (error.strerror or str(error)).lower()
        _log.error("the access log cannot be written: %s; its lines are dropped and counted", reason)


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
