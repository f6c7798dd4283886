"""Signals: the first SIGTERM or SIGINT drains and says what, a second one ends at once, SIGHUP reloads, the others
change nothing."""

import json
import signal
import time

import pytest

from tests.faults.asking import PATH, chat, error_event, script
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually, never
from tests.support.raw_client import RawConnection, request_bytes

LONG = {"drain": {"readiness": "0s", "streams": "30s"}}
STOPPING = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def engine(start_backend):
    return start_backend()


def messages(proxy):
    return [json.loads(line)["message"] for line in proxy.stderr.splitlines()]


def logged(proxy, words):
    return eventually(lambda: [m for m in messages(proxy) if words in m], f"a line with {words!r}")[0]


@pytest.fixture
def start(engine):
    def started(**more):
        return odd_host({"backends": [backend_entry(engine, "alpha")], **more}, "", "", "--log-format", "json")

    return started


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2"])
def test_what_has_no_meaning_is_answered_in_the_log(start, name):
    with start() as proxy:
        proxy.ready()
        proxy.signal(signal.Signals[name])
        logged(proxy, name)
        assert proxy.ask("POST", PATH, chat(False)).status == 200
        assert proxy.stop() == 0


def test_sighup_reloads_at_any_time_and_never_kills(start):
    with start(backends=[{"url": "http://192.0.2.1:9", "name": "nowhere"}]) as proxy:
        eventually(lambda: proxy.admin_is_open(), "the admin port", 15.0)
        proxy.signal(signal.SIGHUP)  # it starts still
        logged(proxy, "the configuration was reloaded (SIGHUP): nothing changed")
        proxy.signal(signal.SIGTERM)
        proxy.signal(signal.SIGHUP)  # it ends already
        assert proxy.wait(10.0) == 0


def test_a_broken_pipe_kills_nobody(start):
    with start() as proxy:
        proxy.ready()
        proxy.signal(signal.SIGPIPE)
        never(lambda: proxy.process.poll() is not None, "ended")
        assert proxy.ask("POST", PATH, chat(False)).status == 200
        assert proxy.stop() == 0


@pytest.mark.parametrize("first", STOPPING)
@pytest.mark.parametrize("second", STOPPING)
def test_a_second_one_ends_at_once_and_streams_are_told(start, engine, first, second):
    with start(**LONG) as proxy, RawConnection(proxy.ready().address) as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("stream 10000 0.05")))
        engine.wait_for_request()
        proxy.signal(first)
        logged(proxy, "draining: 1 request running, 30 s at most")
        began = time.monotonic()
        proxy.signal(second)
        assert error_event(connection.answer())["message"]
        assert proxy.wait() == 128 + second
        assert time.monotonic() - began < 2.0
        assert "1 request cut" in messages(proxy)[-1]
        assert second.name in logged(proxy, "ending at once")


def test_a_second_one_does_not_wait_for_readiness_either(start):
    with start(drain={"readiness": "20s", "streams": "20s"}) as proxy:
        proxy.ready()
        proxy.signal(signal.SIGTERM)
        logged(proxy, "draining: 0 requests running, 40 s at most")
        proxy.signal(signal.SIGINT)
        assert proxy.wait(3.0) == 130


def test_a_drain_says_how_it_ended(start, engine):
    with start(drain={"readiness": "0s", "streams": "300ms"}) as proxy, RawConnection(proxy.ready().address) as other:
        other.send(request_bytes("POST", PATH, chat(True), script("stream 10000 0.05")))
        engine.wait_for_request()
        proxy.signal(signal.SIGTERM)
        assert error_event(other.answer())["message"]
        assert proxy.wait() == 0
        assert messages(proxy)[-1].startswith("drained: 1 request cut after 0.")


def test_a_drain_without_requests_says_so_too(start):
    with start() as proxy:
        proxy.ready()
        assert proxy.stop() == 0
        assert messages(proxy)[-1].startswith("drained: every request ended within")


def test_the_end_asked_for_during_the_start_is_not_forgotten(start):
    with start(backends=[{"url": "http://192.0.2.1:9", "name": "nowhere"}]) as proxy:
        eventually(lambda: proxy.admin_is_open(), "the admin port", 15.0)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(5.0) == 0
