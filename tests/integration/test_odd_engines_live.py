"""What stands behind a URL and is not as it should be: metrics, model lists, other engines, no engine, wrong schemes.

Whatever it is, requests that can be served are, the others are told why, and nothing grows.
"""

import asyncio
import itertools
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.cli.main import main
from tests.integration.test_unlike_engines import chat, good
from tests.support.certificates import Authority
from tests.support.live_proxy import Live, before
from tests.support.route_engine import RouteEngine, listed, model, route_engine

CHAT = "/v1/chat/completions"
VLLM = "vllm:num_requests_running 3\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"
FAST = "routing: {scrape: 2s}\nhealth: {probe_interval: 1s, probe_timeout: 2s}\n"
SOON = "hold: {max_wait: 300ms}\n"
ROUND_ROBIN = FAST.replace("routing: {", "routing: {policy: round_robin, ")


async def says_hi(request: web.Request) -> web.StreamResponse:
    fields = await request.json()
    return good(fields)


def engine_of(**more: Any) -> dict[str, Any]:
    return {"/v1/models": listed(model("m")), CHAT: says_hi, "/metrics": (200, VLLM), **more}


def entry(engine: RouteEngine, name: str = "a", **options: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in options.items())
    return f"  - {{url: '{engine.url}', name: {name}{more}}}\n"


async def until(live: Live, holds: Callable[[dict[str, Any]], bool], backend: str = "a") -> dict[str, Any]:
    """What `/backends` tells, once it is so."""
    async with asyncio.timeout(30):
        while True:
            async with live._session.get(f"{live.proxy.admin_url}/backends") as answer:
                told: dict[str, Any] = (await answer.json())["backends"][backend]
            if holds(told):
                return told
            await asyncio.sleep(0.02)


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def huge(request: web.Request) -> web.StreamResponse:
    """50 MB of one metric that means nothing, and one that would."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    line = b'vllm:some_metric{engine="0",model_name="m"} 1.0\n' * 20_000
    try:
        for _ in range(50):
            await answer.write(line)
    except ConnectionError:
        pass
    return answer


# --- metrics


@pytest.mark.parametrize(
    "metrics",
    [
        pytest.param((200, "<html><body>Sign in</body></html>"), id="html"),
        pytest.param((200, ""), id="empty"),
        pytest.param((200, VLLM.replace("num_requests", "v2_requests").replace("kv_cache", "cache")), id="renamed"),
        pytest.param((200, "vllm:num_requests_running many\nvllm:num_requests_waiting NaN\n"), id="no numbers"),
        pytest.param((500, "out of memory"), id="500"),
        pytest.param(hang, id="hangs"),
        pytest.param(huge, id="50 MB"),
    ],
)
async def test_metrics_that_say_nothing_are_missed_and_requests_are_served(tmp_path: Path, metrics: Any) -> None:
    async with (
        route_engine(engine_of(**{"/metrics": metrics})) as engine,
        before(tmp_path, entry(engine), FAST) as live,
    ):
        told = await until(live, lambda one: one["engine"]["kind"] == "vllm" and engine.asked["/metrics"] > 0)
        assert told["engine"]["running"] is None
        assert [(await live.ask(chat())).status for _ in range(5)] == [200] * 5
        assert told["state"] == "healthy"


async def test_metrics_that_come_back_are_read_again(tmp_path: Path) -> None:
    routes = engine_of(**{"/metrics": (200, "<html>")})
    async with route_engine(routes) as engine, before(tmp_path, entry(engine), FAST) as live:
        await until(live, lambda _: engine.asked["/metrics"] > 2)
        routes["/metrics"] = (200, VLLM)
        told = await until(live, lambda one: one["engine"]["running"] == 3)
        assert told["engine"]["waiting"] == 1


# --- model lists


@pytest.mark.parametrize(
    "listing",
    [
        pytest.param((500, "boom"), id="500"),
        pytest.param((200, "<html>"), id="html"),
        pytest.param(listed(), id="empty"),
        pytest.param({"data": [{"id": 7}, {"id": ""}, "x", None, {"id": "x" * 1000}]}, id="no names"),
        pytest.param((404, "no such route"), id="404"),
    ],
)
async def test_where_a_list_says_nothing_a_model_that_is_written_is_served_all_the_same(
    tmp_path: Path, listing: Any
) -> None:
    """An engine whose list is broken may serve: who says so in the file is believed."""
    async with route_engine(engine_of(**{"/v1/models": listing})) as engine:
        async with before(tmp_path, entry(engine), FAST) as live:
            await until(live, lambda _: engine.asked["/v1/models"] > 0)
            got = await live.ask(chat())
            assert got.status == (404 if isinstance(listing, dict) else 200), "without any list it is taken at its word"
            assert (engine.asked[CHAT] == 0) is isinstance(listing, dict)
        async with before(tmp_path, entry(engine, models="[m]"), FAST) as live:
            assert (await live.ask(chat())).status == 200


async def test_a_list_that_lies_costs_the_liar_its_requests_and_nobody_else_anything(tmp_path: Path) -> None:
    """It lists a model that it does not have: another one serves it, and the liar is left out."""
    lacks = (404, json.dumps({"error": {"message": "The model `m` does not exist.", "code": "model_not_found"}}))
    async with (
        route_engine(engine_of(**{CHAT: lacks})) as liar,
        route_engine(engine_of()) as sound,
        before(tmp_path, entry(liar) + entry(sound, "b"), ROUND_ROBIN) as live,
    ):
        assert {(await live.ask(chat())).status for _ in range(20)} == {200}
        assert 0 < liar.asked[CHAT] < 10


async def test_names_that_would_move_a_cursor_reach_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "m\x1b[2J\u202e"
    routes = engine_of(**{"/v1/models": listed(model("m"), model(odd)), "/version": {"version": "1\x1b]0;x\x07"}})
    request = tmp_path / "request.json"
    request.write_text(json.dumps(chat()))
    async with route_engine(routes) as engine, before(tmp_path, entry(engine), FAST) as live:
        await until(live, lambda one: odd in (one["models"] or []))
        for words in (
            ["explain", str(live.file), str(request), "--admin", live.proxy.admin_url],
            ["backends", str(live.file), "--admin", live.proxy.admin_url],
            ["status", "--admin", live.proxy.admin_url],
        ):
            await asyncio.to_thread(main, words)
            said = capsys.readouterr()
            assert "m" in said.out
            assert all(one.isprintable() or one == "\n" for one in said.out + said.err), words


# --- other engines behind the same URL


async def test_an_engine_that_changes_its_model_serves_the_new_one_and_says_that_the_old_one_is_gone(
    tmp_path: Path,
) -> None:
    routes = engine_of()
    async with route_engine(routes) as engine, before(tmp_path, entry(engine), FAST) as live:
        await until(live, lambda one: one["models"] == ["m"])
        assert (await live.ask(chat())).status == 200
        routes["/v1/models"] = listed(model("n"))
        await until(live, lambda one: one["models"] == ["n"])
        assert (await live.ask(chat() | {"model": "n"})).status == 200
        gone = await live.ask(chat())
        assert (gone.status, json.loads(gone.body)["error"]["code"]) == (404, "model_not_found")


async def test_two_engines_behind_one_url_in_turns_are_served_by_both(tmp_path: Path) -> None:
    """A balancer of connections: probes see now a vLLM, now a llama.cpp. The first one's dialect stays."""
    turns = itertools.count()

    async def models(_: web.Request) -> web.StreamResponse:
        owner = "vllm" if next(turns) % 2 == 0 else "llamacpp"
        return web.json_response(listed(model("m", owner)))

    async with (
        route_engine(engine_of(**{"/v1/models": models})) as engine,
        before(tmp_path, entry(engine), FAST) as live,
    ):
        await until(live, lambda _: engine.asked["/v1/models"] > 8)
        told = await until(live, lambda one: bool(one["engine"]["kind"]))
        assert told["engine"]["kind"] == "vllm"
        assert {(await live.ask(chat())).status for _ in range(10)} == {200}


