"""How much of what we wrote a client has not taken: our own buffer and the kernel's. Linux; elsewhere our own only."""

import asyncio
import fcntl
import struct
import termios

_INT = struct.Struct("i")


def unsent_b(transport: asyncio.Transport) -> int:
    """Bytes not yet acknowledged by the other side's kernel."""
    own_b = transport.get_write_buffer_size()
    raw = transport.get_extra_info("socket")
    if raw is None or (number := raw.fileno()) < 0:
        return own_b
    try:
        kernel_b: int = _INT.unpack(fcntl.ioctl(number, termios.TIOCOUTQ, bytes(_INT.size)))[0]
    except OSError:  # no such call here
        return own_b
    return own_b + kernel_b
