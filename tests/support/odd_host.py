"""A proxy on an odd host: started by a shell, so that its streams can be closed, full or unread and its limits low.

Its addresses are chosen beforehand, since nobody may be able to read where it listens.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.memory import is_ready
from tests.support.patience import eventually
from tests.support.proxy_process import START_DEADLINE_S, STOP_DEADLINE_S, TEST_DEFAULTS, Config, Metrics, merged
from tests.support.raw_client import RawAnswer, RawConnection, ask, request_bytes

PIPE_B = 1 << 16


def free_port() -> int:
    """Nobody listens there at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OddHost:
    """`redirections` and `before` are the shell's: `>&-`, `ulimit -n 256;`. Both logs are files at first."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        redirections: str = "",
        before: str = "",
        *arguments: str,
        env: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self._out, self._err = folder / "stdout", folder / "stderr"
        file = folder / "routing.yaml"
        listeners = {"listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin_port}"}
        file.write_text(yaml.safe_dump(merged(TEST_DEFAULTS, {**config, **listeners})))
        words = " ".join([sys.executable, "-m", "proxy.cli.main", "serve", str(file), *arguments])
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", f"{before} exec {words} {redirections}"],
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                pass_fds=pass_fds,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def ready(self, models: int = 1) -> "OddHost":
        """Waits until it lists so many models."""
        eventually(lambda: self._lists(models), "a proxy that is ready", START_DEADLINE_S)
        is_ready(self.process.pid)
        return self

    def ask(self, method: str, target: str, body: Any = None, headers: Any = None, **more: Any) -> RawAnswer:
        """One request to the data port."""
        return ask(self.address, method, target, body, headers, **more)

    def ask_often(self, times: int, method: str, target: str, body: Any = None) -> list[int]:
        """Statuses of requests on one connection, one after the other."""
        with RawConnection(self.address) as connection:
            statuses = []
            for _ in range(times):
                connection.send(request_bytes(method, target, body))
                statuses.append(connection.answer().status)
            return statuses

    def admin(self, target: str) -> int:
        """Status of a GET on the admin port."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{target}", timeout=5.0) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def admin_is_open(self) -> bool:
        """Whether anybody listens there."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.admin_port)) == 0

    def metrics(self) -> Metrics:
        """The exposition of the admin port, parsed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=5.0) as answer:
            return Metrics(answer.read().decode())

    def signal(self, number: signal.Signals) -> None:
        """Sends it."""
        self.process.send_signal(number)

    def wait(self, within_s: float = STOP_DEADLINE_S) -> int:
        """The exit status; negative for a signal."""
        try:
            return self.process.wait(within_s)
        finally:
            self.kill()

    def stop(self, within_s: float = STOP_DEADLINE_S) -> int:
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(within_s)

    def kill(self) -> None:
        """Harmless when it has ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _lists(self, models: int) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}: {self.stderr}")
        try:
            return len(self.ask("GET", "/v1/models").json()["data"]) >= models
        except (OSError, ValueError):
            return False


@contextmanager
def odd_host(config: Config, *shell: str, **more: Any) -> Iterator[OddHost]:
    """One for the length of a block; nothing of it is left behind."""
    with tempfile.TemporaryDirectory(prefix="tidegate-odd-") as folder:
        host = OddHost(Path(folder), config, *shell, **more)
        try:
            yield host
        finally:
            host.kill()


@contextmanager
def unread_pipe() -> Iterator[tuple[int, int]]:
    """A pipe full to the brim: who writes there waits until somebody reads. Its reading and its writing end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"\n" * PIPE_B)
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)
