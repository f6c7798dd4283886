"""Following events: what answers may be, how things are lost and found again."""

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from proxy.cli import following
from proxy.cli.following import Follower
from tests.support.patience import eventually
from tests.unit.report.screen.documents import status

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n"


def event(name: str, data: object) -> bytes:
    return b"event: %b\nid: 1\ndata: %b\n\n" % (name.encode(), json.dumps(data).encode())


def answer(code: int, body: bytes, kind: str = "application/json") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (code, kind.encode(), len(body), body)


class Port:
    """Says to each connection what comes next for its path, then closes it."""

    def __init__(self) -> None:
        self.says: dict[str, list[bytes]] = {"/events": [], "/status": []}
        self.stays = threading.Event()
        """Set: it does not close."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                path = connection.recv(65536).split(b" ")[1].decode()
                waiting = self.says[path]
                if waiting:
                    connection.sendall(waiting.pop(0))
                    if self.stays.is_set():
                        connection.settimeout(10)
                        connection.recv(1)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    monkeypatch.setattr(following, "RETRY_S", 0.02)
    monkeypatch.setattr(following, "POLL_S", 0.02)
    made = Port()
    yield made
    made.close()


@pytest.fixture
def follow(port: Port) -> Iterator[Callable[[], Follower]]:
    made: list[Follower] = []

    def start() -> Follower:
        made.append(Follower(port.url, lambda: None))
        return made[-1]

    yield start
    for one in made:
        one.end()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "its answer is not HTTP"),
        (answer(401, b'{"error": "This port asks for its admin_key."}'), "it answered 401"),
        (answer(200, b"<html>", "text/html"), "it is no Tidegate that answers"),
        (answer(503, b"no"), "it answered 503"),
        (HEAD, "it ended the stream"),
        (HEAD + event("status", {"hello": 1}), "it is no Tidegate that answers"),
        (HEAD + event("status", status(schema=9)), "is newer than this program"),
        (HEAD + b"event: status\ndata: {nonsense\n\n", "it is no Tidegate that answers"),
        (HEAD + b"event: status\ndata: " + b"[" * 100_000 + b"\n\n", "it is no Tidegate that answers"),
    ],
)
def test_what_is_no_event_is_said(port: Port, follow: Callable[[], Follower], said: bytes, why: str) -> None:
    port.says["/events"].append(said)
    port.says["/status"].append(answer(503, b"no"))
    assert why in follow().begin()


def test_a_line_without_end_is_not_kept(
    port: Port, follow: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_B", 1000)
    port.says["/events"].append(HEAD + b"x" * 5000)
    assert "it is no Tidegate" in follow().begin()


def test_lost_and_found_again(port: Port, follow: Callable[[], Follower]) -> None:
    port.says["/events"].append(HEAD + event("status", status()) + event("change", {"policy": "round_robin"}))
    follower = follow()
    assert follower.begin() == ""
    eventually(lambda: follower.watched.document["policy"] == "round_robin", "the change")
    eventually(lambda: follower.link.trouble, "it is lost")
    assert follower.link.word == "lost"
    assert follower.watched.document["policy"] == "round_robin", "the last numbers stay"
    port.stays.set()
    port.says["/events"].append(HEAD + event("status", status(policy="goodput", instance="another")))
    eventually(lambda: not follower.link.trouble, "it is back")
    assert (follower.link.word, follower.watched.document["instance"]) == ("live", "another")


def test_where_too_many_watch_it_asks_now_and_then(port: Port, follow: Callable[[], Follower]) -> None:
    port.says["/events"] += [answer(503, b'{"error": "100 viewers"}')] * 2
    port.says["/status"] += [answer(200, json.dumps(status(policy=name)).encode()) for name in ("a", "b")]
    follower = follow()
    assert follower.begin() == ""
    assert follower.link.word.startswith("full")
    eventually(lambda: follower.watched.document["policy"] == "b", "the second look")


def test_one_that_falls_silent_is_lost(
    port: Port, follow: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SILENT_S", 0.3)
    port.stays.set()
    port.says["/events"].append(HEAD + event("status", status()))
    follower = follow()
    assert follower.begin() == ""
    eventually(lambda: follower.link.trouble == "no answer within 0.3 s", "it is lost")
    eventually(lambda: follower.link.silent_s > 0.3, "and for how long")


def test_whoever_hears_nothing_says_so_whatever_the_reason(
    port: Port, follow: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    port.stays.set()
    port.says["/events"].append(HEAD + event("status", status()))
    follower = follow()
    assert follower.begin() == ""
    assert follower.link.trouble == ""
    slept_until = following.monotonic() + 3600
    monkeypatch.setattr(following, "monotonic", lambda: slept_until)
    assert follower.link.word == "lost"
    assert follower.link.silent_s > 3500


def test_it_ends_at_once(port: Port, follow: Callable[[], Follower]) -> None:
    port.stays.set()
    port.says["/events"].append(HEAD + event("status", status()))
    follower = follow()
    follower.begin()
    follower.end()
    assert not any(thread.name == "events" and thread.is_alive() for thread in threading.enumerate())
