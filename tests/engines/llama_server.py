"""A real llama-server in a process of its own: started, watched, killed, started again on the same port.

Owns the process and its slots. What a test expects of it is the test's business.
"""

import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from tests.support.patience import eventually

CONTEXT_TOKENS = 2048
SLOTS = 2
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 10.0
SLOT_POLL_S = 2.0
"""llama-server looks for clients that left only after a second without an answer to anybody, `/slots` included."""


@dataclass(frozen=True)
class Engine:
    """What `make engines` left in the cache."""

    server: Path
    model: Path


def free_port() -> int:
    """A port nobody listens on; llama-server does not say which one it chose for 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


class LlamaServer:
    """One llama-server; `start()` before use, `stop()` at the end."""

    def __init__(self, engine: Engine, alias: str, *options: str) -> None:
        self.alias = alias
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"
        model = ["-m", str(engine.model), "--alias", alias, "-c", str(CONTEXT_TOKENS * SLOTS), "-np", str(SLOTS)]
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        self._command = [str(engine.server), *model, *where, "-t", "1", "--slots", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()

    def start(self) -> Self:
        """Starts it and waits until the model is loaded."""
        assert self._process is None
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)
        eventually(self._is_loaded, f"llama-server {self.alias} ready", START_DEADLINE_S)
        return self

    def signal(self, number: int) -> None:
        """Sends a signal and does not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and gone."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_DEADLINE_S)
        self._process = None

    def stop(self) -> None:
        """Ends it for good."""
        self.kill()
        self._log.close()

    def slots(self) -> list[dict[str, Any]]:
        """The engine's own view of its slots."""
        slots: list[dict[str, Any]] = json.loads(self._get("/slots"))
        return slots

    def wait_until_idle(self, within_s: float) -> list[dict[str, Any]]:
        """The slots once none is at work; AssertionError after `within_s`. Asks no faster than the engine can bear."""
        deadline = time.monotonic() + within_s
        while True:
            time.sleep(SLOT_POLL_S)
            slots = self.slots()
            if not any(slot["is_processing"] for slot in slots):
                return slots
            assert time.monotonic() < deadline, f"still at work after {within_s} s: {slots}"

    def _is_loaded(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"llama-server ended at start\n{self._log_tail()}"
        try:
            return self._get("/health") != b""
        except (urllib.error.URLError, ConnectionError):
            return False

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=5.0) as answer:
            body: bytes = answer.read()
        return body

    def _log_tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-4000:].decode(errors="replace")


@contextmanager
def running_server(engine: Engine, alias: str, *options: str) -> Iterator[LlamaServer]:
    """A llama-server for the length of a block."""
    server = LlamaServer(engine, alias, *options)
    try:
        yield server.start()
    finally:
        server.stop()