# --- no engine


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((200, "<html><title>nginx</title></html>"), id="a web server"),
        pytest.param({"status": "ok"}, id="another api"),
        pytest.param((401, "who are you?"), id="a gate"),
        pytest.param((301, "elsewhere"), id="a redirect"),
    ],
)
async def test_a_probe_answered_by_what_is_no_engine_draws_no_request_from_one_that_is(
    tmp_path: Path, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Who lists nothing and is of no known kind is asked for nothing that somebody lists."""
    async with (
        route_engine({"/v1/models": answer, CHAT: (200, "<html>")}) as nobody,
        route_engine(engine_of()) as engine,
        before(tmp_path, entry(nobody) + entry(engine, "b"), ROUND_ROBIN) as live,
    ):
        await until(live, lambda _: nobody.asked["/v1/models"] > 1)
        answers = [await live.ask(chat()) for _ in range(6)]
        assert {(one.status, one.route["backend"]) for one in answers} == {(200, "b")}
        assert nobody.asked[CHAT] == 0
        assert caplog.text.count("if it is one, write its `models` or its `kind`") == 1


async def test_a_page_for_browsers_is_no_answer(tmp_path: Path) -> None:
    """Alone it is taken at its word, until it answers a chat with a page."""
    routes = {"/v1/models": (200, "<html>"), CHAT: page}
    async with route_engine(routes) as nobody, before(tmp_path, entry(nobody), FAST) as live:
        await until(live, lambda _: nobody.asked["/v1/models"] > 0)
        got = await live.ask(chat())
        assert got.status == 502
        assert "a page for browsers; is there an engine behind its URL?" in json.loads(got.body)["error"]["message"]


async def page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>It works!</html>", content_type="text/html")


async def test_something_that_speaks_no_http_is_told_and_costs_nothing(tmp_path: Path) -> None:
    async def banner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(banner, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, route_engine(engine_of()) as engine:
        mail = f"  - {{url: 'http://127.0.0.1:{port}', name: a, models: [m]}}\n"
        async with before(tmp_path, mail + entry(engine, "b"), ROUND_ROBIN) as live:
            assert {(await live.ask(chat())).status for _ in range(6)} == {200}


# --- addresses and schemes


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def listening(routes: dict[str, Any], host: str, tls: ssl.SSLContext | None = None) -> tuple[web.AppRunner, int]:
    engine = RouteEngine(routes)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", engine._answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    return runner, runner.addresses[0][1]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_an_engine_at_an_ipv6_address(tmp_path: Path) -> None:
    hosts: list[str] = []

    async def says(request: web.Request) -> web.StreamResponse:
        hosts.append(request.headers["host"])
        return await says_hi(request)

    runner, port = await listening(engine_of(**{CHAT: says}), "::1")
    try:
        for line in (
            f"{{url: 'http://[::1]:{port}', name: a}}",
            f"{{url: 'http://engine.test:{port}', ip: '::1', name: a}}",
        ):
            async with before(tmp_path, f"  - {line}\n", FAST) as live:
                await until(live, lambda one: one["models"] == ["m"])
                assert (await live.ask(chat())).status == 200
    finally:
        await runner.cleanup()
    assert hosts == [f"[::1]:{port}", f"engine.test:{port}"]


async def test_http_where_tls_is_spoken_and_tls_where_it_is_not_are_told_as_such(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    context = authority.certificate("localhost", "DNS:localhost,IP:127.0.0.1").server_context()
    runner, port = await listening(engine_of(), "127.0.0.1", context)
    try:
        line = f"  - {{url: 'http://127.0.0.1:{port}', name: a, models: [m]}}\n"
        async with before(tmp_path, line, FAST + SOON) as live:
            got = await live.ask(chat())
            assert got.status in (400, 502, 503)
    finally:
        await runner.cleanup()
    async with route_engine(engine_of()) as engine:
        line = f"  - {{url: '{engine.url.replace('http', 'https')}', name: a, models: [m]}}\n"
        async with before(tmp_path, line, FAST + SOON) as live:
            got = await live.ask(chat())
            assert got.status in (502, 503)
            assert "it does not speak TLS there; is its url http://?" in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("Client sent an HTTP request to an HTTPS server.\n", id="go"),
        pytest.param("<html><center>The plain HTTP request was sent to HTTPS port</center></html>", id="nginx"),
        pytest.param("<html>Reason: You're speaking plain HTTP to an SSL-enabled server port.</html>", id="apache"),
    ],
)
async def test_who_says_that_tls_is_spoken_there_is_heard_and_the_client_is_not_to_blame(
    tmp_path: Path, said: str
) -> None:
    routes = {"/v1/models": (400, said), CHAT: (400, said)}
    async with route_engine(routes) as front, before(tmp_path, entry(front, models="[m]"), FAST + SOON) as live:
        got = await live.ask(chat())
    error = json.loads(got.body)["error"]
    assert (got.status, error["code"]) == (502, "backend_misconfigured")
    assert "speaks TLS there: is its url https://?" in error["message"]


async def test_a_name_in_the_certificate_is_asked_for_where_an_address_is_connected_to(tmp_path: Path) -> None:
    """`ip`: SNI and the certificate keep the name, so that several engines may stand behind one address."""
    authority = Authority(tmp_path)
    seen: list[str | None] = []
    context = authority.certificate("engine", "DNS:engine.test").server_context()
    context.sni_callback = lambda _socket, name, _context: seen.append(name)  # type: ignore[assignment,return-value]
    runner, port = await listening(engine_of(), "127.0.0.1", context)
    try:
        base = f"ip: 127.0.0.1, name: a, tls: {{ca_file: '{authority.own.path}'}}"
        async with before(tmp_path, f"  - {{url: 'https://engine.test:{port}', {base}}}\n", FAST) as live:
            await until(live, lambda one: one["models"] == ["m"])
            assert (await live.ask(chat())).status == 200
        assert set(seen) == {"engine.test"}
        async with before(
            tmp_path, f"  - {{url: 'https://other.test:{port}', models: [m], {base}}}\n", FAST + SOON
        ) as live:
            got = await live.ask(chat())
            assert got.status in (502, 503)
            text = json.loads(got.body)["error"]["message"]
            assert "its certificate is for engine.test, not for other.test" in text
    finally:
        await runner.cleanup()
