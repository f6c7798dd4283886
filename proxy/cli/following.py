"""Follows the events of a running proxy in a thread of its own, through restarts, for as long as somebody looks.

Owns the connection: when it counts as lost, when it is asked again. What the events mean is `report.screen.watched`'s.
"""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from proxy.cli.admin_key import admin_key
from proxy.cli.asking import Answer, SilentError, ask, connection_to, silence, why_not
from proxy.cli.status import unlike
from proxy.report.screen.head import Link
from proxy.report.screen.watched import Watched

SILENT_S = 12.0
"""Without an event: lost. The proxy sends one every 5 s at least."""
RETRY_S = 1.0
"""Between two attempts to reach it,"""
POLL_S = 5.0
"""and between two looks where as many watch as may."""
MOST_B = 16 * 2**20
"""Of one event; a status of a thousand backends is 1 MB."""
_MOST_ERROR_B = 64 * 1024


class RefusedError(Exception):
    """It answered, with something else than events; `full`: with "too many watch"."""

    def __init__(self, why: str, *, full: bool = False) -> None:
        super().__init__(why)
        self.full = full


class Events:
    """One stream of events, from `open` to `close`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = connection_to(url, SILENT_S)
        self._answer: http.client.HTTPResponse | None = None
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Raises SilentError, RefusedError."""
        path = urlsplit(self._url).path.rstrip("/") + "/events"
        with silence(SILENT_S):
            self._connection.connect()
            self._socket = self._connection.sock
            self._connection.request("GET", path, headers={"Accept": "text/event-stream", **admin_key(None)})
            answer = self._connection.getresponse()
            if answer.status != http.client.OK:
                told = Answer(answer.status, answer.read(_MOST_ERROR_B)).told
                full = answer.status == http.client.SERVICE_UNAVAILABLE
                raise RefusedError(why_not(answer.status, told), full=full)
        if not (answer.getheader("content-type") or "").startswith("text/event-stream"):
            raise RefusedError(f"it is no Tidegate that answers at {self._url}")
        self._answer = answer

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and data, until it raises SilentError or RefusedError."""
        name, data = "", b""
        while True:
            line = self._line()
            field, _, value = line.partition(b": ")
            if field == b"event":
                name = value.decode("ascii", "replace")
            elif field == b"data":
                data = value
            elif not line and data:
                yield name, _object(data, self._url)
                name, data = "", b""

    def close(self) -> None:
        """For whoever iterates."""
        self._answer = None
        self._connection.close()

    def interrupt(self) -> None:
        """For another thread: whoever iterates hears no more."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _line(self) -> bytes:
        if self._answer is None:
            raise SilentError("nobody asked")
        with silence(SILENT_S):
            line = self._answer.readline(MOST_B)
        if not line:
            raise SilentError("it ended the stream")
        if not line.endswith(b"\n"):
            raise RefusedError(f"it is no Tidegate that answers at {self._url}")
        return line.rstrip(b"\r\n")


def _object(data: bytes, url: str) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise RefusedError(f"it is no Tidegate that answers at {url}")
    return told


class Follower:
    """Keeps `watched` true; whoever reads it holds `lock`."""

    def __init__(self, url: str, heard: Callable[[], None]) -> None:
        """`heard`: called in the thread after each event and each change of the link."""
        self.url = url
        self.lock = threading.Lock()
        self.watched = Watched()
        self._heard = heard
        self._trouble = ""
        self._word = "live"
        self._at = monotonic()
        """Of the last event."""
        self._events: Events | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def begin(self) -> str:
        """Waits for the first status; why there is none, or nothing: from then on it follows."""
        try:
            events = self._opened()
            self._take(*next(iter(events)))
        except RefusedError as refused:
            if not refused.full:
                return str(refused)
            why = self._poll()
            if why:
                return why
        except SilentError as silent:
            return f"no proxy answers at {self.url}: {silent}"
        self._thread.start()
        return ""

    def end(self) -> None:
        """The thread ends soon; nobody waits for one that looks up a name."""
        self._over.set()
        if self._events is not None:
            self._events.interrupt()
        if self._thread.is_alive():
            self._thread.join(RETRY_S)
        else:
            self._close()

    @property
    def link(self) -> Link:
        """How things are now."""
        silent_s, trouble = monotonic() - self._at, self._trouble
        if not trouble and silent_s > 2 * SILENT_S:  # such as after a sleep of this machine
            trouble = "nothing is heard of it"
        return Link("lost" if trouble else self._word, trouble, silent_s, self.url)

    def _run(self) -> None:
        while not self._over.is_set():
            wait_s = RETRY_S
            try:
                for name, data in self._events or self._opened():
                    self._take(name, data)
            except RefusedError as refused:
                why = self._poll() if refused.full else str(refused)
                wait_s = POLL_S if refused.full else RETRY_S
                self._lose(why)
            except SilentError as silent:
                self._lose(str(silent))
            self._close()
            self._over.wait(wait_s)

    def _opened(self) -> Events:
        self._events = events = Events(self.url)
        if not self._over.is_set():
            events.open()
        return events

    def _close(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None

    def _poll(self) -> str:
        """Where no more may watch: the status alone. Why not; empty: it was told."""
        self._close()
        try:
            answer = ask(self.url, "/status")
        except SilentError as silent:
            return str(silent)
        if not answer.ok:
            return why_not(answer.status, answer.told)
        try:
            self._take("status", answer.told, word="full: every 5 s")
        except RefusedError as refused:
            return str(refused)
        return ""

    def _take(self, name: str, data: dict[str, Any], word: str = "live") -> None:
        if name == "status" and (why := unlike(data, self.url)):
            raise RefusedError(why)
        with self.lock:
            if self.watched.take(name, data):
                self._at, self._trouble, self._word = monotonic(), "", word
        self._heard()

    def _lose(self, why: str) -> None:
        if not why or self._over.is_set():
            return
        self._trouble, self._word = why, "lost"
        self._heard()
