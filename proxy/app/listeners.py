"""The two addresses this process listens on: bound first, opened when there is somebody to answer."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from proxy.config.address import parse_address

_BACKLOG: Final = 1024
"""Wait in the kernel to be accepted. They cost no descriptor: the loop accepts one by one, and refuses at the limit."""


class StartError(Exception):
    """The proxy cannot start; the message says why and what to do."""


class Listener:
    """One address; `open`, then `close`."""

    def __init__(
        self, address: str, option: str, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """Binds. StartError when the port is taken; it names the `option` that chooses another."""
        self._socket = _bound(address, option)
        self._loop = loop
        self._protocol = protocol
        self._server: asyncio.Server | None = None
        self.url = _url(self._socket)

    def set_send_buffer(self, size_b: int) -> None:
        """Kernel buffer of every connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_b)

    async def open(self) -> None:
        """Begin to accept."""
        self._server = await self._loop.create_server(self._protocol, sock=self._socket, backlog=_BACKLOG)

    def close(self) -> None:
        """Accept nobody any more."""
        if self._server is not None:
            self._server.close()
        else:
            self._socket.close()


def _bound(address: str, option: str) -> socket.socket:
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
