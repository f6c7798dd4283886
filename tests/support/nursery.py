"""Starts proxies quickly: one process imports the product once and forks a child for each start.

A start costs more than a second of imports on a small machine, and there are a hundred of them in a run. The child is a
process of its own with its own pipes, descriptors and loop, as one started by hand; the proxy of the session and the
tests of starting itself are started by hand. `python -m tests.support.nursery FD` is the nursery's own entry point.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from tests.support.patience import eventually

_REQUEST_B = 1 << 16


class Child:
    """A forked proxy, with the methods of `subprocess.Popen` that `ProxyProcess` uses."""

    def __init__(self, nursery: "Nursery", pid: int, stdout: Any, stderr: Any) -> None:
        self._nursery = nursery
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr

    @property
    def returncode(self) -> int | None:
        return self._nursery.statuses.get(self.pid)

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        try:
            eventually(lambda: self.returncode is not None, "the end of the proxy", timeout)
        except AssertionError:
            raise subprocess.TimeoutExpired(f"proxy {self.pid}", timeout) from None
        return self._nursery.statuses[self.pid]

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The test session's end of the nursery."""

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        """Exit status of each child that has ended; negative for a signal."""
        self._pids: list[int] = []
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        with theirs:
            command = [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._reader.start()

    def start(self, arguments: Sequence[str], env: dict[str, str]) -> Child:
        """A child that runs `tidegate ARGUMENTS`."""
        out_r, out_w = os.pipe()
        err_r, err_w = os.pipe()
        before = len(self._pids)
        message = json.dumps({"arguments": list(arguments), "env": env}).encode()
        socket.send_fds(self._socket, [message], [out_w, err_w])
        os.close(out_w)
        os.close(err_w)
        eventually(lambda: len(self._pids) > before, "the fork", 20.0)
        return Child(self, self._pids[before], os.fdopen(out_r, "rb"), os.fdopen(err_r, "rb"))

    def stop(self) -> None:
        """Ends the nursery, and with it every child."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait(10.0)
        self._reader.join(5.0)
        self._socket.close()

    def _read(self) -> None:
        while data := self._socket.recv(_REQUEST_B):
            news = json.loads(data)
            if "started" in news:
                self._pids.append(news["started"])
            else:
                self.statuses[news["ended"]] = news["status"]


def serve_forks(control: socket.socket) -> None:
    """Forks a child per request and reports every end, until the other end closes."""
    import proxy.app.serve
    import proxy.cli.serve  # noqa: F401  # imported once, for all children

    children: set[int] = set()
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([control.fileno(), wake_r], [], [])
        if wake_r in readable:
            os.read(wake_r, 4096)
            _report_ends(control, children)
        if control.fileno() in readable:
            data, fds, _, _ = socket.recv_fds(control, _REQUEST_B, 2)
            if not data:
                break
            pid = _forked(json.loads(data), fds, [control.fileno(), wake_r, wake_w])
            children.add(pid)
            control.send(json.dumps({"started": pid}).encode())
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _report_ends(control: socket.socket, children: set[int]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            children.discard(pid)
            control.send(json.dumps({"ended": pid, "status": os.waitstatus_to_exitcode(status)}).encode())


def _forked(request: dict[str, Any], fds: list[int], ours: list[int]) -> int:
    pid = os.fork()
    if pid:
        for fd in fds:
            os.close(fd)
        return pid
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(fds[0], 1)
    os.dup2(fds[1], 2)
    for fd in [*fds, *ours]:
        os.close(fd)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.update(request["env"])
    from proxy.cli.main import main

    try:
        code = main(request["arguments"])
    except BaseException:  # shown as a started process would show it
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve_forks(connection)
