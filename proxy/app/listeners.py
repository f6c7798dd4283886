"""The two addresses this process listens on: bound first, opened when there is somebody to answer.

    bound ──open──▶ plain   the loop accepts, as fast as it can
                    TLS     accepted here: the first byte of each connection tells whether it speaks TLS
                      ^──use──▶ the other way, or with another certificate: for those that come from then on

Owns the sockets, and what is said to whoever speaks plain HTTP where TLS is spoken.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final

from proxy.config.address import parse_address

BACKLOG: Final = 1024
"""Wait in the kernel to be accepted. They cost no descriptor: the loop accepts one by one, and refuses at the limit."""
_AT_ONCE: Final = 64
"""Accepted in one step of the loop."""
SILENT_S: Final = 10.0
"""Until the first byte, and then for the handshake."""
_SILENT_MOST: Final = 256
"""Connections that have said nothing yet, or shake hands; above it the one that is silent for longest is closed."""
_SHORT_S: Final = 0.2
"""Nobody is accepted for so long where there is no descriptor for one."""
_GOODBYE_S: Final = 2.0
"""For the last words of TLS."""
_HANDSHAKE: Final = b"\x16"
_PLAIN: Final = (
    b'{"error":{"message":"This port speaks TLS: use https:// in the base URL.","type":"invalid_request_error",'
    b'"param":null,"code":"tls_required"}}'
)
_SPEAK_TLS: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_PLAIN), _PLAIN)
)


class StartError(Exception):
    """The proxy cannot start; the message says why and what to do."""


class Listener:
    """One address; `open`, then `close`."""

    def __init__(
        self, address: str, option: str, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None = None, inherited: socket.socket | None = None,
    ) -> None:  # fmt: skip
        """Binds, unless a socket is `inherited`. StartError when the port is taken; it names the `option` that chooses
        another. Without `tls` it speaks plain HTTP."""
        self._socket = inherited or bound(address, option)
        self._loop = loop
        self._protocol = protocol
        self._tls = tls
        self._plain: asyncio.Server | None = None
        self._door: _Door | None = None
        self._is_open = False
        self._opening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self._socket.getsockname()[:2]
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def set_send_buffer(self, size_b: int) -> None:
        """Kernel buffer of every connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_b)

    async def open(self) -> None:
        """Begin to accept."""
        self._socket.listen(BACKLOG)
        self._is_open = True
        if self._tls is None:
            await self._open_plain()
        else:
            self._door = _Door(self._socket, self._loop, self._protocol, self._tls)

    def use(self, tls: ssl.SSLContext | None) -> None:
        """This for connections that come from now on; those that are there go on as they are."""
        if tls is None is self._tls:
            return
        if tls is not None and self._door is not None:
            self._tls = self._door.tls = tls
            return
        self._tls = tls
        if not self._is_open:
            return
        self._stop()
        if tls is not None:
            self._door = _Door(self._socket, self._loop, self._protocol, tls)
        else:
            self._opening = self._loop.create_task(self._open_plain())

    def close(self) -> None:
        """Accept nobody any more."""
        self._is_open = False
        self._stop()
        self._socket.close()

    async def _open_plain(self) -> None:
        """On a descriptor of its own: closing the loop's server must not close the address."""
        server = await self._loop.create_server(self._protocol, sock=self._socket.dup(), backlog=BACKLOG)
        if self._is_open and self._tls is None:
            self._plain = server
        else:
            server.close()

    def _stop(self) -> None:
        if self._plain is not None:
            self._plain.close()
            self._plain = None
        if self._door is not None:
            self._door.close()
            self._door = None


class _Door:
    """Accepts, and looks at the first byte of each connection without taking it."""

    def __init__(
        self,
        listening: socket.socket,
        loop: asyncio.AbstractEventLoop,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext,
    ) -> None:
        self.tls = tls
        self._listening = listening
        self._loop = loop
        self._protocol = protocol
        self._silent: dict[int, tuple[socket.socket, asyncio.TimerHandle]] = {}
        """By descriptor; the oldest first."""
        self._handshakes: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        loop.add_reader(listening.fileno(), self._accept)

    def close(self) -> None:
        """Whoever has said nothing yet is not waited for; handshakes go on."""
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listening.fileno())
        for number in [*self._silent]:
            self._forget(number).close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError:  # no descriptor is left for one: who waits in the kernel waits on
                self._rest()
                return
            accepted.setblocking(False)
            if self._silent and len(self._silent) + len(self._handshakes) >= _SILENT_MOST:
                self._forget(next(iter(self._silent))).close()
            number = accepted.fileno()
            self._silent[number] = accepted, self._loop.call_later(SILENT_S, self._give_up, number)
            self._loop.add_reader(number, self._spoke, number)

    def _rest(self) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._resting = self._loop.call_later(_SHORT_S, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _spoke(self, number: int) -> None:
        accepted = self._forget(number)
        try:
            first = accepted.recv(1, socket.MSG_PEEK)
        except OSError:
            first = b""
        if first == _HANDSHAKE:
            task = self._loop.create_task(self._shake_hands(accepted))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)
            return
        if first:
            with contextlib.suppress(OSError):
                accepted.recv(1 << 16)  # what lies unread would turn the answer into a reset
                accepted.send(_SPEAK_TLS)
                accepted.shutdown(socket.SHUT_WR)
        accepted.close()

    async def _shake_hands(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, accepted, ssl=self.tls, ssl_handshake_timeout=SILENT_S, ssl_shutdown_timeout=_GOODBYE_S
            )
        except (OSError, EOFError):  # no TLS came of it: a scanner, a client that does not trust us, or one that left
            accepted.close()

    def _give_up(self, number: int) -> None:
        self._forget(number).close()

    def _forget(self, number: int) -> socket.socket:
        accepted, timer = self._silent.pop(number)
        timer.cancel()
        self._loop.remove_reader(number)
        return accepted


def bound(address: str, option: str) -> socket.socket:
    """A socket that does not listen yet. StartError as above."""
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
