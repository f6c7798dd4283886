"""`/v1/realtime`: a WebSocket through the proxy is what it is directly, within its limits, and ends as it should."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import openai
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from tests.support.certificates import Authority
from tests.support.live_proxy import Live, before
from tests.support.patience import eventually
from tests.support.realtime_engine import WORDS, RealtimeEngine, realtime_engine

ON = "realtime: {connections: 4%s}\n"
KEY = "sk-for-one-tenant" * 3
KEYS = f"auth: keys\ntenants: [{{tenant: a, keys: [{{digest: 'sha256:{sha256(KEY.encode()).hexdigest()}'}}]}}]\n"


@asynccontextmanager
async def tunnel(
    tmp_path: Path, more: str = ON % "", options: str = "", **engine_options: Any
) -> AsyncIterator[tuple[Live, RealtimeEngine]]:
    async with realtime_engine(**engine_options) as engine:
        entry = f"  - {{url: '{engine.url}', name: a, models: [m], kind: vllm{options}}}\n"
        async with before(tmp_path, entry, more) as live:
            yield live, engine


def at(live: Live, query: str = "?model=m") -> str:
    return f"{live.proxy.listen_url.replace('http', 'ws', 1)}/v1/realtime{query}"


def client(base_url: str, key: str = "k") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)


async def until(condition: Any, what: str) -> None:
    await asyncio.to_thread(eventually, condition, what, 10.0)


async def metric(live: Live, name: str) -> float:
    lines = [line for line in (await live.metrics()).splitlines() if line.startswith(name)]
    return float(lines[0].rsplit(" ", 1)[1]) if lines else 0.0


async def spoken(through: openai.AsyncOpenAI, model: str = "m") -> list[dict[str, Any]]:
    """What a client of the official library gets."""
    events: list[dict[str, Any]] = []
    async with through.realtime.connect(model=model) as connection:
        await connection.session.update(session={"type": "realtime", "instructions": "hi"})
        item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 70_000}]}
        await connection.conversation.item.create(item=item)
        await connection.response.create()
        async for event in connection:
            events.append(event.to_dict())
            if event.type == "response.done":
                break
    return events


async def test_without_the_option_whoever_tries_is_told_at_once(tmp_path: Path) -> None:
    async with tunnel(tmp_path, "") as (live, engine):
        with pytest.raises(InvalidStatus) as told:
            await connect(at(live))
        assert told.value.response.status_code == 426
        assert b"no_websocket" in told.value.response.body
        assert not engine.requests


async def test_the_official_client_gets_what_it_gets_directly(tmp_path: Path) -> None:
    async with tunnel(tmp_path) as (live, engine), client(engine.url) as direct:
        async with client(live.proxy.listen_url) as through:
            wanted, found = await spoken(direct), await spoken(through)
        assert found == wanted
        assert [event["delta"] for event in found if "delta" in event] == list(WORDS)
        ours, theirs = engine.requests[1], engine.requests[0]
        assert ours.path == theirs.path == "/v1/realtime?model=m"
        for name in ("authorization", "sec-websocket-version", "sec-websocket-extensions", "user-agent"):
            assert ours.headers.get(name) == theirs.headers.get(name)
        await until(lambda: len(engine.closes) == 2, "both are over")
        assert engine.closes[0] == engine.closes[1]
        assert await metric(live, "tidegate_realtime_connections ") == 0
        assert await metric(live, 'tidegate_realtime_ended_total{end="client"}') == 1
        assert await metric(live, 'tidegate_realtime_bytes_total{direction="from_client"}') > 300


async def test_an_alias_is_the_name_that_its_engine_knows(tmp_path: Path) -> None:
    async with tunnel(tmp_path, options=", aliases: {voice/1: 'real model'}") as (live, engine):
        async with client(live.proxy.listen_url) as through:
            assert await spoken(through, "voice/1")
        assert engine.requests[0].path == "/v1/realtime?model=real%20model"
        with pytest.raises(InvalidStatus) as told:
            await connect(at(live, "?model=unknown"))
        assert told.value.response.status_code == 404
        assert b"model_not_found" in told.value.response.body
        with pytest.raises(InvalidStatus) as two:
            await connect(at(live, "?model=m&model=other"))
        assert two.value.response.status_code == 400
        async with connect(at(live, "")) as connection:  # the only engine's
            assert json.loads(await connection.recv())["type"] == "session.created"


async def test_a_key_may_come_as_a_subprotocol_and_is_seen_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tidegate")
    async with tunnel(tmp_path, ON % "" + KEYS) as (live, engine):
        for key, status in (("", 401), ("wrong", 401)):
            with pytest.raises(InvalidStatus) as told:
                await connect(at(live), subprotocols=["realtime", f"openai-insecure-api-key.{key}"])  # type: ignore[list-item]
            assert told.value.response.status_code == status
        offered: Any = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
        async with connect(at(live), subprotocols=offered) as connection:
            assert connection.subprotocol == "realtime"
            await connection.recv()
        headers = engine.requests[0].headers
        assert headers["sec-websocket-protocol"] == "realtime, openai-beta.realtime-v1"
        assert "authorization" not in headers
        assert KEY not in caplog.text
        assert KEY not in await live.metrics()


async def test_where_nobody_asks_for_keys_the_engine_gets_it_as_from_other_clients(tmp_path: Path) -> None:
    async with tunnel(tmp_path) as (live, engine):
        offered: Any = ["realtime", "openai-insecure-api-key.mine"]
        async with connect(at(live), subprotocols=offered) as connection:
            await connection.recv()
        assert engine.requests[0].headers["authorization"] == "Bearer mine"


async def test_too_many_at_once_are_refused_and_whoever_leaves_makes_room(tmp_path: Path) -> None:
    async with tunnel(tmp_path, "realtime: {connections: 3, per_tenant: 2}\n") as (live, _):
        mine: Any = {"authorization": "Bearer one"}
        async with connect(at(live), additional_headers=mine) as first, connect(at(live), additional_headers=mine):
            with pytest.raises(InvalidStatus) as told:
                await connect(at(live), additional_headers=mine)
            assert told.value.response.status_code == 429
            async with connect(at(live)):
                with pytest.raises(InvalidStatus) as full:
                    await connect(at(live))
                assert full.value.response.status_code == 503
                assert full.value.response.headers["retry-after"]
            await first.close()
            await until(lambda: live.proxy._tunnels.open == 1, "there is room")
            async with connect(at(live), additional_headers=mine) as again:
                await again.recv()


async def test_it_holds_a_place_of_its_backend_for_its_life(tmp_path: Path) -> None:
    options = ", max_concurrency: 1"
    async with tunnel(tmp_path, ON % "" + "hold: {max_wait: 100ms}\n", options=options) as (live, engine):
        async with connect(at(live)) as connection:
            await connection.recv()
            with pytest.raises(InvalidStatus) as told:
                await connect(at(live))
            assert told.value.response.status_code in (429, 503)
        await until(lambda: live.proxy._tunnels.open == 0, "it is over")
        async with connect(at(live)) as again:
            await again.recv()
        assert len(engine.requests) == 2


async def test_one_that_is_idle_too_old_or_too_large_is_closed(tmp_path: Path) -> None:
    for limit, end, code in (
        ("idle: 200ms", "idle", 1001),
        ("life: 200ms", "life", 1001),
        ("size: 64KiB", "size", 1008),
    ):
        async with tunnel(tmp_path, ON % f", {limit}") as (live, engine):
            async with connect(at(live), max_size=None, compression=None) as connection:
                if end == "size":
                    await connection.send(json.dumps({"type": "flood", "count": 9, "size": 20_000}))
                with pytest.raises(ConnectionClosed):
                    while True:
                        await asyncio.wait_for(connection.recv(), 10.0)
                assert connection.close_code == code
            await until(lambda: engine.closes != [], "the engine knows")
            assert engine.closes[0][0] == code
            assert await metric(live, f'tidegate_realtime_ended_total{{end="{end}"}}') == 1


async def test_the_drain_closes_both_sides_after_its_time(tmp_path: Path) -> None:
    async with tunnel(tmp_path, ON % "" + "drain: {readiness: 0s, streams: 100ms}\n") as (live, engine):
        async with connect(at(live)) as connection:
            await connection.recv()
            stopping = asyncio.ensure_future(live.proxy.stop())
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(connection.recv(), 10.0)
            assert (connection.close_code, connection.close_reason) == (1001, "the proxy is shutting down")
            await stopping
        assert engine.closes == [(1001, "the proxy is shutting down")]
        assert live.proxy._tunnels.ends == {"drain": 1}


async def test_what_an_engine_says_as_it_closes_is_passed(tmp_path: Path) -> None:
    async with tunnel(tmp_path) as (live, _), connect(at(live)) as connection:
        await connection.recv()
        await connection.send(json.dumps({"type": "leave"}))
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(connection.recv(), 10.0)
        assert (connection.close_code, connection.close_reason) == (4000, "enough")
        await until(lambda: live.proxy._tunnels.ends == {"engine": 1}, "it is told")


async def test_an_engine_that_breaks_off_is_a_bad_gateway(tmp_path: Path) -> None:
    async with tunnel(tmp_path) as (live, _), connect(at(live)) as connection:
        await connection.recv()
        await connection.send(json.dumps({"type": "break"}))
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(connection.recv(), 10.0)
        assert (connection.close_code, connection.close_reason) == (1014, "the engine is gone")
        await until(lambda: live.proxy._tunnels.ends == {"engine_lost": 1}, "it is told")
        assert live.proxy._tunnels.open == 0


async def test_a_client_that_vanishes_frees_the_engine(tmp_path: Path) -> None:
    async with tunnel(tmp_path, options=", max_concurrency: 1") as (live, engine):
        connection = await connect(at(live))
        await connection.recv()
        connection.transport.abort()
        await until(lambda: len(engine.closes) == 1, "the engine is free")
        await until(lambda: live.proxy._tunnels.ends == {"client_lost": 1}, "it is told")
        async with connect(at(live)) as again:
            await again.recv()


@pytest.mark.parametrize("status", [404, 403, 501])
async def test_an_engine_without_the_route_says_so_itself(tmp_path: Path, status: int) -> None:
    async with tunnel(tmp_path) as (live, engine):
        engine.refuses = status
        with pytest.raises(InvalidStatus) as told:
            await connect(at(live))
        assert told.value.response.status_code == status
        assert b"No such route" in told.value.response.body
        assert live.proxy._tunnels.open == 0


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"content-length: 3\r\n", b"400"),
        (b"transfer-encoding: chunked\r\n", b"400"),
        (b"origin: https://evil.example\r\n", b"403"),
        (b"sec-websocket-protocol: openai-insecure-api-key.\r\n", b"101"),
    ],
)
async def test_handshakes_of_every_kind(tmp_path: Path, lines: bytes, status: bytes) -> None:
    async with tunnel(tmp_path) as (live, _):
        port = int(live.proxy.listen_url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /v1/realtime?model=m HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + lines + b"\r\nabc"
        )
        line = await asyncio.wait_for(reader.readline(), 10.0)
        assert line.split()[1] == status
        writer.close()
        await until(lambda: live.proxy._tunnels.open == 0, "nothing stays open")


async def test_pages_of_named_origins_may(tmp_path: Path) -> None:
    more = ON % "" + "cors: {origins: ['https://app.example']}\n"
    async with tunnel(tmp_path, more) as (live, _):
        async with connect(at(live), origin="https://app.example") as connection:  # type: ignore[arg-type]
            await connection.recv()
        with pytest.raises(InvalidStatus) as told:
            await connect(at(live), origin="https://other.example")  # type: ignore[arg-type]
        assert told.value.response.status_code == 403
        assert await metric(live, 'tidegate_realtime_refused_total{reason="origin"}') == 1


async def test_large_messages_pass_both_ways_and_a_slow_reader_slows_its_engine(tmp_path: Path) -> None:
    async with tunnel(tmp_path) as (live, _), connect(at(live), max_size=None, max_queue=1) as connection:
        await connection.recv()
        large = bytes(range(256)) * 16_384  # 4 MiB, which compression makes many frames' worth of borders of
        await connection.send(large)
        assert await asyncio.wait_for(connection.recv(), 30.0) == large
        await connection.send(json.dumps({"type": "flood", "count": 64, "size": 500_000}))
        await asyncio.sleep(0.2)
        for _ in range(64):
            assert len(await asyncio.wait_for(connection.recv(), 30.0)) == 500_000


@pytest.mark.parametrize("way", ["unix", "tls"])
async def test_engines_behind_sockets_and_tls(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "ca"
    folder.mkdir()
    options, engine_options = "", {}
    if way == "unix":
        engine_options = {"path": str(tmp_path / "e.sock")}
    else:
        authority = Authority(folder)
        certificate = authority.certificate("engine", "IP:127.0.0.1")
        engine_options = {"ssl": certificate.server_context()}
        options = f", tls: {{ca_file: '{authority.own.path}'}}"
    async with tunnel(tmp_path, options=options, **engine_options) as (live, engine):
        async with client(live.proxy.listen_url) as through:
            assert [event["delta"] for event in await spoken(through) if "delta" in event] == list(WORDS)
        assert len(engine.requests) == 1


async def test_without_compression_bytes_pass_in_any_pieces(tmp_path: Path) -> None:
    async with tunnel(tmp_path, compression=None) as (live, _):
        connection: ClientConnection
        async with connect(at(live), compression=None) as connection:
            await connection.recv()
            for size in (0, 1, 125, 126, 65_535, 65_536, 200_000):
                await connection.send(b"y" * size)
                assert len(await asyncio.wait_for(connection.recv(), 10.0)) == size


async def test_a_reload_switches_it_on_and_off(tmp_path: Path) -> None:
    async with tunnel(tmp_path, "") as (live, _):
        text = live.file.read_text()
        live.file.write_text(text + ON % "")
        live.put_in_place()
        async with connect(at(live)) as connection:
            await connection.recv()
            live.file.write_text(text)
            live.put_in_place()
            with pytest.raises(InvalidStatus):
                await connect(at(live))
            await connection.send(b"still")
            assert await asyncio.wait_for(connection.recv(), 10.0) == b"still"
