"""Commands that find the admin port in the configuration: its key goes along, and what it answers is told as it is."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from proxy.cli.main import main

KEY = "key-of-the-admin-port-0123456789"
TOLD = {
    "/slo": {"slos": []},
    "/backends": {"backends": {}},
    "/prefix": {"requests": 0, "looked_at": 0, "findings": [], "silent": []},
}
COMMANDS = (("slo", "status"), ("backends",), ("prefix", "report"))


class Guarded:
    """An admin port with a key."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("x-tidegate-admin-key") == KEY
                body = json.dumps(TOLD[self.path] if known else {"error": "This port asks for its admin_key."}).encode()
                self.send_response(200 if known else 401)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    monkeypatch.delenv("TIDEGATE_ADMIN_KEY", raising=False)
    port = Guarded()
    yield port
    port.server.shutdown()
    port.server.server_close()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_key_in_the_configuration_goes_along(command: tuple[str, ...], guarded: Guarded, tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(
        f"version: 1\nadmin: {guarded.address}\nadmin_key: {KEY}\nauth: none\nbackends: [{{name: a, url: http://127.0.0.1:1}}]\n"
    )
    assert main([*command, str(file)]) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_that_refuses_has_answered(
    command: tuple[str, ...], guarded: Guarded, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{guarded.address}"
    assert main([*command, "--admin", url]) == 1
    words = "it answered 401: This port asks for its admin_key. TIDEGATE_ADMIN_KEY says it."
    assert capsys.readouterr().err == f"tidegate {command[0]}: {url}: {words}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_key_in_the_environment(
    command: tuple[str, ...], guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_ADMIN_KEY", KEY)
    assert main([*command, "--admin", f"http://{guarded.address}"]) == 0
