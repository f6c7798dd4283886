"""tidegate health against a real listener."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.cli import health
from proxy.cli.asking import Answer
from proxy.cli.main import main


@contextmanager
def answering(reply: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A listener that gives one reply, or none at all; with what it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(65536))
            if reply is None:
                done.wait(30)
            else:
                connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        done.set()
        thread.join(30)
        listener.close()


def reply(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "content-length: 0", *headers, "", ""]).encode()


def test_ready(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(reply("200 OK")) as (url, asked):
        assert main(["health", f"{url}/readyz?x=1"]) == 0
    assert asked[0].startswith(b"GET /readyz?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("status", ["503 Service Unavailable", "204 No Content", "404 Not Found"])
def test_not_ready(status: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(reply(status)) as (url, _):
        assert main(["health", url]) == 1
    assert capsys.readouterr().err == f"not ready: it answered {status[:3]}\n"


def test_a_redirect_is_not_followed() -> None:
    with answering(reply("302 Found", "location: http://127.0.0.1:1/")) as (url, _):
        assert main(["health", url]) == 1


def test_a_proxy_variable_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(reply("200 OK")) as (url, _):
        assert main(["health", url]) == 0


@pytest.mark.parametrize("nonsense", [b"", b"hello\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16"])
def test_nonsense(nonsense: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(nonsense) as (url, _):
        assert main(["health", url]) == 1
    assert capsys.readouterr().err.startswith("not ready: ")


def test_silence_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(health, "TIMEOUT_S", 0.2)
    with answering(None) as (url, _):
        assert main(["health", url]) == 1
    assert capsys.readouterr().err == "not ready: no answer within 0.2 s\n"


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert main(["health", f"http://127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == "not ready: connection refused\n"


def test_the_default_is_the_admin_port(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(health, "ask", lambda url, **_: asked.append(url) or Answer(200, b""))
    assert main(["health"]) == 0
    assert asked == ["http://127.0.0.1:9090/readyz"]


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(reply("503 Service Unavailable")) as (url, _):
        assert main(["health", url, "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"url": url, "ready": False, "reason": "it answered 503"}
    assert captured.err == ""
