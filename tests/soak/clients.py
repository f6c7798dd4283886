"""Clients by the ten thousand: bounded in number and in time, they end by themselves.

Owns sockets and the dice. What a proxy must have left afterwards is the business of the tests.
"""

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tests.support.raw_client import request_bytes

PATH = "/v1/chat/completions"
ANSWER_S = 60.0
"""A shared machine may take its time; a request that is never answered may not."""
Address = tuple[str, int]


def chat(model: str, way: str, number: int, *, pad: int = 0, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A chat request that no other one equals; `way`: what the engine does with it."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"{number} {'x' * pad}"}],
        "stream": way in ("stream", "drip", "flood"),
    }
    return request_bytes("POST", PATH, body, [("x-fake", way), *headers])


class Client(asyncio.Protocol):
    """One connection. Reads whole answers one after the other, or nothing."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[int] | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(0)

    def data_received(self, data: bytes) -> None:
        if self.answered is None:
            return
        self._buffer += data
        if _is_whole(self._buffer):
            status = int(self._buffer[9:12])
            self._buffer = b""
            self.answered.set_result(status)
            self.answered = None

    async def ask(self, request: bytes) -> int:
        """The status; 0 when the connection was lost."""
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await asyncio.wait_for(self.answered, ANSWER_S)

    def leave(self, way: str) -> None:
        """`close`, `reset` or `half_close`."""
        if self.transport.is_closing():
            return
        if way == "half_close":
            self.transport.write_eof()
        elif way == "close":
            self.transport.close()
        else:
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()


def _is_whole(data: bytes) -> bool:
    if data.endswith(b"\r\n0\r\n\r\n"):
        return True
    head, end, body = data.partition(b"\r\n\r\n")
    at = head.lower().find(b"content-length:")
    return bool(end) and at >= 0 and len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])


async def connect(address: Address, receive_b: int | None = None) -> Client:
    """A client; `receive_b`: the kernel takes no more for it."""
    ours = socket.socket()
    ours.setblocking(False)
    if receive_b is not None:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_b)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(ours, address)
    _, client = await loop.create_connection(Client, sock=ours)
    return client


async def many(count: int, at_once: int, work: Callable[[int], Awaitable[None]]) -> None:
    """`work` for each of `count` numbers, so many at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    await asyncio.gather(*(worker() for _ in range(min(at_once, count))))


class Crowd:
    """Everybody who asks one proxy."""

    def __init__(self, address: Address, seed: int = 1) -> None:
        self.address = address
        self.asked = 0
        """Requests that were sent whole."""
        self.statuses: Counter[int] = Counter()
        self._dice = random.Random(seed)
        self._kept: list[Client] = []

    async def requests(self, count: int) -> None:
        """Answered ones: whole and streamed, good and refused, most on connections that are kept."""
        await many(count, 24, self._request)
        for client in self._kept:
            client.leave("close")
        self._kept.clear()

    async def _request(self, number: int) -> None:
        client = self._kept.pop() if self._kept else await connect(self.address)
        model = "nobody-has-this" if number % 20 == 0 else "secure" if number % 20 == 1 else "open"
        way = ("short", "stream", "short", "long" if number % 100 == 3 else "short")[number % 4]
        self.asked += 1
        status = await client.ask(chat(model, way, self.asked))
        self.statuses[status] += 1
        if number % 16 == 0:
            client.leave(self._dice.choice(("close", "reset")))
        elif status:
            self._kept.append(client)

    async def cancellations(self, count: int) -> None:
        """Who leaves at a random instant: while held, while a connection or TLS is made, before and behind the head,
        in the middle of a stream, with and without reading."""
        await many(count, 48, self._cancellation)

    async def _cancellation(self, _: int) -> None:
        dice = self._dice
        model = dice.choice(("open", "open", "open", "open", "narrow", "narrow", "secure", "deaf"))
        way = dice.choice(("hang", "drip", "flood", "half", "stream", "long"))
        client = await connect(self.address, 4096 if way == "flood" else None)
        if dice.random() < 0.5:
            client.transport.pause_reading()
        self.asked += 1
        client.transport.write(chat(model, way, self.asked))
        await asyncio.sleep(dice.choice((0.0, 0.001, 0.004, 0.02)) * dice.random() * 2)
        await self._gone(client)

    async def cut_uploads(self, count: int, size_b: int) -> None:
        """Bodies up to `size_b` that end at a random byte, with a length or in chunks."""
        await many(count, 16, lambda _: self._cut_upload(size_b))

    async def _cut_upload(self, size_b: int) -> None:
        dice = self._dice
        size = int(size_b ** dice.random())
        wire = chat("open", "short", 0, pad=size)
        if dice.random() < 0.5:
            wire = chunked(wire)
        client = await connect(self.address)
        client.transport.write(wire[: dice.randrange(1, len(wire))])
        await asyncio.sleep(dice.random() * 0.002)
        await self._gone(client)

    async def _gone(self, client: Client) -> None:
        """Left by the client; a proxy that leaves a half-closed connection open keeps the client waiting for ever."""
        client.transport.resume_reading()
        client.leave(self._dice.choice(("close", "reset", "half_close")))
        await asyncio.wait_for(client.lost, ANSWER_S)

    async def stalled_readers(self, count: int, at_once: int) -> None:
        """Clients of an endless stream who read nothing, until the proxy gives them up."""
        await many(count, at_once, self._stalled_reader)

    async def _stalled_reader(self, _: int) -> None:
        client = await connect(self.address, 4096)
        client.transport.pause_reading()
        self.asked += 1
        client.transport.write(chat("open", "flood", self.asked))
        await asyncio.wait_for(_reset_by_peer(client), ANSWER_S)
        client.leave("reset")
        await client.lost


async def _reset_by_peer(client: Client) -> None:
    """Of a socket that is not read only the kernel knows: state 7 is CLOSE."""
    ours = client.transport.get_extra_info("socket")
    while ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 7:
        await asyncio.sleep(0.05)


def chunked(wire: bytes, step: int = 1 << 14) -> bytes:
    """The same request with its body in chunks."""
    head, _, body = wire.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n" + coded + b"0\r\n\r\n"


Load = Callable[[int], Coroutine[Any, Any, None]]
