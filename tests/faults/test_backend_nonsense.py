"""A backend that speaks nonsense: a 502 or an error event, and its connection is not used again."""

import asyncio

import pytest

from tests.faults.asking import PATH, chat, error_event, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import raw
from tests.support.fake_engine import chat_chunk, event, stream_head
from tests.support.http_bytes import chunk

NONSENSE = {
    "no http": b"220 smtp.example ESMTP\r\n",
    "a bad header": b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}",
    "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
@pytest.mark.parametrize("stream", [False, True])
def test_nonsense_is_a_502(proxy, engine, data, stream):
    engine.scripts["nonsense"] = raw(data)
    answer = proxy.ask("POST", PATH, chat(stream), script("nonsense"))
    assert answer.status == 502
    assert answer.error["message"]
    bad = {request.connection for request in engine.requests}
    assert proxy.ask("POST", PATH, chat(False)).status == 200
    assert engine.requests[-1].connection not in bad


def test_nonsense_inside_a_stream_is_an_error_event(proxy, engine):
    async def nonsense(exchange):
        await exchange.send(stream_head() + chunk(event(chat_chunk({"content": "good"}))))
        await asyncio.sleep(0.2)
        await exchange.send(b"zz\r\nnonsense\r\n")

    engine.scripts["nonsense"] = nonsense
    answer = proxy.ask("POST", PATH, chat(True), script("nonsense"))
    assert error_event(answer)
    bad = engine.requests[-1].connection
    assert proxy.ask("POST", PATH, chat(False)).status == 200
    assert engine.requests[-1].connection != bad


def test_bytes_behind_an_answer_never_become_the_next_answer(proxy, engine):
    """Response splitting: the second answer must not reach whoever asks next over this connection."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
    engine.scripts["two"] = raw(whole + b'{"first":true}' + whole + b'{"stolen":  1}')
    first = proxy.ask("POST", PATH, chat(False), script("two"))
    assert first.status in (200, 502)
    for _ in range(3):
        answer = proxy.ask("POST", PATH, chat(False))
        assert answer.status == 200
        assert b"stolen" not in answer.body


def test_an_interim_answer_is_skipped(proxy, engine):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    good = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
    engine.scripts["hints"] = raw(hints + good)
    answer = proxy.ask("POST", PATH, chat(False), script("hints"))
    assert (answer.status, answer.body, answer.interim) == (200, b'{"ok":true}', [])


def test_an_error_without_an_envelope_gets_one(proxy, engine):
    page = b"<html>upstream proxy error</html>"
    engine.scripts["html"] = raw(
        b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
    )
    answer = proxy.ask("POST", PATH, chat(False), script("html"))
    assert answer.status in (500, 502)
    assert "html" not in answer.error["message"]


@pytest.mark.parametrize("how", ["raw", "body-then close", "body-then reset", "redirect http://127.0.0.1:9/"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_has_ended_before_the_client_saw_a_byte_goes_elsewhere(start_backend, start_proxy, how, stream):
    """A port that belongs to another service now, an engine that dies with its answer half written, a wrong scheme."""
    bad, good = start_backend(), start_backend()
    bad.scripts["raw"] = raw(b"SSH-2.0-OpenSSH_9.6\r\n")
    for name in {how.split()[0]}:
        good.scripts[name] = good.default
    entries = [backend_entry(bad, "bad"), backend_entry(good, "good")]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}})
    answers = [proxy.ask("POST", PATH, chat(stream), script(how)) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(bad.requests) == 1
    assert proxy.metrics().total("tidegate_retries_total") == 1, "it may have been at work, so it is paid for"
