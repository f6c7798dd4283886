"""The lean client: framing, kept connections, and what is said of those that end too soon."""

import asyncio
import time
from pathlib import Path

import pytest

from proxy.bench.http import Base, Connection, LostError, Pool, Whole
from tests.support.certificates import self_signed
from tests.unit.bench.servers import END, Step, events, head, pieces, scripted, whole


class Pieces(Whole):
    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def on_body(self, data: bytes, now: float) -> None:
        super().on_body(data, now)
        self.moments.append(now)


@pytest.mark.parametrize(
    ("url", "authority", "prefix"),
    [
        ("http://h:8000", "h:8000", ""),
        ("http://h/v1", "h", ""),
        ("https://h/", "h", ""),
        ("http://h:80/gw/v1/", "h", "/gw"),
        ("http://[::1]:8000", "[::1]:8000", ""),
    ],
)
def test_urls_as_clients_write_them(url: str, authority: str, prefix: str) -> None:
    base = Base.of(url)
    assert (base.authority, base.prefix) == (authority, prefix)
    assert base.request("GET", "/v1/models", {}, b"").startswith(f"GET {prefix}/v1/models HTTP/1.1\r\n".encode())


async def test_a_connection_is_used_again() -> None:
    async with scripted([whole(b"one")], [whole(b"two")]) as server:
        pool, first, second = Pool(server.url, {"authorization": "Bearer k"}), Whole(), Whole()
        await pool.ask("/v1/a", b"{}", first)
        await pool.ask("/v1/b", b"", second, method="GET")
        pool.close()
    assert (bytes(first.body), bytes(second.body), server.connections) == (b"one", b"two", 1)
    assert server.requests[0].endswith(b"\r\n\r\n{}")
    assert b"authorization: Bearer k\r\n" in server.requests[0]
    assert server.requests[1].startswith(b"GET /v1/b ")


async def test_each_piece_has_its_moment() -> None:
    async with scripted([events("a"), 0.05, pieces("b"), END]) as server:
        pool, taken, start = Pool(server.url), Pieces(), time.monotonic()
        await pool.ask("/", b"", taken)
        pool.close()
    assert bytes(taken.body) == b"data: a\n\ndata: b\n\n"
    assert taken.moments[1] - taken.moments[0] > 0.03
    assert taken.moments[0] >= start


async def test_a_continue_is_no_answer_and_a_body_may_end_with_the_connection() -> None:
    async with scripted([b"HTTP/1.1 100 Continue\r\n\r\n" + head() + b"connection: close\r\n\r\nrest", None]) as server:
        pool, taken = Pool(server.url), Whole()
        await pool.ask("/", b"x", taken)
        pool.close()
    assert (taken.status, bytes(taken.body)) == (200, b"rest")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([None], "the connection was closed"),
        ([b"SSH-2.0-x\r\n\r\n", None], "its answer is not HTTP"),
        ([events("a"), None], "the connection was closed"),
        ([head() + b"content-length: 9\r\n\r\nabc", None], "the connection was closed"),
    ],
)
async def test_what_is_said_of_one_that_ends_too_soon(script: list[Step], why: str) -> None:
    async with scripted(script) as server:
        pool = Pool(server.url)
        with pytest.raises(LostError, match=why):
            await pool.ask("/", b"", Whole())
        pool.close()


async def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    async with scripted([whole(b"one"), None], [whole(b"two")]) as server:
        pool, taken, sent = Pool(server.url), Whole(), []
        await pool.ask("/", b"", Whole())
        await pool.ask("/", b"", taken, on_sent=lambda: sent.append(1))
        pool.close()
    assert (bytes(taken.body), server.connections) == (b"two", 2)
    assert sent


async def test_nobody_there() -> None:
    pool = Pool("http://127.0.0.1:1")
    with pytest.raises(LostError, match="connection refused"):
        await pool.ask("/", b"", Whole())


async def test_a_client_leaves() -> None:
    async with scripted([events("a"), 60.0]) as server:
        pool = Pool(server.url)
        held: list[Connection] = []
        asked = asyncio.create_task(pool.ask("/", b"", Whole(), on_connection=held.append))
        while not held:
            await asyncio.sleep(0)
        held[0].close()
        with pytest.raises(LostError, match="the connection was closed"):
            await asked
        pool.close()


async def test_who_stops_waiting_leaves_no_connection_behind() -> None:
    async with scripted([60.0]) as server:
        pool = Pool(server.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.ask("/", b"", Whole())
        assert not pool._all


async def test_tls_is_checked_unless_it_is_told_not_to(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "engine", "engine", "IP:127.0.0.1")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(whole(b"hello"))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.server_context())
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    strict, lax, taken = Pool(url), Pool(url, insecure=True), Whole()
    with pytest.raises(LostError, match=r"TLS: CERTIFICATE_VERIFY_FAILED"):
        await strict.ask("/", b"", Whole())
    await lax.ask("/", b"", taken)
    assert bytes(taken.body) == b"hello"
    lax.close()
    server.close()
    await server.wait_closed()
