"""What we wrote and a client has not taken: how much that is, in our buffer and the kernel's, and letting go of it."""

import asyncio
import fcntl
import socket
import struct
import termios
from typing import Final

_INT: Final = struct.Struct("i")
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""`struct linger`: on, no second."""


def unsent_b(transport: asyncio.Transport) -> int:
    """Bytes not yet acknowledged by the other side's kernel. Linux; elsewhere those of our own buffer only."""
    own_b = transport.get_write_buffer_size()
    raw = transport.get_extra_info("socket")
    if raw is None or (number := raw.fileno()) < 0:
        return own_b
    try:
        kernel_b: int = _INT.unpack(fcntl.ioctl(number, termios.TIOCOUTQ, bytes(_INT.size)))[0]
    except OSError:  # no such call here
        return own_b
    return own_b + kernel_b


def reset(transport: asyncio.Transport) -> None:
    """Close with RST. A FIN would wait behind what is unsent, for minutes where nobody reads, and looks like an end."""
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
