"""An admin port that says what it is told to, for the commands that ask one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

_POLL_S = 0.01


class AdminPort:
    """`answers`: status and what is told, as bytes or to be JSON; the last one is said again and again."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[str] = []
        """Methods and paths."""
        self.key = ""
        """Whoever does not show it is refused; empty: nobody is."""
        port = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                port.asked.append(f"{self.command} {self.path}")
                status, told = port.next(self.headers.get("x-tidegate-admin-key", ""))
                body = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _answer  # noqa: N815 - named by the library

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.address}"

    def next(self, key: str) -> tuple[int, Any]:
        """What is said now to whoever shows this key."""
        if self.key and key != self.key:
            return 401, {"error": "This port asks for its admin_key."}
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def admin_port() -> Iterator[AdminPort]:
    """One that answers until the end."""
    port = AdminPort()
    thread = Thread(target=port.server.serve_forever, args=(_POLL_S,))
    thread.start()
    try:
        yield port
    finally:
        port.server.shutdown()
        thread.join()
        port.server.server_close()
