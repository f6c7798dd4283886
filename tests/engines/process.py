"""A real engine in a process of its own: started on a free port, watched, killed, started again on the same port.

Owns the process and its log. How an engine is asked whether it is ready, or at work, its kind says.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar, Self, TypeVar

from tests.support.patience import eventually

STOP_DEADLINE_S = 30.0
E = TypeVar("E", bound="EngineProcess")
SAMPLES = 25
SAMPLE_S = 0.02
LOG_TAIL_B = 16_000


def free_port() -> int:
    """A port nobody listens on; engines do not say which one they chose for 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


class EngineProcess:
    """One engine; `start()` before use, `stop()` at the end."""

    kind: ClassVar[str]
    """What Tidegate calls this kind of engine."""
    start_within_s: ClassVar[float] = 60.0
    ready_path: ClassVar[str] = "/health"

    def __init__(self, model: str) -> None:
        self.model = model
        """The name that requests ask for."""
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()

    # what a kind says

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return {}

    def cwd(self) -> Path | None:
        return None

    def jobs(self) -> int:
        """How many requests the engine has, at work or waiting, in its own words or by what its threads do."""
        raise NotImplementedError

    # life

    def start(self) -> Self:
        """Starts it and waits until it is ready."""
        self.spawn()
        eventually(self.is_ready, f"{self.kind} {self.model} ready", self.start_within_s)
        return self

    def spawn(self) -> None:
        """Starts it and does not wait."""
        assert self._process is None
        self._process = subprocess.Popen(
            self.command(),
            stdout=self._log,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment()},
            cwd=self.cwd(),
            start_new_session=True,  # an engine of several processes ends as a whole
        )

    def signal(self, number: int) -> None:
        """Sends a signal and does not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to all of its processes, and gone."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_DEADLINE_S)
        self._process = None

    def revive(self) -> None:
        """Starts it again where it has ended; one that is ending is killed first."""
        if self._process is None or self._process.poll() is not None or not self.is_ready():
            self.kill()
            self.start()

    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends it for good."""
        self.kill()
        self._log.close()

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.kind} ended at start\n{self.log_tail()}"
        try:
            self.get(self.ready_path)
        except (OSError, urllib.error.URLError):
            return False
        return True

    # watching

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5.0) as answer:
            body: bytes = answer.read()
        return body.decode()

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def wait_until_idle(self, within_s: float) -> object:
        """Returns once the engine has no request; AssertionError after `within_s`."""
        return eventually(lambda: self.jobs() == 0, f"{self.kind} at rest", within_s)

    def busy_threads(self) -> int:
        """Threads able to run in a fifth of the samples of half a second, whoever has the processor."""
        assert self._process is not None
        seen = sorted(_runnable(self._process.pid) for _ in _paced(SAMPLES))
        return seen[-1 - SAMPLES // 5]

    def log_tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-LOG_TAIL_B:].decode(errors="replace")


def _paced(count: int) -> Iterator[None]:
    for _ in range(count):
        yield
        time.sleep(SAMPLE_S)


def _runnable(pid: int) -> int:
    """Threads of a process that compute or wait for a processor to do so."""
    count = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            stat = (task / "stat").read_text()
        except OSError:
            continue  # it ended meanwhile
        count += stat.rpartition(")")[2].split()[0] == "R"
    return count


@contextmanager
def running(engine: E) -> Iterator[E]:
    """An engine for the length of a block."""
    try:
        yield engine.start()
    finally:
        engine.stop()
