"""Engines that are not there: at start, one of two, all of them, and coming back."""

import time

from tests.faults.asking import PATH, chat, script
from tests.support.bed import backend_entry
from tests.support.deaf_listener import deaf_listener
from tests.support.fake_engine import well_behaved
from tests.support.patience import eventually
from tests.support.port_forwarder import port_forwarder
from tests.support.raw_client import request_bytes

QUICK_PROBES = {"health": {"probe_interval": "200ms", "eject": "300ms", "slow_start": "1s"}}


def test_a_backend_down_at_start_does_not_stop_the_start_and_is_found_later(start_backend, start_proxy):
    engine = start_backend()
    engine.stop()
    started = time.monotonic()
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha")], **QUICK_PROBES}, models=0)
    assert time.monotonic() - started < 6.0
    assert proxy.admin("/livez").status == 200
    answer = proxy.ask("POST", PATH, chat(False))
    assert answer.status in (404, 502, 503)
    assert answer.error["message"]
    engine.start()
    eventually(lambda: proxy.ask("POST", PATH, chat(False)).status == 200, "the engine found", 5.0)


def test_connection_refused_goes_to_the_next_backend(start_backend, start_proxy):
    dead, alive = start_backend(), start_backend()
    proxy = start_proxy({"backends": [backend_entry(dead, "dead"), backend_entry(alive, "alive")]})
    dead.stop()
    for number in range(6):
        answer = proxy.ask("POST", PATH, chat(False), [("x-request-id", f"n-{number}")])
        assert answer.status == 200
        line = proxy.log_line(f"n-{number}")
        assert line["backend"] == "alive"
        assert line["attempts"] in (1, 2)
    assert len(alive.requests) == 6


def all_gone(start_backend, start_proxy, **config):
    engines = [start_backend(), start_backend()]
    entries = [backend_entry(engine, name, models=["fake-model"]) for engine, name in zip(engines, "ab", strict=True)]
    proxy = start_proxy({"backends": entries, **config})
    for engine in engines:
        engine.stop()
    return engines, proxy


def test_all_backends_gone_is_a_503_that_may_be_tried_again(start_backend, start_proxy):
    _, proxy = all_gone(start_backend, start_proxy, hold={"max_wait": "500ms"})
    for stream in (True, False):
        started = time.monotonic()
        answer = proxy.ask("POST", PATH, chat(stream))
        assert 0.4 < time.monotonic() - started < 5.0, "held as long as is allowed"
        assert answer.status == 503
        assert answer.head.get("x-should-retry") is None
        assert int(answer.head.get("retry-after")) >= 1
        assert "reached" in answer.error["message"]


def test_who_waits_for_backends_that_are_gone_is_served_when_one_comes_back(start_backend, start_proxy):
    engines, proxy = all_gone(start_backend, start_proxy)
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(False), [("x-request-id", "patient")]))
        eventually(lambda: proxy.metrics().total("tidegate_held_jobs") == 1, "the hold")
        engines[1].start()
        assert connection.answer(deadline_s=5.0).status == 200
    assert proxy.log_line("patient")["backend"] == "b"


def test_who_waits_for_an_engine_that_is_started_is_pinged_until_it_is_there(start_backend, start_proxy):
    """Longer than for one that is full; where its class asks for pings, nobody in between takes it for dead."""
    more = {
        "hold": {"max_wait": "300ms", "starting": "20s"},
        "classes": [{"name": "waits", "stream": {"ping": "0.1s"}}],
    }
    engines, proxy = all_gone(start_backend, start_proxy, **more)
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(True), [("x-tidegate-class", "waits")]))
        eventually(lambda: proxy.metrics().total("tidegate_held_jobs") == 1, "the hold")
        time.sleep(0.8)
        assert proxy.metrics().total("tidegate_held_jobs") == 1, "longer than max_wait"
        engines[1].start()
        answer = connection.answer(deadline_s=5.0)
    assert answer.status == 200
    assert answer.body.count(b": ping\n") >= 3
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_the_healthy_one_of_many_serves_everybody(start_backend, start_proxy):
    """A rolling restart, or a rack that lost its power: whoever refuses connections costs no request anything."""
    engines = [start_backend() for _ in range(12)]
    entries = [backend_entry(engine, f"b{number}", models=["fake-model"]) for number, engine in enumerate(engines)]
    for policy in ("goodput", "round_robin"):
        proxy = start_proxy({"backends": entries, "routing": {"policy": policy}})
        assert proxy.ask("POST", PATH, chat(False)).status == 200
        for engine in engines[:-1]:
            engine.stop()
        answers = [proxy.ask("POST", PATH, chat(number % 2 == 0)) for number in range(40)]
        assert [answer.status for answer in answers] == [200] * 40
        assert proxy.metrics().total("tidegate_retries_total") == 0, "nothing was sent, so nothing was repeated"
        for engine in engines[:-1]:
            engine.start()


