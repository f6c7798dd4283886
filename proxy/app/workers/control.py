"""What the parent and one worker say to each other: few messages, whole objects, and open sockets with them.

Owns the framing: 4 bytes of length and 1 byte that says how many descriptors come with it, then a pickled tuple. Both
ends are our own processes; the end of one is the end of the connection.
"""

import asyncio
import pickle
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

Said = tuple[Any, ...]

_HEAD: Final = struct.Struct("<IB")
_READ_B: Final = 256 * 1024
_FDS: Final = 4


class Control:
    """One end. `heard`: a message and what came with it; `lost`: the other process is gone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        heard: Callable[[Said, list[socket.socket]], None],
        lost: Callable[[], None],
    ) -> None:
        connection.setblocking(False)
        self._loop = loop
        self._socket = connection
        self._heard = heard
        self._lost = lost
        self._read = bytearray()
        self._came: deque[int] = deque()
        self._unsent: deque[tuple[bytes, list[socket.socket]]] = deque()
        self._is_open = True
        loop.add_reader(connection.fileno(), self._on_readable)

    def send(self, *message: Any, sockets: Sequence[socket.socket] = ()) -> None:
        """Never waits. `sockets`: are closed here once they are sent."""
        if not self._is_open:
            for one in sockets:
                one.close()
            return
        said = pickle.dumps(message)
        self._unsent.append((_HEAD.pack(len(said), len(sockets)) + said, list(sockets)))
        if len(self._unsent) == 1:
            self._on_writable()

    def close(self) -> None:
        """The other end hears of it."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        for number in self._came:
            socket.close(number)
        for _, sockets in self._unsent:
            for one in sockets:
                one.close()
        self._unsent.clear()

    def _on_writable(self) -> None:
        while self._unsent:
            said, sockets = self._unsent[0]
            try:
                if sockets:
                    sent = socket.send_fds(self._socket, [said], [one.fileno() for one in sockets])
                else:
                    sent = self._socket.send(said)
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._on_writable)
                return
            except OSError:
                self._over()
                return
            for one in sockets:
                one.close()
            self._unsent[0] = said[sent:], []
            if sent == len(said):
                self._unsent.popleft()
        self._loop.remove_writer(self._socket.fileno())

    def _on_readable(self) -> None:
        try:
            data, numbers, _, _ = socket.recv_fds(self._socket, _READ_B, _FDS)
        except BlockingIOError:
            return
        except OSError:
            data, numbers = b"", []
        self._came.extend(numbers)
        if not data:
            self._over()
            return
        read = self._read
        read += data
        while self._is_open and len(read) >= _HEAD.size:
            length, count = _HEAD.unpack_from(read)
            whole = _HEAD.size + length
            if len(read) < whole:
                return
            message: Said = pickle.loads(read[_HEAD.size : whole])  # noqa: S301 - of our own process
            del read[:whole]
            self._heard(message, [socket.socket(fileno=self._came.popleft()) for _ in range(count)])

    def _over(self) -> None:
        if self._is_open:
            self.close()
            self._lost()
