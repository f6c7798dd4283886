"""The admin port: whose connections make room, and what each path answers."""

import asyncio
from time import monotonic
from typing import Any

import pytest

from proxy.live.admin import DELIVERED, SLACK, Admin, is_own_name
from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ClientConnection
from proxy.live.scrapes import Scrapes
from proxy.live.watch import Watch
from proxy.model.limits import Limits
from tests.unit.live.downstream.test_connection import ClientTransport

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Port:
    """An admin port with room for two, on transports of ours."""

    def __init__(self, metrics: Any = lambda is_open: iter(["m 1\n"]), most: int = 2, key: str = "") -> None:
        loop = asyncio.get_running_loop()
        self.explained: list[Any] = []
        self.reason: str | None = None
        self.admin = Admin(
            why_not_ready=lambda: self.reason,
            scrapes=Scrapes(metrics, loop, monotonic),
            explain=self._explain,
            key=key,
            prefix_report=lambda: b'{"findings":[]}',
            has_room=lambda body_b: body_b < 1000,
            limits=Limits(),
            watch=Watch(loop, monotonic),
            loop=loop,
            max_connections=most,
            budget=Budget(1 << 30),
        )

    def _explain(self, path: str, headers: list[tuple[bytes, bytes]], body: bytes, tenant: str) -> tuple[int, bytes]:
        self.explained.append((path, dict(headers), body, tenant))
        return 200, b"{}"

    def connect(self) -> tuple[ClientConnection, ClientTransport]:
        connection, transport = self.admin.connection(), ClientTransport()
        connection.connection_made(transport)
        return connection, transport

    async def ask(self, request: bytes, peer: str = "") -> bytes:
        connection, transport = self.connect()
        connection.client = peer or connection.client
        connection.data_received(request)
        for _ in range(9):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return bytes(transport.written)


async def test_who_has_been_silent_for_the_longest_time_makes_room() -> None:
    port = Port()
    first, second = port.connect()[1], port.connect()[1]
    assert not first.is_closing()
    third = port.connect()[1]
    assert first.is_closing()
    assert not second.is_closing()
    port.connect()
    assert second.is_closing()
    assert not third.is_closing()


async def test_who_is_answered_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port()
    busy, transport = port.connect()
    busy.data_received(GET % b"/livez")  # its answer comes in the next turn
    silent = port.connect()[1]
    port.connect()
    assert silent.is_closing()
    assert not transport.is_closing()
    await asyncio.sleep(0)
    assert bytes(transport.written).startswith(b"HTTP/1.1 200")


async def test_there_is_an_end_to_it() -> None:
    port = Port()
    for _ in range(2 * SLACK):
        port.connect()[0].data_received(GET % b"/livez")
    over = port.connect()[1]
    assert bytes(over.written).startswith(b"HTTP/1.1 503")
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        (b"/livez", b"200", b"ok\n"),
        (b"/livez?x=1", b"200", b"ok\n"),
        (b"/readyz", b"503", b"draining\n"),
        (b"/metrics", b"200", b"m 1\n"),
        (b"/explain", b"405", b"/explain knows POST.\n"),
        (b"/", b"404", b"Known here: /livez, /readyz, /metrics, /prefix, /slo, /explain, /cache/stats, /cache/bump.\n"),
    ],
)
async def test_answers(target: bytes, status: bytes, body: bytes) -> None:
    port = Port()
    port.reason = "draining"
    answer = await port.ask(GET % target)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.endswith(b"\r\n\r\n" + body)


