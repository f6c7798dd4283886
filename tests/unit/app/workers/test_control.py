"""Objects and open sockets between two processes, whatever the pieces in which they arrive."""

import asyncio
import os
import socket
from collections.abc import Callable

from proxy.app.workers.control import Control, Said


class End:
    def __init__(self, connection: socket.socket) -> None:
        self.heard: list[tuple[Said, list[socket.socket]]] = []
        self.lost = 0
        loop = asyncio.get_running_loop()
        self.control = Control(loop, connection, lambda said, came: self.heard.append((said, came)), self._on_lost)

    def _on_lost(self) -> None:
        self.lost += 1


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.001)


async def test_messages_and_their_sockets() -> None:
    ours, theirs = socket.socketpair()
    one, other = End(ours), End(theirs)
    pairs = [socket.socketpair() for _ in range(3)]
    for number, (near, _) in enumerate(pairs):
        one.control.send("link", number, sockets=[near])
        one.control.send("between", b"x" * 300_000)
    await until(lambda: len(other.heard) == 6)
    for number, (_, far) in enumerate(pairs):
        said, (came,) = other.heard[2 * number]
        assert said == ("link", number)
        far.send(b"%d" % number)
        came.setblocking(True)
        assert came.recv(9) == b"%d" % number
        came.close()
        far.close()
    assert {said[0] for said, _ in other.heard} == {"link", "between"}
    one.control.close()
    await until(lambda: other.lost == 1)


async def test_what_cannot_be_delivered_is_closed() -> None:
    ours, theirs = socket.socketpair()
    one = End(ours)
    theirs.close()
    await until(lambda: one.lost == 1)
    near, far = socket.socketpair()
    one.control.send("link", sockets=[near])
    assert near.fileno() == -1
    far.close()


async def test_a_reader_that_stands_still_keeps_nobody_waiting() -> None:
    ours, theirs = socket.socketpair()
    one = End(ours)
    for number in range(50):
        one.control.send("much", number, os.urandom(100_000))
    other = End(theirs)
    await until(lambda: len(other.heard) == 50)
    assert [said[1] for said, _ in other.heard] == [*range(50)]
    one.control.close()
    other.control.close()
