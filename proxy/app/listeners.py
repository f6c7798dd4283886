"""A listening socket and who is let in: accepted a few at a time.

The loop's own servers accept whatever waits at once, and a burst takes every descriptor that this process may open
before one of it can be refused. Here a burst waits in the kernel's backlog meanwhile.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from proxy.config.address import parse_address

BACKLOG: Final = 1024
PER_TURN: Final = 16
"""Connections accepted in one turn of the loop: those are refused, where they are too many, before the next."""
_PAUSE_S: Final = 0.05
"""Without a free descriptor: until somebody closes one."""
_log = logging.getLogger("tidegate")


class StartError(Exception):
    """The proxy cannot start; the message says why and what to do."""


class Listener:
    """One address; `open`, then `close`."""

    def __init__(
        self, address: str, option: str, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """Binds. StartError when the port is taken."""
        self._socket = bound(address, option)
        self._loop = loop
        self._protocol = protocol
        self._opening = set[asyncio.Task[object]]()
        self._is_short = False
        self.url = _url(self._socket)

    def set_send_buffer(self, size_b: int) -> None:
        """Kernel buffer of every connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_b)

    def open(self) -> None:
        """Begin to accept."""
        self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Accept nobody any more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _accept(self) -> None:
        for _ in range(PER_TURN):
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._is_short = False
            accepted.setblocking(False)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, accepted))
            self._opening.add(task)
            task.add_done_callback(self._opened)

    def _opened(self, task: "asyncio.Task[object]") -> None:
        self._opening.discard(task)
        if not task.cancelled():
            task.exception()  # it left at once; its socket is closed

    def _pause(self, error: OSError) -> None:
        """No descriptor for it: without a pause the loop would turn and turn."""
        if not self._is_short:
            self._is_short = True
            _log.warning("cannot accept on %s: %s", self.url, (error.strerror or str(error)).lower())
        self._loop.remove_reader(self._socket)
        self._loop.call_later(_PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._accept)


def bound(address: str, option: str) -> socket.socket:
    """A socket on `host:port`. StartError when that cannot be; it names the `option` that chooses another."""
    parsed = parse_address(address)
    host, port = parsed.host, parsed.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"Cannot listen on {address}: {reason}. Choose another with --{option}.") from error
    made.setblocking(False)
    return made


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
