"""systemd hears when clients can come and when the end begins; without it, or when it is gone, nothing is different."""

import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.asking import PATH, chat
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually


@contextmanager
def manager(kind):
    """A socket as systemd has one, and its name for NOTIFY_SOCKET."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"@tidegate-test-{os.getpid()}" if kind == "abstract" else str(Path(folder, "notify"))
        listening.bind(name.replace("@", "\0"))
        listening.settimeout(15.0)
        yield listening, name


def told(listening):
    return dict(line.split("=", 1) for line in listening.recv(4096).decode().splitlines())


@pytest.fixture
def config(start_backend):
    return {"backends": [backend_entry(start_backend(), "alpha")]}


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_ready_then_stopping(config, kind):
    with manager(kind) as (listening, name), odd_host(config, env={"NOTIFY_SOCKET": name}) as proxy:
        first = told(listening)
        assert first["READY"] == "1"
        assert str(proxy.port) in first["STATUS"]
        assert proxy.ask("POST", PATH, chat(False)).status == 200, "ready means ready"
        assert proxy.stop() == 0
        second = told(listening)
        assert second["STOPPING"] == "1"
        assert "draining" in second["STATUS"]
        assert "drained" in told(listening)["STATUS"]


@pytest.mark.parametrize("name", ["/nowhere/notify", "@nobody-listens", "vsock:2:1", "x" * 200])
def test_a_manager_that_cannot_be_told_changes_nothing(config, name):
    with odd_host(config, env={"NOTIFY_SOCKET": name}) as proxy:
        proxy.ready()
        eventually(lambda: "systemd cannot be told" in proxy.stderr, "a line about it")
        assert "Traceback" not in proxy.stderr
        assert proxy.stop() == 0


def test_a_manager_that_does_not_listen_keeps_nobody(config):
    with manager("path") as (listening, name):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    filler.sendto(b"x" * 64, name)
        with odd_host(config, env={"NOTIFY_SOCKET": name}) as proxy:
            assert proxy.ready().stop() == 0
