"""Cancellation in five phases, for streams and whole answers, by FIN, half-close and RST: the engine is freed at once.

Typical is a few milliseconds; one second is asserted, because the machine is shared.
"""

import time

import pytest

from tests.faults.asking import PATH, chat, script
from tests.support.bed import backend_entry
from tests.support.deaf_listener import deaf_listener
from tests.support.engine_scripts import begin_stream, hang, say
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

FREED_S = 1.0
WAYS = ["close", "half_close", "reset"]


@pytest.fixture(scope="module")
def engine(bed):
    with bed.backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(bed, engine):
    """One permit, so that a second request is held."""
    with bed.proxy({"backends": [backend_entry(engine, "alpha", max_concurrency=1)]}) as process:
        yield process


@pytest.fixture(scope="module")
def black_hole(bed):
    """A proxy whose only backend answers no SYN: its backlog is full."""
    with deaf_listener() as port:
        entry = {"name": "hole", "url": f"http://127.0.0.1:{port}", "models": ["fake-model"]}
        upstream = {"limits": {"upstream": {"connect": "30s"}}, "health": {"probe_interval": "60s"}}
        with bed.proxy({"backends": [entry], **upstream}) as process:
            yield process


def leave(connection, way):
    getattr(connection, way)()


def freed(proxy):
    eventually(lambda: proxy.metrics().total("tidegate_backend_in_flight") == 0, "the permit back", FREED_S)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True])
class TestPhases:
    def test_before_the_first_byte(self, proxy, engine, stream, way):
        connection = proxy.connect()
        connection.send(request_bytes("POST", PATH, chat(stream), script("hang", f"head-{stream}-{way}")))
        request = engine.wait_for_request()
        left_at = time.monotonic()
        leave(connection, way)
        assert eventually(lambda: request.aborted_at, "the engine freed", FREED_S) - left_at < FREED_S
        freed(proxy)
        line = proxy.log_line(f"head-{stream}-{way}")
        assert (line["end"], line["outcome"]) == ("CH", "cancelled")
        connection.close()

    def test_while_held(self, proxy, engine, stream, way):
        with proxy.connect() as first:
            first.send(request_bytes("POST", PATH, chat(False), script("hang")))
            engine.wait_for_request()
            second = proxy.connect()
            second.send(request_bytes("POST", PATH, chat(stream), script("hang", f"held-{stream}-{way}")))
            eventually(lambda: proxy.metrics().total("tidegate_held_jobs") == 1, "the job held")
            leave(second, way)
            eventually(lambda: proxy.metrics().total("tidegate_held_jobs") == 0, "the job gone", FREED_S)
            line = proxy.log_line(f"held-{stream}-{way}")
            assert (line["end"], line["outcome"]) == ("CQ", "cancelled")
            assert len(engine.requests) == 1
            second.close()
        freed(proxy)

    def test_in_the_middle_of_the_answer(self, proxy, engine, stream, way):
        connection = proxy.connect()
        how = "stream 1000 0.01" if stream else "body-then hang"
        connection.send(request_bytes("POST", PATH, chat(stream), script(how, f"mid-{stream}-{way}")))
        request = engine.wait_for_request()
        if stream:
            connection.answer_head()
            assert next(connection.chunks())
        left_at = time.monotonic()
        leave(connection, way)
        assert eventually(lambda: request.aborted_at, "the engine freed", FREED_S) - left_at < FREED_S
        freed(proxy)
        line = proxy.log_line(f"mid-{stream}-{way}")
        assert line["outcome"] == "cancelled"
        assert line["end"] == ("CS" if stream else line["end"])
        connection.close()

    def test_while_the_engine_is_stalled(self, proxy, engine, stream, way):
        connection = proxy.connect()
        how = "stream-then 3 hang" if stream else "body-then hang"
        connection.send(request_bytes("POST", PATH, chat(stream), script(how, f"stall-{stream}-{way}")))
        request = engine.wait_for_request()
        time.sleep(0.1)
        left_at = time.monotonic()
        leave(connection, way)
        assert eventually(lambda: request.aborted_at, "the engine freed", FREED_S) - left_at < FREED_S
        freed(proxy)
        assert proxy.log_line(f"stall-{stream}-{way}")["outcome"] == "cancelled"
        connection.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True])
def test_while_connecting(black_hole, way, stream):
    proxy = black_hole
    name = f"connect-{stream}-{way}"
    connection = proxy.connect()
    connection.send(request_bytes("POST", PATH, chat(stream), script("hang", name)))
    eventually(lambda: proxy.metrics().total("tidegate_backend_in_flight") == 1, "the attempt")
    leave(connection, way)
    freed(proxy)
    line = proxy.log_line(name, FREED_S)
    assert (line["end"], line["outcome"]) == ("CH", "cancelled")
    connection.close()


def test_tokens_so_far_are_counted(start_pair):
    engine, proxy = start_pair()

    async def counted(exchange):
        await begin_stream(exchange)
        for number in range(5):
            await say(exchange, f"t{number} ")
        await hang(exchange)

    engine.scripts["counted"] = counted
    connection = proxy.connect()
    connection.send(request_bytes("POST", PATH, chat(True), script("counted", "tokens")))
    connection.answer_head()
    got = b""
    for piece in connection.chunks():
        got += piece
        if b"t4 " in got:
            break
    connection.close()
    line = proxy.log_line("tokens")
    assert line["outcome"] == "cancelled"
    assert line["completion_tokens"] is not None
    assert line["completion_tokens"] >= 4


def test_two_hundred_clients_that_leave_at_once_leave_nothing_behind(start_pair):
    engine, proxy = start_pair()
    connections = [proxy.connect() for _ in range(200)]
    for number, connection in enumerate(connections):
        how = ("hang", "stream 1000 0.02")[number % 2]
        connection.send(request_bytes("POST", PATH, chat(bool(number % 2)), script(how)))
    engine.wait_for_request(200)
    for connection in connections:
        connection.close()
    eventually(lambda: engine.open_requests == 0, "all engines freed", 3.0)
