"""Few descriptors: neither port starves the other, and the way to the engines stays open."""

import contextlib
import socket
import threading

import pytest

from tests.faults.asking import PATH, chat, script
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, request_bytes

FEW = "ulimit -n 256;"


@pytest.fixture
def engines(start_backend):
    return [start_backend(), start_backend()]


@pytest.fixture
def config(engines):
    entries = [backend_entry(engine, f"engine-{number}") for number, engine in enumerate(engines)]
    health = {"probe_interval": "500ms"}
    return {"backends": entries, "health": health, "routing": {"policy": "round_robin"}}


class Silent:
    """Connections that say nothing."""

    def __init__(self, port, count):
        self.sockets = []
        for _ in range(count):
            connection = socket.socket()
            connection.settimeout(5.0)
            with contextlib.suppress(ConnectionError):
                connection.connect(("127.0.0.1", port))
            self.sockets.append(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.sockets:
            connection.close()


def healthy(proxy):
    return proxy.metrics().total("tidegate_backend_healthy")


def probed(engine):
    return any(request.is_probe for request in engine.received)


def all_is_well(proxy, engines):
    """Both ports answer, and both engines are asked."""
    for engine in engines:
        engine.forget()
    for _ in range(4):
        assert proxy.ask("POST", PATH, chat(False)).status == 200
    assert all(engine.requests for engine in engines)
    for path in ("/livez", "/readyz", "/metrics"):
        assert proxy.admin(path) == 200
    assert healthy(proxy) == len(engines)


def test_silent_connections_to_the_admin_port(config, engines):
    with odd_host(config, "", FEW) as proxy:
        proxy.ready()
        for _ in range(2):
            with Silent(proxy.admin_port, 240):
                all_is_well(proxy, engines)
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.stderr


def test_silent_connections_to_the_data_port(config, engines):
    with odd_host(config, "", FEW) as proxy:
        proxy.ready()
        busy = RawConnection(proxy.address)
        with busy, Silent(proxy.port, 400):
            for _ in range(4):
                busy.send(request_bytes("POST", PATH, chat(False)))
                assert busy.answer().status == 200
            for path in ("/livez", "/readyz", "/metrics"):
                assert proxy.admin(path) == 200
            assert proxy.metrics().total("tidegate_refused_connections_total") > 0
            for engine in engines:
                engine.forget()
            eventually(lambda: all(map(probed, engines)), "probes of both engines")
        all_is_well(proxy, engines)
        assert "is down" not in proxy.stderr
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.stderr


def test_a_storm_of_connections_to_the_data_port(config, engines):
    stop = threading.Event()

    def storm(port):
        while not stop.is_set():
            with Silent(port, 100):
                pass

    with odd_host(config, "", FEW) as proxy:
        busy = RawConnection(proxy.ready().address)
        threads = [threading.Thread(target=storm, args=(proxy.port,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(40):
                busy.send(request_bytes("POST", PATH, chat(False)))
                assert busy.answer().status == 200
                assert proxy.admin("/readyz") == 200
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        busy.close()
        assert healthy(proxy) == len(engines)
        assert "is down" not in proxy.stderr
        assert proxy.stop() == 0


def test_requests_on_every_connection_there_may_be(config, engines):
    """Each of them needs a connection to an engine, and those of the engine asked before are in the way."""
    with odd_host(config, "", FEW) as proxy:
        proxy.ready()
        for _ in range(3):
            connections = [RawConnection(proxy.address) for _ in range(90)]
            for connection in connections:
                connection.send(request_bytes("POST", PATH, chat(False), script("slow 0.3")))
            statuses = []
            for connection in connections:
                with contextlib.suppress(OSError, ValueError):
                    statuses.append(connection.answer().status)
                connection.close()
            assert statuses.count(200) >= 60
            assert set(statuses) <= {200, 503}
        all_is_well(proxy, engines)
        assert "is down" not in proxy.stderr
        assert proxy.stop() == 0


def test_a_low_limit_is_said_and_one_that_can_be_raised_is_raised(config):
    with odd_host(config, "", FEW) as proxy:
        proxy.ready()
        assert "this process may open 256 files" in proxy.stderr
        assert proxy.stop() == 0
    with odd_host(config, "", "ulimit -Sn 256;") as proxy:
        proxy.ready()
        assert "may open" not in proxy.stderr
        assert proxy.metrics().total("process_max_fds") > 8192
        assert proxy.stop() == 0


def test_a_limit_that_nothing_can_be_done_with(config):
    with odd_host(config, "", "ulimit -n 64;") as proxy:
        assert proxy.wait() == 1
        assert "This process may open 64 files; at least 128 are needed" in proxy.stderr
        assert "Traceback" not in proxy.stderr
