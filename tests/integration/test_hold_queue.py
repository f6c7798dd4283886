"""A backend with all permits out: jobs are held in order, bounded by number and time, and never while it is idle."""

import time

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
ONE = {"max_concurrency": 1}


def post(script, **more):
    return request_bytes("POST", PATH, {**CHAT, **more}, [("x-fake", script)])


def held(proxy) -> float:
    return proxy.metrics().total("tidegate_held_jobs")


def test_one_at_a_time_in_the_order_of_arrival(start_pair):
    engine, proxy = start_pair(entry=ONE)
    connections = [proxy.connect() for _ in range(5)]
    for number, connection in enumerate(connections):
        connection.send(post("slow 0.1", user=f"u{number}"))
        eventually(lambda number=number: held(proxy) + len(engine.requests) >= number + 1, "arrived")
    for connection in connections:
        assert connection.answer().status == 200
        connection.close()
    assert [request.json()["user"] for request in engine.requests] == [f"u{number}" for number in range(5)]
    for before, after in zip(engine.requests, engine.requests[1:], strict=False):
        assert before.answered_at <= after.received_at


def test_a_stream_keeps_its_permit_to_its_last_byte(start_pair):
    engine, proxy = start_pair(entry=ONE)
    with proxy.connect() as first, proxy.connect() as second:
        first.send(post("stream 10 0.05", stream=True))
        first.answer_head()
        second.send(post("slow 0"))
        eventually(lambda: held(proxy) == 1, "held")
        assert len(engine.requests) == 1
        assert b"".join(first.chunks()).endswith(b"data: [DONE]\n\n")
        assert second.answer().status == 200


def test_more_than_the_queue_takes_is_shed(start_pair):
    engine, proxy = start_pair({"hold": {"min_jobs": 2, "per_in_flight": 0}}, entry=ONE)
    connections = [proxy.connect() for _ in range(3)]
    for number, connection in enumerate(connections):
        connection.send(post("hang"))
        eventually(lambda number=number: held(proxy) == number, f"{number} held")
    answer = proxy.ask("POST", PATH, CHAT, [("x-request-id", "shed")])
    assert answer.status in (429, 503)
    assert answer.error["message"]
    assert float(answer.head.get("retry-after") or 0) > 0
    line = proxy.log_line("shed")
    assert (line["end"], line["outcome"]) == ("PQ", "shed")
    assert len(engine.requests) == 1
    for connection in connections:
        connection.close()


def test_a_hold_ends_after_its_longest_time(start_pair):
    engine, proxy = start_pair({"hold": {"max_wait": "400ms"}}, entry=ONE)
    with proxy.connect() as first:
        first.send(post("hang"))
        engine.wait_for_request()
        started = time.monotonic()
        answer = proxy.ask("POST", PATH, CHAT)
        assert 0.3 < time.monotonic() - started < 2.0
        assert answer.status == 503
        assert float(answer.head.get("retry-after") or 0) > 0


def test_a_clients_own_deadline_ends_the_hold_earlier(start_pair):
    engine, proxy = start_pair(entry=ONE)
    with proxy.connect() as first:
        first.send(post("hang"))
        engine.wait_for_request()
        started = time.monotonic()
        answer = proxy.ask("POST", PATH, CHAT, [("x-stainless-read-timeout", "1")])
        assert time.monotonic() - started < 3.0
        assert answer.status in (408, 503, 504)


def test_the_next_job_starts_when_the_first_client_leaves(start_pair):
    engine, proxy = start_pair(entry=ONE)
    first, second = proxy.connect(), proxy.connect()
    first.send(post("hang"))
    engine.wait_for_request()
    second.send(post("slow 0"))
    eventually(lambda: held(proxy) == 1, "held")
    first.close()
    assert second.answer(deadline_s=2.0).status == 200
    second.close()


def test_another_backends_free_permit_is_used(start_backend, start_proxy):
    a, b = start_backend(), start_backend()
    proxy = start_proxy({"backends": [backend_entry(a, "a", **ONE), backend_entry(b, "b", **ONE)]})
    connections = [proxy.connect() for _ in range(2)]
    for connection in connections:
        connection.send(post("hang"))
    a.wait_for_request()
    b.wait_for_request()
    assert held(proxy) == 0
    for connection in connections:
        connection.close()
