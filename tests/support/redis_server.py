"""A real Redis (or Valkey) for one test: started on a free port, stopped, frozen, filled, restarted."""

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.patience import eventually

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="NO redis-server HERE: apt-get install redis-server")


class RedisServer:
    """One process at a time, always on the same port."""

    def __init__(self, folder: str, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert PROGRAM is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = [PROGRAM, *options, "--dir", self._folder, *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, "the redis-server", 10.0)

    def stop(self) -> None:
        """As by kill -9: nothing is said good-bye to."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It takes connections and bytes, and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str | bytes) -> bytes:
        """What it answers to one command, as it came."""
        with socket.create_connection(("127.0.0.1", self.port), 5.0) as connection:
            parts = [word.encode() if isinstance(word, str) else word for word in words]
            asked = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
            connection.sendall(asked)
            return connection.recv(1 << 20)

    def keys(self, pattern: str) -> list[bytes]:
        """Names that fit, as bytes between their lengths."""
        answer = self.command("KEYS", pattern)
        found, rest = [], answer.partition(b"\r\n")[2]
        while rest.startswith(b"$"):
            length, _, rest = rest[1:].partition(b"\r\n")
            found.append(rest[: int(length)])
            rest = rest[int(length) + 2 :]
        return found

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """A started one."""
    with tempfile.TemporaryDirectory(prefix="tidegate-redis-") as folder:
        server = RedisServer(str(Path(folder)), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
