"""A collector that is down, slow, refuses or comes back: requests and the drain go on, it is said once, and counted."""

import json
import signal
import threading
import time

import pytest

from tests.faults.asking import CHAT, PATH
from tests.support.bed import backend_entry
from tests.support.odd_host import free_port, odd_host
from tests.support.otlp_receiver import otlp_receiver
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection

REQUESTS = 100


@pytest.fixture
def start(start_backend):
    engine = backend_entry(start_backend(), "alpha")

    def started(url, **more):
        telemetry = {"endpoint": url, "interval": "500ms", "timeout": "1s"}
        config = {"backends": [engine], "telemetry": telemetry, "drain": {"readiness": "0s", "streams": "2s"}, **more}
        return odd_host(config, "", "", "--log-format", "json")

    return started


def said(proxy):
    return [json.loads(line)["message"] for line in proxy.stderr.splitlines() if "collector" in line]


def lost(proxy):
    return proxy.metrics().total("tidegate_traces_dropped_total")


def serves(proxy):
    statuses = proxy.ask_often(REQUESTS, "POST", PATH, CHAT)
    assert set(statuses) == {200}


def stops(proxy, within_s):
    began = time.monotonic()
    assert proxy.stop() == 0
    assert time.monotonic() - began < within_s
    assert "Traceback" not in proxy.stderr


@pytest.mark.parametrize("ill", ["down", "refuses", "busy"])
def test_what_it_does_not_take_is_counted_and_said_once(start, ill):
    with otlp_receiver() as receiver:
        receiver.status = {"down": 200, "refuses": 401, "busy": 503}[ill]
        url = f"http://127.0.0.1:{free_port()}" if ill == "down" else receiver.url
        with start(url) as proxy:
            proxy.ready()
            serves(proxy)
            eventually(lambda: lost(proxy) >= REQUESTS, "spans that are lost", 8.0)
            assert proxy.metrics().total("tidegate_telemetry_exports_total", signal="spans", result="failed") > 0
            serves(proxy)
            stops(proxy, 6.0)
            assert len(said(proxy)) == 1
            assert "does not take telemetry" in said(proxy)[0]


def test_one_that_stands_still_keeps_neither_requests_nor_the_end(start):
    with otlp_receiver() as receiver:
        receiver.delay_s = 60.0
        with start(receiver.url, telemetry={"endpoint": receiver.url, "interval": "500ms", "timeout": "60s"}) as proxy:
            proxy.ready()
            serves(proxy)
            eventually(lambda: receiver.asked, "an export that hangs", 5.0)
            serves(proxy)
            stops(proxy, 7.0)
            assert any("took too long at the end" in line for line in said(proxy))


def test_a_second_signal_waits_for_no_collector(start):
    with otlp_receiver() as receiver:
        receiver.delay_s = 60.0
        with start(receiver.url, telemetry={"endpoint": receiver.url, "timeout": "60s"}) as proxy:
            proxy.ready()
            serves(proxy)
            eventually(lambda: receiver.asked, "an export that hangs", 5.0)
            proxy.signal(signal.SIGTERM)
            eventually(lambda: "draining" in proxy.stderr, "the drain")
            proxy.signal(signal.SIGTERM)
            assert proxy.wait(4.0) in (0, 143)


def test_one_that_comes_later_gets_all_that_is_counted(start):
    port = free_port()
    with start(f"http://127.0.0.1:{port}") as proxy:
        proxy.ready()
        serves(proxy)
        eventually(lambda: said(proxy), "that it is away", 8.0)
        with otlp_receiver(port) as receiver:

            def requests():
                found = receiver.metrics().get("gen_ai.server.request.duration")
                return 0 if found is None else sum(point.count for point in found.histogram.data_points)

            eventually(lambda: requests() == REQUESTS, "the totals since the start", 8.0)
            serves(proxy)
            stops(proxy, 6.0)
            assert requests() == 2 * REQUESTS
            assert len([span for span in receiver.spans if span.kind == 2 and "chat" in span.name]) >= REQUESTS
            assert "takes telemetry again" in said(proxy)[1]


def test_the_last_spans_are_sent_at_the_end(start):
    with otlp_receiver() as receiver:
        with start(receiver.url, telemetry={"endpoint": receiver.url, "interval": "1h"}) as proxy:
            proxy.ready()
            serves(proxy)
            stops(proxy, 6.0)
        own = [span for span in receiver.spans if span.name == "POST chat.completions"]
        assert len(own) == REQUESTS
        assert receiver.metrics()["gen_ai.server.request.duration"].histogram.data_points[0].count == REQUESTS


def test_odd_headers_under_load_break_nothing(start):
    """Of many clients at once, each with a header that is none."""
    odd = [
        "",
        "00",
        "0" * 5000,
        "00-" + "g" * 32 + "-" + "1" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "é",
    ]

    def client(proxy, header):
        with RawConnection(proxy.address) as connection:
            body = json.dumps(CHAT).encode()
            head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\ntraceparent: {header}\r\n"
            for _ in range(20):
                connection.send(head.encode("latin-1") + b"content-length: %d\r\n\r\n" % len(body) + body)
                assert connection.answer().status == 200

    with otlp_receiver() as receiver, start(receiver.url) as proxy:
        proxy.ready()
        clients = [threading.Thread(target=client, args=(proxy, header)) for header in odd]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        stops(proxy, 6.0)
        own = [span for span in receiver.spans if span.name == "POST chat.completions"]
        assert len(own) == 20 * len(odd)
        assert len({span.trace_id for span in own}) == len(own)
