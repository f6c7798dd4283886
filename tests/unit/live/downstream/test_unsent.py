"""What a client has not taken, over a real connection: ours, the kernel's, nothing when all is read, or let go of."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
import uvloop

from proxy.live.downstream.unsent import reset, unsent_b
from tests.unit.live.standins import Transport


class Own(Transport):
    """A transport without a socket."""

    def get_write_buffer_size(self) -> int:
        return 7


def test_without_a_socket_it_is_our_own_buffer() -> None:
    assert unsent_b(Own()) == 7


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_it_goes_down_to_nothing_as_the_client_reads(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    run(_read_slowly())


async def _connected(receive_b: int) -> tuple[asyncio.Transport, socket.socket]:
    """A transport of ours and the client's socket, whose kernel takes so much."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(cast(asyncio.Transport, transport))  # uvloop's is no subclass

    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_b)
    client.setblocking(False)
    await loop.sock_connect(client, server.sockets[0].getsockname())
    server.close()
    return await accepted, client


async def _read_slowly() -> None:
    loop = asyncio.get_running_loop()
    transport, client = await _connected(8192)
    size = 20_000_000
    transport.write(bytes(size))
    await asyncio.sleep(0.05)
    seen = [unsent_b(transport)]
    assert 0 < seen[0] <= size
    assert seen[0] > transport.get_write_buffer_size(), "the kernel holds some of it"
    left = size
    while left:
        left -= len(await loop.sock_recv(client, 1 << 20))
        seen.append(unsent_b(transport))
    assert seen == sorted(seen, reverse=True)
    for _ in range(100):
        if not unsent_b(transport):
            break
        await asyncio.sleep(0.01)
    assert unsent_b(transport) == 0
    client.close()
    transport.close()


def test_a_reset_without_a_socket_closes() -> None:
    transport = Own()
    reset(transport)
    assert transport.closed


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_reset_is_one_whatever_is_unsent(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def play() -> None:
        transport, client = await _connected(8192)
        transport.write(bytes(1_000_000))
        reset(transport)
        with client, pytest.raises(ConnectionResetError):
            while await asyncio.get_running_loop().sock_recv(client, 1 << 20):
                pass

    run(play())
