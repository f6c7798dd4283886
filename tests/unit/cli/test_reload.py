"""`tidegate reload` against a port that answers as told."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from proxy.cli.main import main

DONE = {"reloaded": True, "hash": "abc", "changes": [], "restart_needed": [], "errors": []}


class Admin:
    """Answers each request with the next of its answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked.append(self.path)
                status, told = outer.answers.pop(0)
                body = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def admin() -> Iterator[Admin]:
    made = Admin()
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(admin: Admin, *arguments: str) -> int:
    return main(["reload", "--admin", admin.url, *arguments])


def test_a_reload_says_what_changed(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {**DONE, "changes": ["hold.max_wait: 30s → 7s"], "restart_needed": ["listen: a → b"]}
    admin.answers += [(200, changed), (200, DONE)]
    assert run(admin) == 0
    assert capsys.readouterr().out.splitlines() == [
        "hold.max_wait: 30s → 7s",
        "restart needed: listen: a → b",
        "reloaded: abc",
    ]
    assert run(admin) == 0
    assert capsys.readouterr().out == "reloaded: abc, nothing changed\n"
    assert admin.asked == ["/reload", "/reload"]


def test_a_wrong_file(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers += [(422, {**DONE, "reloaded": False, "errors": ["f.yaml:3:1: no"]})]
    assert run(admin) == 1
    assert "f.yaml:3:1: no" in (said := capsys.readouterr().err)
    assert "nothing was changed" in said


def test_a_trial_and_its_ends(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers += [
        (200, {**DONE, "trial": {"until": 0, "back_to": "old"}}),
        (200, {**DONE, "trial": None}),
        (200, {"confirmed": True, "hash": "abc"}),
        (409, {"error": "no configuration is on trial"}),
        (200, {"rolled_back": True, "hash": "old"}),
    ]
    assert run(admin, "--confirm", "60s") == 0
    assert "then old again; keep it: tidegate reload --confirmed" in capsys.readouterr().out
    assert run(admin, "--confirm", "60s") == 0
    assert "no trial" in capsys.readouterr().out
    assert run(admin, "--confirmed") == 0
    assert run(admin, "--confirmed") == 1
    assert run(admin, "--rollback") == 0
    assert admin.asked == [
        "/reload?confirm=60s",
        "/reload?confirm=60s",
        "/reload/confirm",
        "/reload/confirm",
        "/reload/rollback",
    ]


@pytest.mark.parametrize("answer", [(404, b"not a tidegate"), (200, b"[1]"), (500, b"")])
def test_somebody_else_is_there(admin: Admin, answer: tuple[int, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers.append(answer)
    assert run(admin) == 1
    assert capsys.readouterr().err.startswith("tidegate reload: ")


def test_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", "--admin", "http://127.0.0.1:1"]) == 1
    assert "no proxy answers at http://127.0.0.1:1: connection refused" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--confirm", "0s"), ("--confirm", "2h"), ("--confirm", "x")])
def test_times_that_are_none(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", *words]) == 2


def test_words_that_exclude_each_other() -> None:
    assert main(["reload", "--confirmed", "--rollback"]) == 2
