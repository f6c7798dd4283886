"""SIGTERM: not ready, no new connections, running answers finished, the rest told why, exit 0."""

import time

import pytest

from tests.faults.asking import PATH, chat, error_event, script
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, request_bytes


def drain(readiness, streams):
    return {"drain": {"readiness": readiness, "streams": streams}}


def refuses(address):
    try:
        RawConnection(address).close()
    except ConnectionError:
        return True
    return False


def test_a_stream_that_runs_is_finished(start_pair):
    engine, proxy = start_pair(drain("0s", "10s"))
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("stream 20 0.05")))
        engine.wait_for_request()
        proxy.terminate()
        answer = connection.answer()
        assert answer.complete
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert b"t19 " in answer.body
    assert proxy.wait() == 0


def test_a_stream_that_is_too_long_ends_in_an_error_event(start_pair):
    engine, proxy = start_pair(drain("0s", "500ms"))
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("stream 10000 0.05", "long")))
        request = engine.wait_for_request()
        proxy.terminate()
        answer = connection.answer()
        assert error_event(answer)["message"]
    assert proxy.wait() == 0
    eventually(lambda: request.aborted_at, "the engine freed", 1.0)
    line = proxy.log_line("long")
    assert line["end"].startswith("P")
    assert line["fault"] == "draining"


@pytest.mark.parametrize("phase", ["held", "waiting"])
def test_who_has_no_answer_yet_gets_an_error_when_time_is_up(start_pair, phase):
    engine, proxy = start_pair(drain("0s", "500ms"), entry={"max_concurrency": 1})
    with proxy.connect() as first, proxy.connect() as second:
        first.send(request_bytes("POST", PATH, chat(False), script("hang")))
        engine.wait_for_request()
        second.send(request_bytes("POST", PATH, chat(False), script("hang")))
        eventually(lambda: proxy.metrics().total("tidegate_held_jobs") == 1, "the second held")
        proxy.terminate()
        answer = (second if phase == "held" else first).answer()
        assert answer.status == 503
        assert answer.error["message"]
    assert proxy.wait() == 0


def test_not_ready_first_then_closed(start_pair):
    engine, proxy = start_pair(drain("1s", "10s"))
    assert proxy.admin("/readyz").status == 200
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("stream 60 0.05")))
        engine.wait_for_request()
        proxy.terminate()
        eventually(lambda: proxy.admin("/readyz").status == 503, "not ready", 1.0)
        assert proxy.admin("/livez").status == 200
        assert proxy.ask("POST", PATH, chat(False)).status == 200
        eventually(lambda: refuses(proxy.address), "the listener closed", 3.0)
        assert proxy.admin("/readyz").status == 503
        assert connection.answer().body.endswith(b"data: [DONE]\n\n")
    assert proxy.wait() == 0


def test_idle_connections_are_closed_and_busy_ones_close_after_their_answer(start_pair):
    engine, proxy = start_pair(drain("0s", "10s"))
    with proxy.connect() as idle, proxy.connect() as busy:
        idle.send(request_bytes("GET", "/v1/models"))
        assert idle.answer().status == 200
        busy.send(request_bytes("POST", PATH, chat(False), script("slow 0.7")))
        engine.wait_for_request()
        proxy.terminate()
        assert idle.closed_within(2.0)
        assert busy.answer().status == 200
        assert busy.closed_within(2.0)
    assert proxy.wait() == 0


def test_an_idle_proxy_ends_at_once(start_pair):
    _, proxy = start_pair(drain("0s", "30s"))
    started = time.monotonic()
    proxy.terminate()
    assert proxy.wait() == 0
    assert time.monotonic() - started < 3.0


def test_every_request_has_its_log_line_before_the_end(start_pair):
    _, proxy = start_pair(drain("0s", "5s"))
    for number in range(20):
        proxy.ask("POST", PATH, chat(False), [("x-request-id", f"n-{number}")])
    proxy.terminate()
    assert proxy.wait() == 0
    assert {f"n-{number}" for number in range(20)} <= {line.get("id") for line in proxy.log}