async def test_head_has_no_body() -> None:
    answer = await Port().ask(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"content-length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_explain_gets_path_headers_and_body() -> None:
    port = Port()
    body = b'{"model":"m"}'
    head = b"POST /explain?path=%2Fv1%2Fcompletions&tenant=team-a HTTP/1.1\r\nHost: a\r\nX-Tidegate-Class: bulk\r\n"
    answer = await port.ask(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert answer.endswith(b"{}")
    ((path, headers, told, tenant),) = port.explained
    assert (path, headers[b"x-tidegate-class"], told, tenant) == ("/v1/completions", b"bulk", body, "team-a")


async def test_a_bug_is_one_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> bytes:
        raise KeyError("secret")

    answer = await Port(broken).ask(GET % b"/metrics")
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret" not in answer
    assert "internal error" in caplog.text


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("localhost", True),
        ("127.0.0.1:9090", True),
        ("[::1]", True),
        ("proxy", True),
        ("evil.test", False),
        ("", False),
    ],
)
def test_own_names(host: str, is_own: bool) -> None:
    assert is_own_name(host) is is_own


async def test_of_those_who_do_not_read_their_metrics_few_are_kept() -> None:
    port, deaf = Port(lambda is_open: iter(["m 1\n" * 1000]), 9), []
    for _ in range(DELIVERED + 3):
        connection, transport = port.connect()
        transport.unsent_b = 4000
        connection.data_received(GET % b"/metrics")
        for _ in range(9):
            await asyncio.sleep(0)
        deaf.append(transport)
    assert [transport.is_closing() for transport in deaf] == [True] * 3 + [False] * DELIVERED


POST = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("peer", "status"),
    [("127.0.0.1", b"404"), ("::1", b"404"), ("172.17.0.1", b"403"), ("10.0.0.1", b"403"), ("nowhere", b"403")],
)
async def test_without_a_key_only_this_machine_changes_anything(peer: str, status: bytes) -> None:
    answer = await Port().ask(POST % b"/cache/bump", peer)
    assert answer.startswith(b"HTTP/1.1 " + status), "404: no answers are kept here"
    assert (await Port().ask(GET % b"/metrics", peer)).startswith(b"HTTP/1.1 200"), "reading is another thing"


@pytest.mark.parametrize(
    "said", [b"", b"Authorization: Bearer wrong\r\n", b"Authorization: Bearer \xff\r\n", b"x: key\r\n"]
)
async def test_with_a_key_all_but_the_probes_ask_for_it(said: bytes) -> None:
    for target, status in ((b"/livez", b"200"), (b"/readyz", b"200"), (b"/metrics", b"401"), (b"/prefix", b"401")):
        answer = await Port(key="key").ask((GET % target)[:-2] + said + b"\r\n", "127.0.0.1")
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert (b"www-authenticate: Bearer" in answer) is (status == b"401")
    changed = await Port(key="key").ask((POST % b"/cache/bump")[:-2] + said + b"\r\n", "127.0.0.1")
    assert changed.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("said", [b"Authorization: Bearer key\r\n", b"x-tidegate-admin-key: key\r\n"])
async def test_with_its_key_everything_may_be_done_from_anywhere(said: bytes) -> None:
    answer = await Port(key="key").ask((GET % b"/metrics")[:-2] + said + b"\r\n", "10.0.0.1")
    assert answer.endswith(b"m 1\n")
    changed = await Port(key="key").ask((POST % b"/cache/bump")[:-2] + said + b"\r\n", "10.0.0.1")
    assert changed.startswith(b"HTTP/1.1 404"), "no answers are kept here"


async def test_the_key_of_the_port_is_not_that_of_the_request_in_question() -> None:
    port = Port(key="key")
    head = b"POST /explain HTTP/1.1\r\nHost: a\r\nx-tidegate-admin-key: key\r\nAuthorization: Bearer tg-1\r\n"
    assert (await port.ask(head + b"Content-Length: 2\r\n\r\n{}")).endswith(b"{}")
    assert port.explained[0][1][b"authorization"] == b"Bearer tg-1"


@pytest.mark.parametrize("name", [b"a%20b", b"sk-secret", b"x" * 80])
async def test_a_tenant_that_nobody_can_be_is_not_explained(name: bytes) -> None:
    answer = await Port().ask(POST % (b"/explain?tenant=" + name))
    assert answer.startswith(b"HTTP/1.1 400")
    assert name not in answer
