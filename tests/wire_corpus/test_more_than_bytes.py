"""Rows of the table that one request cannot show: many requests, many connections, a decoy that must see nothing."""

import json
import time

import pytest

from tests.support.engine_scripts import SCRIPTS
from tests.support.http_bytes import BadMessageError
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, request_bytes
from tests.wire_corpus.expectations import assert_good, assert_output_is_clean

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}


def test_b26_two_hundred_pipelined_requests_are_answered_in_order_or_the_connection_closed(start_pair):
    _, proxy = start_pair()
    wire = b"".join(
        request_bytes("POST", "/v1/chat/completions", CHAT, [("x-request-id", f"n-{number}")]) for number in range(200)
    )
    with proxy.connect() as connection:
        connection.send(wire)
        ids = []
        try:
            while len(ids) < 200:
                answer = connection.answer()
                ids.append(answer.head.get("x-request-id"))
        except BadMessageError:
            pass
    assert ids[:1] == ["n-0"]
    assert ids == [f"n-{number}" for number in range(len(ids))]
    assert_good(proxy)


def test_b26_pipelined_requests_wait_for_a_slow_first_one_within_a_bound(start_pair):
    engine, proxy = start_pair()
    slow = request_bytes("POST", "/v1/chat/completions", CHAT, [("x-fake", "hang")])
    with proxy.connect() as connection:
        connection.send(slow + request_bytes("POST", "/v1/chat/completions", CHAT) * 200)
        engine.wait_for_request()
        time.sleep(0.1)
        assert len(engine.requests) == 1
    eventually(lambda: engine.open_requests == 0, "the abort of the first")
    assert len(engine.requests) == 1


def test_b46_a_client_that_waits_for_100_gets_it_before_its_body(proxy, engine):
    data = request_bytes("POST", "/v1/chat/completions", CHAT, [("Expect", "100-continue")])
    head, end, body = data.partition(b"\r\n\r\n")
    with proxy.connect() as connection:
        connection.send(head + end)
        assert connection.answer_head(3.0).status == 100
        connection.send(body)
        assert connection.answer().status == 200
    assert engine.requests[-1].header("expect") is None


def test_b46_a_body_over_the_limit_gets_no_100(proxy):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
    with proxy.connect() as connection:
        connection.send(head)
        assert connection.answer_head(3.0).status == 413


def test_b65_no_field_or_header_of_a_request_chooses_the_destination(proxy, engine, start_backend):
    decoy = start_backend()
    body = {**CHAT, "api_base": decoy.url, "base_url": f"{decoy.url}/v1", "api_key": "k", "user_config": {}}
    headers = [("X-Forwarded-Host", f"127.0.0.1:{decoy.port}"), ("X-Api-Base", decoy.url)]
    wire = request_bytes("POST", f"http://127.0.0.1:{decoy.port}/v1/chat/completions", body, headers)
    wire = wire.replace(b"Host: proxy.test", f"Host: 127.0.0.1:{decoy.port}".encode())
    with proxy.connect() as connection:
        connection.send(wire)
        assert connection.answer().status == 200
    assert engine.requests[-1].body == json.dumps(body).encode()
    assert decoy.connections_total == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_b80_a_redirect_is_a_502_and_the_decoy_sees_nothing(start_pair, start_backend, status):
    decoy = start_backend()
    engine, proxy = start_pair()

    async def redirect(exchange):
        exchange.arguments = [str(status), "moved", "None", f"location={decoy.url}/v1/chat/completions"]
        await SCRIPTS["status"](exchange)

    engine.scripts["elsewhere"] = redirect
    answer = proxy.ask("POST", "/v1/chat/completions", CHAT, [("x-fake", "elsewhere")])
    assert answer.status == 502
    assert answer.error["message"]
    assert answer.head.get("location") is None
    assert str(decoy.port).encode() not in answer.body
    assert decoy.connections_total == 0


@pytest.mark.parametrize("ending", ["end", "close"])
def test_b83_a_missing_done_is_not_invented(proxy, ending):
    answer = proxy.ask(
        "POST", "/v1/chat/completions", {**CHAT, "stream": True}, [("x-fake", f"stream-then 2 {ending}")]
    )
    assert b"[DONE]" not in answer.body
    assert b"t1 " in answer.body
    line = proxy.log_line(answer.head.get("x-request-id") or "")
    assert line["end"] == "US"
    assert line["outcome"] == "failed"


def test_b76_connections_over_the_cap_are_refused_and_the_others_served(start_pair):
    _, proxy = start_pair({"limits": {"connections": {"max": 40}}})
    connections = [RawConnection(proxy.address) for _ in range(200)]
    try:
        eventually(lambda: proxy.metrics().total("tidegate_refused_connections_total") >= 100, "refused connections")
        assert proxy.metrics().total("tidegate_client_connections") <= 40
        first = connections[0]
        assert connections[-1].read_some(3.0)[:12] in (b"", b"HTTP/1.1 503")
        first.send(request_bytes("POST", "/v1/chat/completions", CHAT))
        assert first.answer().status == 200
    finally:
        for connection in connections:
            connection.close()
    eventually(lambda: proxy.metrics().total("tidegate_client_connections") == 0, "all gone")
    assert_good(proxy)
    assert_output_is_clean(proxy)
