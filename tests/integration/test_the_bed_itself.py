"""The test bed against itself: what it would have to notice in a proxy, it notices here without one."""

import pytest

from tests.support.engine_scripts import raw
from tests.support.fake_backend import FakeBackend
from tests.support.http_bytes import BadMessageError, ChunkedDecoder
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, ask, request_bytes

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}


def test_the_engine_records_what_it_gets_byte_for_byte(start_backend):
    backend: FakeBackend = start_backend()
    body = b'{ "model":"m","bytes":"\xff\x00" }'
    answer = ask(backend.address, "POST", "/v1/anything?a=%20b", body, [("X-Case", "Kept")])
    assert answer.json()["target"] == "/v1/anything?a=%20b"
    assert backend.requests[0].body == body
    assert b"X-Case: Kept\r\n" in backend.requests[0].raw_head


def test_a_script_is_cancelled_when_the_client_leaves(start_backend):
    backend: FakeBackend = start_backend()
    with RawConnection(backend.address) as connection:
        connection.send(request_bytes("POST", "/v1/x", CHAT, [("x-fake", "hang")]))
        request = backend.wait_for_request()
        assert request.open
        assert backend.open_requests == 1
    eventually(lambda: request.aborted_at, "the abort")
    assert backend.open_requests == 0


def test_a_reset_is_seen_as_such(start_backend):
    backend: FakeBackend = start_backend()
    with RawConnection(backend.address) as connection:
        connection.send(request_bytes("POST", "/v1/x", CHAT, [("x-fake", "reset")]))
        with pytest.raises(BadMessageError):
            connection.answer()


def test_a_stream_cut_in_the_middle_is_incomplete(start_backend):
    backend: FakeBackend = start_backend()
    headers = [("x-fake", "stream-then 3 close")]
    answer = ask(backend.address, "POST", "/v1/chat/completions", {**CHAT, "stream": True}, headers)
    assert not answer.complete
    assert len(answer.chunks) == 4


def test_a_whole_stream_is_complete_and_the_connection_lives_on(start_backend):
    backend: FakeBackend = start_backend()
    with RawConnection(backend.address) as connection:
        for _ in range(2):
            connection.send(request_bytes("POST", "/v1/chat/completions", {**CHAT, "stream": True}))
            answer = connection.answer()
            assert answer.complete
            assert answer.chunks[-1] == b"data: [DONE]\n\n"
    assert backend.connections_total == 1


def test_an_engine_closes_idle_connections(start_backend):
    backend: FakeBackend = start_backend(idle_close_s=0.1)
    with RawConnection(backend.address) as connection:
        connection.send(request_bytes("GET", "/v1/models"))
        assert connection.answer().status == 200
        assert connection.closed_within(2.0)


def test_a_stopped_engine_refuses_and_comes_back_on_its_port(start_backend):
    backend: FakeBackend = start_backend()
    port = backend.port
    backend.stop()
    with pytest.raises(ConnectionRefusedError):
        RawConnection(backend.address)
    backend.start()
    assert backend.port == port
    assert ask(backend.address, "GET", "/v1/models").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
        b"HTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
    ],
)
def test_the_raw_client_refuses_bad_answers(start_backend, data):
    backend: FakeBackend = start_backend(raw(data))
    with pytest.raises(BadMessageError):
        ask(backend.address, "GET", "/v1/anything")


def test_chunks_are_decoded_at_any_split():
    wire = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nT: 1\r\n\r\nrest"
    for cut in range(len(wire)):
        decoder = ChunkedDecoder()
        decoder.feed(wire[:cut])
        decoder.feed(wire[cut:])
        assert (decoder.body, decoder.done) == (b"hello world", True)


def test_the_leak_probe_sees_what_is_left(start_pair, bed):
    engine, proxy = start_pair()
    probe = next(probe for probe in bed.probes if probe.proxy is proxy)
    probe.assert_settled(0.5)
    idle = proxy.connect()
    with pytest.raises(AssertionError, match="left behind"):
        probe.assert_settled(0.3)
    idle.send(request_bytes("POST", "/v1/chat/completions", CHAT, [("x-fake", "hang")]))
    engine.wait_for_request()
    with pytest.raises(AssertionError, match="in_flight=1"):
        probe.assert_settled(0.3)
    idle.close()
    probe.assert_settled()
