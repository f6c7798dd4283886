"""The proxy under callgrind: how many instructions it runs in user space while something is done to it."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.cost.lockstep import Address
from tests.support.odd_host import free_port

_START_S = 120.0
_STOP_S = 60.0
_CONTROL_S = 120.0
_AFTER_S = 0.3
"""What a request leaves to be done, metrics and log, is done by then."""
_ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}
_CONFIG = """\
version: 1
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
backends: [{{url: '{engine}', name: alpha}}]
health: {{probe_interval: 1h}}
routing: {{scrape: 0}}
reload: {{watch: false}}
"""
"""Everything at its default, but for what runs by the clock: a busy machine would have more of it per request."""
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class Count(NamedTuple):
    """Of one piece of work."""

    instructions: int
    things: int

    def slope(self, smaller: "Count") -> float:
        """Instructions per thing more."""
        return (self.instructions - smaller.instructions) / (self.things - smaller.things)


class CountedProxy:
    """A proxy in front of one engine, everything at its default."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, address: Address) -> None:
        self.address = address
        self._pid = process.pid
        self._folder = folder

    def begin(self) -> None:
        """From now on instructions are counted; before it runs at a fifth of the cost."""
        self._control("-i", "on")

    def count(self, work: Callable[[], int]) -> Count:
        """What ran while `work` did so many things."""
        self._control("-z")
        things = work()
        time.sleep(_AFTER_S)
        self._control("--dump")
        dump = max(self._folder.glob("callgrind.*"), key=lambda path: path.stat().st_mtime_ns)
        found = _TOTAL.search(dump.read_text(errors="replace"))
        dump.unlink()
        assert found is not None, dump
        return Count(int(found[1]), things)

    def _control(self, *what: str) -> None:
        done = subprocess.run(
            ["callgrind_control", *what, str(self._pid)],
            capture_output=True,
            text=True,
            timeout=_CONTROL_S,
            check=False,
        )
        if "OK" not in done.stdout + done.stderr:
            raise SystemExit(f"callgrind_control {' '.join(what)}: {done.stdout} {done.stderr}")


@contextmanager
def counted_proxy(folder: Path, engine_url: str) -> Iterator[CountedProxy]:
    """One for the length of a block; whatever it writes lies in `folder`."""
    address = ("127.0.0.1", free_port())
    config = folder / "routing.yaml"
    config.write_text(_CONFIG.format(port=address[1], admin=free_port(), engine=engine_url))
    tool = [
        "valgrind",
        "--tool=callgrind",
        "--quiet",
        "--instr-atstart=no",
        f"--callgrind-out-file={folder}/callgrind.%p",
    ]
    program = [sys.executable, "-c", "from proxy.cli.main import main; main()", "serve", str(config)]
    said = folder / "output"
    with said.open("wb") as output:
        process = subprocess.Popen([*tool, *program], stdout=output, stderr=output, env=_ENVIRONMENT)
    try:
        _wait(process, address, said)
        yield CountedProxy(process, folder, address)
    finally:
        process.terminate()
        process.wait(_STOP_S)


def _wait(process: subprocess.Popen[bytes], address: Address, said: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(address) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the proxy did not start: {said.read_text()[-2000:]}")
        time.sleep(0.1)
