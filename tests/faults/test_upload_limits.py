"""An upload is limited by its rate and its pauses alone; what stands around a body has a bound of its own."""

import json
import time

import pytest

from proxy.model.limits import BodyLimits
from tests.faults.asking import PATH, chat
from tests.support.memory import MIB, memory_peak
from tests.support.raw_client import request_bytes

CHUNKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def test_a_steady_upload_takes_as_long_as_it_takes(start_pair):
    """With limits of fractions of a second, a body that lasts ten times as long."""
    engine, proxy = start_pair({"limits": {"body": {"stall": "500ms", "min_rate": "1KiB"}}})
    data = request_bytes("POST", PATH, chat(False, pad="x" * 50_000))
    with proxy.connect() as connection:
        assert connection.drip(data[:-1], size=1000, pause_s=0.1)
        connection.send(data[-1:])
        assert connection.answer().status == 200
    assert len(engine.requests) == 1


def test_by_default_a_steady_upload_has_no_end():
    """12 MB at 1.3 Mbit/s take 75 s."""
    assert BodyLimits().timeout is None
    assert BodyLimits().min_rate * 75 < 12 * MIB


@pytest.mark.parametrize(("size", "pause_s"), [(10, 0.1), (2000, 1.5)])
def test_too_slow_or_stalled(start_pair, size, pause_s):
    engine, proxy = start_pair({"limits": {"body": {"stall": "700ms", "min_rate": "1KiB"}}})
    data = request_bytes("POST", PATH, chat(False, pad="x" * 50_000))
    begin = time.monotonic()
    with proxy.connect() as connection:
        connection.drip(data, size=size, pause_s=pause_s)
        answer = connection.answer()
    assert answer.status == 408
    assert answer.error["code"] == "request_timeout"
    assert time.monotonic() - begin < 6.0
    assert not engine.requests


BODY = json.dumps(chat(False, pad="x" * (4 * MIB))).encode()
ENDLESS = {
    "one trailer": (b"%x\r\n%b\r\n0\r\nx: " % (len(BODY), BODY), b"y" * 65536),
    "a trailer's name": (b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY), b"y" * 65536),
    "many trailers": (b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY), b"x: y\r\n" * 10_000),
    "a chunk extension": (b"%x\r\n%b\r\n2;" % (len(BODY), BODY), b"y" * 65536),
    "the first chunk's extension": (b"2;", b"y" * 65536),
    "a chunk extension's quoted value": (b'%x\r\n%b\r\n2;a="' % (len(BODY), BODY), b"y" * 65536),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_is_no_body_is_refused_while_it_is_read(start_pair, what):
    engine, proxy = start_pair()
    proxy.ask("POST", PATH, chat(False, pad="x" * (4 * MIB)))
    engine.forget()
    begin, more = ENDLESS[what]
    with memory_peak(proxy) as memory, proxy.connect() as connection:
        connection.send(CHUNKED + begin)
        for _ in range(52 * MIB // len(more)):
            if not connection.send(more):
                break
        answer = connection.answer()
    assert answer.status in (400, 431)
    assert answer.error["message"]
    memory.assert_at_most(len(begin))
    assert not engine.requests


def test_honest_trailers_and_extensions_pass(start_pair):
    engine, proxy = start_pair()
    body = json.dumps(chat(False)).encode()
    with proxy.connect() as connection:
        connection.send(CHUNKED + b"%x;sig=abc\r\n%b\r\n" % (len(body), body))
        connection.send(b"0;last\r\nX-Checksum: " + b"a" * 4000 + b"\r\n\r\n")
        assert connection.answer().status == 200
    assert engine.requests[-1].body == body


@pytest.mark.parametrize(
    "route", ["/v1/responses", "/v1/chat/completions", "/v1/realtime", "/v1/nothing", "/", "/x?a=b"]
)
@pytest.mark.parametrize("key", [True, False])
def test_a_websocket_handshake_is_told_what_to_do(start_pair, route, key):
    engine, proxy = start_pair()
    headers = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket"), ("Sec-WebSocket-Version", "13")]
    if key:
        headers.append(("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))
    with proxy.connect() as connection:
        connection.send(request_bytes("GET", route, None, headers))
        answer = connection.answer(deadline_s=2.0)
        assert connection.closed_within(2.0)
    assert answer.status == 426
    assert "POST" in answer.error["message"]
    assert answer.head.get("upgrade") == "HTTP/1.1", "RFC 9110: the protocols that would do"
    assert answer.head.get("x-request-id")
    assert not engine.requests
