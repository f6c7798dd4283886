"""WebSockets through the proxy as an operator starts it: many that vanish, engines that break off, the drain, floods.

After each test the proxy is at rest: no permit, descriptor, connection or task is left of any tunnel.
"""

import json
import socket
import threading
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.patience import eventually
from tests.support.realtime_engine import RealtimeEngine, realtime_engine

CROWD = 40
CONFIG = {
    "realtime": {"connections": CROWD, "per_tenant": CROWD},
    "drain": {"readiness": "0s", "streams": "200ms"},
    "hold": {"max_wait": "200ms"},
}


@pytest.fixture
def pair(bed, start_proxy) -> Iterator[tuple[RealtimeEngine, object]]:
    making = realtime_engine()
    engine = bed.loop.run(making.__aenter__())
    proxy = start_proxy({"backends": [{"url": engine.url, "name": "alpha", "models": ["m"], "kind": "vllm"}], **CONFIG})
    yield engine, proxy
    bed.loop.run(making.__aexit__(None, None, None))


def opened(proxy, **more) -> ClientConnection:
    url = proxy.url.replace("http", "ws", 1)
    connection = connect(f"{url}/v1/realtime?model=m", open_timeout=20, close_timeout=5, **more)
    assert json.loads(connection.recv(timeout=20))["type"] == "session.created"
    return connection


def ended(proxy, how) -> float:
    return proxy.metrics().total("tidegate_realtime_ended_total", end=how)


def in_flight(proxy) -> float:
    return proxy.metrics().total("tidegate_backend_in_flight")


def test_a_crowd_that_vanishes_gives_everything_back(pair):
    engine, proxy = pair
    crowd = [opened(proxy) for _ in range(CROWD)]
    assert in_flight(proxy) == CROWD
    with pytest.raises(InvalidStatus) as told:
        opened(proxy)
    assert told.value.response.status_code == 503
    for connection in crowd[: CROWD // 2]:
        connection.socket.shutdown(socket.SHUT_RDWR)  # not a word
    for connection in crowd[CROWD // 2 :]:
        connection.close()
    eventually(lambda: in_flight(proxy) == 0, "every place is free", 10.0)
    assert ended(proxy, "client_lost") + ended(proxy, "client") == CROWD
    eventually(lambda: len(engine.closes) == CROWD, "the engine knows of each", 10.0)
    opened(proxy).close()


def test_an_engine_that_breaks_off_in_the_middle_of_all(pair, bed):
    engine, proxy = pair
    crowd = [opened(proxy) for _ in range(8)]
    bed.loop.call(lambda: [talk.transport.abort() for talk in engine.talks])
    for connection in crowd:
        with pytest.raises(ConnectionClosed) as told:
            connection.recv(timeout=20)
        assert told.value.rcvd is not None
        assert told.value.rcvd.code == 1014
    eventually(lambda: ended(proxy, "engine_lost") == 8, "it is told", 10.0)


def test_sigterm_closes_what_is_open_after_the_drain(pair):
    engine, proxy = pair
    connection = opened(proxy)
    proxy.terminate()
    with pytest.raises(ConnectionClosed) as told:
        connection.recv(timeout=20)
    assert told.value.rcvd is not None
    assert (told.value.rcvd.code, told.value.rcvd.reason) == (1001, "the proxy is shutting down")
    assert proxy.wait() == 0
    eventually(lambda: engine.closes == [(1001, "the proxy is shutting down")], "the engine is told", 10.0)


@pytest.mark.in_progress(8 << 20)
def test_a_client_that_does_not_read_holds_the_engine_up_and_no_memory(pair):
    _, proxy = pair
    connection = opened(proxy, compression=None, max_size=None, max_queue=1)
    connection.send(json.dumps({"type": "flood", "count": 200, "size": 500_000}))  # 100 MB

    def passed() -> float:
        return proxy.metrics().total("tidegate_realtime_bytes_total", direction="to_client")

    eventually(lambda: passed() > 500_000, "it flows", 10.0)
    got = 0
    while got < 200:
        assert len(connection.recv(timeout=30)) == 500_000
        got += 1
    connection.close()


def test_the_drain_does_not_wait_for_a_client_that_does_not_read(pair):
    _, proxy = pair
    connection = opened(proxy, compression=None, max_size=None, max_queue=1)
    connection.send(json.dumps({"type": "flood", "count": 200, "size": 500_000}))
    eventually(lambda: in_flight(proxy) == 1, "it flows", 10.0)
    proxy.terminate()
    assert proxy.wait() == 0


def test_both_sides_at_once(pair):
    _, proxy = pair
    connection = opened(proxy, compression=None)
    pieces = [bytes([number % 256]) * (number * 997 % 50_000) for number in range(200)]

    def send() -> None:
        for piece in pieces:
            connection.send(piece)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for piece in pieces:
            assert connection.recv(timeout=30) == piece
    finally:
        sender.join(30)
        connection.close()