def test_ports_that_lead_to_nobody_cost_nobody_anything(start_backend, start_proxy):
    """A container that is down behind docker-proxy, a tunnel without its far end: connections are taken and closed."""
    alive = start_backend()
    with port_forwarder() as one, port_forwarder() as two:
        urls = [f"http://127.0.0.1:{port}" for port in (one, two)]
        entries = [{"url": url, "models": ["fake-model"]} for url in urls]
        config = {"backends": [*entries, backend_entry(alive, "alive", models=["fake-model"])], **QUICK_PROBES}
        proxy = start_proxy({**config, "routing": {"policy": "round_robin"}})
        eventually(lambda: sum("is down" in line for line in proxy.stderr) == 2, "both probed")
        answers = [proxy.ask("POST", PATH, chat(number % 2 == 0)) for number in range(30)]
        assert [answer.status for answer in answers] == [200] * 30
        assert proxy.metrics().total("tidegate_backend_healthy") == 1
        assert proxy.metrics().total("tidegate_retries_total") == 0


def test_who_answers_behind_a_port_again_is_found(start_backend, start_proxy):
    engine = start_backend()
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha")], **QUICK_PROBES})
    port = engine.port
    engine.stop()
    with proxy.connect() as connection:
        with port_forwarder(port):
            eventually(lambda: any("is down" in line for line in proxy.stderr), "probed")
            connection.send(request_bytes("POST", PATH, chat(False)))
            eventually(lambda: proxy.metrics().total("tidegate_held_jobs") == 1, "held, as where a port is refused")
            assert proxy.metrics().total("tidegate_backend_healthy") == 0
        engine.start()
        assert connection.answer(deadline_s=5.0).status == 200


async def breaks_at_probes(exchange):
    """A small engine of one's own that knows no model list."""
    if exchange.request.is_probe:
        exchange.reset()
    else:
        await well_behaved(exchange)


def test_an_engine_that_closes_probes_alone_is_served(start_backend, start_proxy):
    engine = start_backend(breaks_at_probes)
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha", models=["fake-model"])], **QUICK_PROBES})
    eventually(lambda: len(engine.probes) >= 2, "probes")
    assert proxy.ask("POST", PATH, chat(False)).status == 200
    assert proxy.ask("POST", PATH, chat(False), script("reset")).status == 502
    before = len(engine.probes)
    eventually(lambda: len(engine.probes) >= before + 2, "the look at once, and one more")
    assert proxy.ask("POST", PATH, chat(False)).status == 200


def test_an_ejected_backend_comes_back_by_a_probe(start_backend, start_proxy):
    flaky, steady = start_backend(), start_backend()
    entries = [backend_entry(flaky, "flaky"), backend_entry(steady, "steady")]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}, **QUICK_PROBES})
    flaky.stop()
    for _ in range(12):
        assert proxy.ask("POST", PATH, chat(False)).status == 200

    def healthy() -> float:
        return proxy.metrics().total("tidegate_backend_healthy", backend="flaky")

    eventually(lambda: healthy() == 0, "the ejection", 5.0)
    flaky.start()
    eventually(lambda: healthy() == 1, "the return", 10.0)

    def served() -> bool:
        assert proxy.ask("POST", PATH, chat(False)).status == 200
        return bool(flaky.requests)

    eventually(served, "traffic on the returned backend", 5.0)


def test_a_backend_that_answers_nothing_to_connect_is_given_up_in_time(start_backend, start_proxy):
    alive = start_backend()
    with deaf_listener() as port:
        entries = [
            {"name": "deaf", "url": f"http://127.0.0.1:{port}", "models": ["fake-model"], "connect": "300ms"},
            backend_entry(alive, "alive", models=["fake-model"]),
        ]
        proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}})
        for _ in range(4):
            started = time.monotonic()
            assert proxy.ask("POST", PATH, chat(False)).status == 200
            assert time.monotonic() - started < 2.0
