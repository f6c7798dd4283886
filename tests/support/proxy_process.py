"""The proxy in a process of its own, started as an operator starts it, watched through its files, pipes and ports.

Owns start, addresses, log lines and the end. What a test expects of any of them is the test's business.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.memory import is_ready
from tests.support.nursery import Nursery
from tests.support.patience import eventually
from tests.support.raw_client import RawAnswer, RawConnection, ask

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 20.0
_LISTENING = re.compile(r"listening on https?://127\.0\.0\.1:(\d+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ADMIN = re.compile(r"admin on https?://127\.0\.0\.1:(\d+)")

Config = dict[str, Any]

TEST_DEFAULTS: Config = {
    "version": 1,
    "drain": {"readiness": "0s", "streams": "5s"},
    "headers": {"forward": ["x-fake", "x-case"]},
}
"""What every test configuration starts from: a quick stop, and the headers that script a fake engine."""


def merged(base: Config, over: Config) -> Config:
    """`over` on top of `base`, group by group."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


class ProxyProcess:
    """A started proxy. `listening()` first, then use `address`."""

    def __init__(
        self, config: Config, *arguments: str, env: dict[str, str] | None = None, nursery: Nursery | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tidegate-test-")
        self.config_path = Path(self._folder.name) / "routing.yaml"
        self.config_path.write_text(yaml.safe_dump(merged(TEST_DEFAULTS, config)))
        self.log: list[dict[str, Any]] = []
        """Access-log lines."""
        self.other_stdout: list[str] = []
        """Lines of stdout that are no JSON object: there should be none."""
        self.stderr: list[str] = []
        command = ["serve", str(self.config_path), "--log-format", "json", "--admin", "127.0.0.1:0", *arguments]
        if "--listen" not in arguments:
            command += ["--listen", "127.0.0.1:0"]
        self.process = nursery.start(command, env or {}) if nursery else _started(command, env or {})
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._on_stdout), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.stderr.append), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.port = 0
        self.admin_port = 0

    # life

    def listening(self) -> "ProxyProcess":
        """Waits for the banner with both addresses."""
        eventually(self._addresses_known, "both addresses in the start banner", START_DEADLINE_S)
        return self

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, within_s: float = STOP_DEADLINE_S) -> int:
        """The exit status; kills the process and fails when it does not end in time."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the proxy did not end within {within_s} s\n{self.error_text}") from None
        finally:
            self._close()

    def stop(self) -> int:
        """SIGTERM and wait; safe to call when it has ended."""
        if self.process.poll() is None:
            self.terminate()
        return self.wait()

    def _close(self) -> None:
        for reader in self._readers:
            reader.join(5.0)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()

    # addresses

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    # asking

    def connect(self, receive_buffer_b: int | None = None) -> RawConnection:
        return RawConnection(self.address, receive_buffer_b)

    def ask(self, method: str, target: str, body: Any = None, headers: Any = None, **more: Any) -> RawAnswer:
        """One request to the data port."""
        return ask(self.address, method, target, body, headers, **more)

    def admin(self, target: str, host: str = "localhost") -> RawAnswer:
        """One GET to the admin port."""
        with RawConnection(("127.0.0.1", self.admin_port)) as connection:
            connection.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return connection.answer()

    def metrics(self) -> "Metrics":
        """The exposition of the admin port, parsed."""
        with urllib.request.urlopen(f"{self.admin_url}/metrics", timeout=5.0) as answer:
            return Metrics(answer.read().decode())

    # watching

    @property
    def error_text(self) -> str:
        return "\n".join(self.stderr)

    def rss_b(self) -> int:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def log_line(self, request_id: str, within_s: float = 3.0) -> dict[str, Any]:
        """The access-log line of a request."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.log if line.get("id") == request_id), None)

        line = eventually(found, f"a log line of {request_id}", within_s)
        assert line is not None
        return line

    def _addresses_known(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the proxy ended with {self.process.returncode} at start\n{self.error_text}")
        text = self.error_text
        port, admin = _LISTENING.search(text), _ADMIN.search(text)
        if port and admin:
            self.port, self.admin_port = int(port[1]), int(admin[1])
        return bool(port and admin)

    def _on_stdout(self, line: str) -> None:
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            self.log.append(value)
        else:
            self.other_stdout.append(line)

    @staticmethod
    def _read(pipe: Any, on_line: Any) -> None:
        for line in pipe:
            on_line(line.decode("utf-8", "backslashreplace").rstrip("\n"))


def _started(arguments: list[str], env: dict[str, str]) -> "subprocess.Popen[bytes]":
    """As an operator starts it."""
    command = [sys.executable, "-m", "proxy.cli.main", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env})


class Metrics:
    """An exposition as text, and sums over its samples. Read with two expressions: a full parse of every scrape would
    cost the suite half a minute; the test of the format itself uses the reference parser."""

    def __init__(self, text: str) -> None:
        self.text = text

    def total(self, name: str, /, **labels: str) -> float:
        """Sum of a metric's samples that carry these labels; a metric without samples counts 0."""
        wanted = labels.items()
        return sum(value for found, value in self._samples(name) if wanted <= found.items())

    def has(self, name: str) -> bool:
        """Whether a sample of this name is there."""
        return any(True for _ in self._samples(name))

    def _samples(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        for match in re.finditer(rf"^{name}(?:\{{(.*)\}})? (\S+)$", self.text, re.MULTILINE):
            yield dict(_LABEL.findall(match[1] or "")), float(match[2])


def assert_clean(proxy: ProxyProcess) -> None:
    """No traceback, no stray line of output."""
    assert "Traceback" not in proxy.error_text, proxy.error_text
    assert not proxy.other_stdout, proxy.other_stdout


def ready(proxy: ProxyProcess, models: int, within_s: float = 60.0) -> None:
    """Waits until the proxy lists so many models: probes have found them out."""

    def listed() -> bool:
        return len(proxy.ask("GET", "/v1/models").json()["data"]) >= models

    try:
        eventually(listed, f"{models} models listed", within_s)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{proxy.error_text}") from None
    is_ready(proxy.process.pid)


@contextmanager
def running_proxy(
    config: Config, *arguments: str, env: dict[str, str] | None = None, nursery: Nursery | None = None
) -> Iterator[ProxyProcess]:
    """A proxy for the length of a block; it has to end with 0 and without a traceback."""
    proxy = ProxyProcess(config, *arguments, env=env, nursery=nursery)
    try:
        yield proxy.listening()
    finally:
        code = proxy.stop()
    assert code == 0, (code, proxy.error_text)
    assert_clean(proxy)
