"""What systemd is told of a service of `Type=notify`: ready, stopping, and a status line.

Datagrams to the socket that NOTIFY_SOCKET names, a path or an abstract name (`@…`). Without one nothing is told, and
that it cannot be told is one log line: the proxy serves all the same.
"""

import logging
import os
import socket

_log = logging.getLogger("tidegate.notify")


class Notifier:
    """One per process."""

    def __init__(self, address: str) -> None:
        """`address` as in NOTIFY_SOCKET; empty: nobody wants to know."""
        self._address = address

    @classmethod
    def of_environment(cls) -> "Notifier":
        """Whom the environment names; what this process starts is not to speak for it."""
        return cls(os.environ.pop("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """Clients can come."""
        self._tell(f"READY=1\nSTATUS={status}")

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._tell(f"STOPPING=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """What goes on, for people."""
        self._tell(f"STATUS={status}")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(message.encode(), _socket_name(self._address))
        except (OSError, ValueError) as error:
            _log.warning("systemd cannot be told at %s: %s", self._address, error)


def _socket_name(address: str) -> str:
    return f"\0{address[1:]}" if address.startswith("@") else address
