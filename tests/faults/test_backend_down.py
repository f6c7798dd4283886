"""Engines that are not there: at start, one of two, all of them, and coming back."""

import time

from tests.faults.asking import PATH, chat
from tests.support.bed import backend_entry
from tests.support.deaf_listener import deaf_listener
from tests.support.patience import eventually

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


def test_all_backends_down_is_a_502_that_says_so(start_backend, start_proxy):
    engines = [start_backend(), start_backend()]
    entries = [backend_entry(engine, name, models=["fake-model"]) for engine, name in zip(engines, "ab", strict=True)]
    proxy = start_proxy({"backends": entries})
    for engine in engines:
        engine.stop()
    answer = proxy.ask("POST", PATH, chat(True))
    assert answer.status in (502, 503)
    assert answer.head.get("x-should-retry") == "false"
    assert answer.error["message"]


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
