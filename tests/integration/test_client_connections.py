"""Connections of clients: kept alive, ended when asked, HTTP/1.0, idle limits, slow but honest uploads."""

import json

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}


def test_a_connection_serves_many_requests_of_every_kind(proxy):
    kinds = [
        request_bytes("POST", PATH, CHAT),
        request_bytes("POST", PATH, {**CHAT, "stream": True}),
        request_bytes("GET", "/v1/models"),
        request_bytes("GET", "/nowhere"),
        request_bytes("POST", PATH, {**CHAT, "n": 0}),
    ]
    with proxy.connect() as connection:
        statuses = []
        for _ in range(3):
            for wire in kinds:
                connection.send(wire)
                statuses.append(connection.answer().status)
        assert statuses == [200, 200, 200, 404, 400] * 3


def test_connection_close_is_honoured(proxy):
    for body in (CHAT, {**CHAT, "stream": True}):
        with proxy.connect() as connection:
            connection.send(request_bytes("POST", PATH, body, [("Connection", "close")]))
            answer = connection.answer()
            assert answer.status == 200
            assert answer.complete
            assert connection.closed_within(2.0)


def test_http_1_0_gets_no_chunks(proxy):
    for stream in (False, True):
        wire = request_bytes("POST", PATH, {**CHAT, "stream": stream}).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        with proxy.connect() as connection:
            connection.send(wire)
            answer = connection.answer()
            assert answer.status == 200
            assert answer.head.get("transfer-encoding") is None
            assert connection.closed_within(2.0)
        assert answer.body.endswith(b"data: [DONE]\n\n") if stream else answer.json()["choices"]


def test_head_of_the_model_list(proxy):
    with proxy.connect() as connection:
        connection.send(request_bytes("HEAD", "/v1/models") + request_bytes("GET", "/v1/models"))
        head = connection.answer(to_head=True)
        full = connection.answer()
    assert (head.status, head.body) == (200, b"")
    assert head.head.get("content-length") in (None, str(len(full.body)))


def test_an_idle_connection_is_closed_after_its_time(start_pair):
    _, proxy = start_pair({"limits": {"connections": {"idle": "500ms"}}})
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", "/v1/models"))
        assert connection.answer().status == 200
        assert connection.closed_within(3.0)


def test_an_idle_time_does_not_cut_a_running_request(start_pair):
    _, proxy = start_pair({"limits": {"connections": {"idle": "300ms"}, "head": {"timeout": "300ms"}}})
    answer = proxy.ask("POST", PATH, CHAT, [("x-fake", "slow 1.0")])
    assert answer.status == 200


def test_a_slow_but_honest_upload_is_served(start_pair):
    engine, proxy = start_pair({"limits": {"body": {"stall": "500ms"}}})
    body = json.dumps({**CHAT, "pad": "x" * 8000}).encode()
    head = request_bytes("POST", PATH, body)[: -len(body)]
    with proxy.connect() as connection:
        connection.send(head)
        connection.drip(body, 2000, 0.2)
        assert connection.answer().status == 200
    assert engine.requests[0].body == body


def test_many_clients_at_once(start_pair):
    engine, proxy = start_pair()
    connections = [proxy.connect() for _ in range(100)]
    for number, connection in enumerate(connections):
        body = {**CHAT, "stream": bool(number % 2), "user": f"u{number}"}
        connection.send(request_bytes("POST", PATH, body, [("x-fake", "slow 0.2")]))
    eventually(lambda: len(engine.requests) == 100, "all at the engine")
    for connection in connections:
        answer = connection.answer()
        assert answer.status == 200
        assert answer.complete
        connection.close()
    assert {request.json()["user"] for request in engine.requests} == {f"u{number}" for number in range(100)}


def test_answers_are_never_mixed_up(start_backend, start_proxy):
    engines = [start_backend() for _ in range(2)]
    proxy = start_proxy({"backends": [backend_entry(engine, f"b{i}") for i, engine in enumerate(engines)]})
    connections = [proxy.connect() for _ in range(40)]
    for turn in range(3):
        for number, connection in enumerate(connections):
            content = f"turn {turn} of {number}"
            connection.send(request_bytes("POST", PATH, {**CHAT, "messages": [{"role": "user", "content": content}]}))
        for number, connection in enumerate(connections):
            text = connection.answer().json()["choices"][0]["message"]["content"]
            assert text == f"echo: turn {turn} of {number}"
    for connection in connections:
        connection.close()
