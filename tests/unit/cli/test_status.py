"""`tidegate status` against a port that answers as told."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from proxy.cli.main import main
from tests.unit.report.screen.documents import status


class Admin:
    """Answers each request with `status` and `told`."""

    def __init__(self) -> None:
        self.status, self.told = 200, b"{}"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(outer.status)
                self.send_header("content-length", str(len(outer.told)))
                self.end_headers()
                self.wfile.write(outer.told)

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, told: object, *arguments: str, code: int = 200) -> int:
        """One command, answered so."""
        self.status, self.told = code, told if isinstance(told, bytes) else json.dumps(told).encode()
        return main(["status", "--admin", self.url, *arguments])


@pytest.fixture
def admin() -> Iterator[Admin]:
    made = Admin()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_ready_is_0_and_shown_without_escapes(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.run(status()) == 0
    told = capsys.readouterr()
    assert told.out.startswith("tidegate  ready ")
    assert "\x1b" not in told.out
    assert all(line == line.rstrip() for line in told.out.splitlines())
    assert told.err == ""


def test_not_ready_is_1_and_shown(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.run(status(not_ready="starting")) == 1
    assert "not ready: starting" in capsys.readouterr().out


def test_json_is_the_document(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    document = status(schema=7, something_new={"a": [1]}, not_ready="draining")
    assert admin.run(document, "--json") == 1
    assert json.loads(capsys.readouterr().out) == document


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        (b"<html>", 200, "it is no Tidegate that answers at"),
        ([], 200, "it is no Tidegate that answers at"),
        ({"status": "ok"}, 200, "it is no Tidegate that answers at"),
        ({"schema": True, "classes": {}, "instance": "x"}, 200, "it is no Tidegate"),
        (status(schema=2), 200, "is newer than this program"),
        ({"error": "This port asks for its admin_key."}, 401, "TIDEGATE_ADMIN_KEY says it"),
        ({"error": {"message": "no such path"}}, 404, "it answered 404: no such path"),
        (b"", 500, "it answered 500"),
    ],
)
def test_what_is_no_status_is_said(
    admin: Admin, capsys: pytest.CaptureFixture[str], told: object, code: int, words: str
) -> None:
    assert admin.run(told, code=code) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tidegate status: ")
    assert words in err
