"""A complete answer is delivered at the reader's pace, whatever the connection's mode: closing, HTTP/1.0, draining."""

import time

import pytest

from tests.faults.asking import PATH, chat, script
from tests.support.fake_engine import chat_chunk, event, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk, head_bytes
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

SIZE_B = 1_000_000
PAUSE_S = 2.5
"""Above every moment in which the proxy looks whether it can close."""
WHOLE = b'{"pad":"' + b"x" * (SIZE_B - 10) + b'"}'


async def whole(exchange):
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(WHOLE)))]
    await exchange.send(head_bytes("HTTP/1.1 200 OK", fields) + WHOLE)


async def stream(exchange):
    await exchange.send(stream_head())
    for _ in range(100):
        await exchange.send(chunk(event(chat_chunk({"content": "x" * 10_000}))))
    await exchange.send(chunk(event(chat_chunk({}, "stop"))) + chunk(b"data: [DONE]\n\n") + LAST_CHUNK)


MODES = {
    "keep-alive": [],
    "close": [("Connection", "close")],
}


def asked(mode, kind, name):
    data = request_bytes("POST", PATH, chat(kind == "stream"), [*script(kind, name), *MODES.get(mode, [])])
    return data.replace(b"HTTP/1.1", b"HTTP/1.0", 1) if mode == "1.0" else data


def assert_complete(answer, kind):
    assert answer.complete
    assert len(answer.body) >= SIZE_B
    assert answer.body.endswith(b"data: [DONE]\n\n" if kind == "stream" else WHOLE)


@pytest.fixture
def pair(start_pair):
    engine, proxy = start_pair({"limits": {"connections": {"write_stall": "10s"}}, "drain": {"streams": "1s"}})
    engine.scripts.update({"whole": whole, "stream": stream})
    return engine, proxy


@pytest.mark.parametrize("kind", ["whole", "stream"])
@pytest.mark.parametrize("mode", ["keep-alive", "close", "1.0"])
def test_a_pause(pair, mode, kind):
    _, proxy = pair
    with proxy.connect(receive_buffer_b=16384) as connection:
        connection.send(asked(mode, kind, f"{mode}-{kind}"))
        time.sleep(PAUSE_S)
        assert_complete(connection.answer(deadline_s=30.0), kind)


@pytest.mark.parametrize("mode", ["close", "1.0"])
def test_a_slow_reader(pair, mode):
    """Some kilobytes at a time, over several looks."""
    _, proxy = pair
    with proxy.connect(receive_buffer_b=4096) as connection:
        connection.send(asked(mode, "whole", f"slow-{mode}"))
        got = b""
        for _ in range(8):
            time.sleep(0.5)
            got += connection.read_some()
        while len(got) < len(WHOLE) and (more := connection.read_some(10.0)):
            got += more
    assert got.endswith(WHOLE)


@pytest.mark.parametrize("mode", ["keep-alive", "close", "1.0"])
@pytest.mark.parametrize("kind", ["whole", "stream"])
def test_a_pause_while_the_proxy_ends(pair, mode, kind):
    engine, proxy = pair
    with proxy.connect(receive_buffer_b=16384) as connection:
        connection.send(asked(mode, kind, f"drain-{mode}-{kind}"))
        request = engine.wait_for_request()
        if kind == "whole":
            eventually(lambda: request.answered_at, "the answer given")
            proxy.log_line(f"drain-{mode}-{kind}")
        else:
            connection.answer_head()
        proxy.terminate()
        time.sleep(PAUSE_S)
        if kind == "whole":
            assert_complete(connection.answer(deadline_s=30.0), kind)
        else:
            got = b"".join(iter(lambda: connection.read_some(10.0), b""))
            assert b"data: " in got[-200:], "complete, or a stream that says why it is not"
    assert proxy.wait() == 0


def test_a_reader_that_takes_nothing_holds_nobody_up(start_pair):
    engine, proxy = start_pair({"limits": {"connections": {"write_stall": "700ms"}}, "drain": {"streams": "1s"}})
    engine.scripts["whole"] = whole
    with proxy.connect(receive_buffer_b=16384) as stalled:
        stalled.send(asked("close", "whole", "stalled"))
        proxy.log_line("stalled")
        started = time.monotonic()
        proxy.terminate()
        assert proxy.wait() == 0
        assert time.monotonic() - started < 6.0
        with pytest.raises(AssertionError):
            assert_complete(stalled.answer(), "whole")


def test_a_refusal_reaches_a_client_that_is_still_sending(start_pair):
    """Whoever sends a large body first and reads then must find the answer, not a reset."""
    engine, proxy = start_pair({"limits": {"body": {"size": "1MiB"}}})
    body = b"x" * (24 << 20)
    with proxy.connect() as connection:
        head = request_bytes("POST", PATH, body).partition(b"\r\n\r\n")[0]
        connection.send(head + b"\r\n\r\n")
        for at in range(0, len(body), 1 << 20):
            assert connection.send(body[at : at + (1 << 20)])
            time.sleep(0.1)
        assert connection.answer().status == 413
        assert connection.closed_within(5.0)
    assert not engine.requests
