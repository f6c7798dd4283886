"""An engine that sends and sends and says nothing: limits run, and memory does not.

Bytes that carry nothing move no deadline; framing has a bound; what does carry something may take as long as it likes.
"""

import asyncio
import itertools
import time

import pytest

from tests.faults.asking import PATH, chat, error_event, events
from tests.support.fake_engine import DONE, chat_chunk, event
from tests.support.http_bytes import chunk
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes
from tests.support.raw_engine import JSON_HEAD, STREAM_HEAD, raw_engine, said

FIRST_BYTE_S, IDLE_S = 1.5, 0.8
CONFIG = {
    "limits": {"upstream": {"first_byte": f"{FIRST_BYTE_S}s", "idle": f"{IDLE_S}s", "keepalive": "500ms"}},
    "retries": {"attempts": 1},
    "health": {"consecutive_failures": 1000, "min_samples": 1000},
}
WORD = event(chat_chunk({"content": "word "}))
END = said(event(chat_chunk({}, "stop")), DONE)


def paced(start, pieces, pause_s):
    """First `start`, then one piece after the other with a pause before each."""

    async def serve(head, reader, writer):
        await _read_body(head, reader)
        writer.write(start)
        for piece in pieces():
            await asyncio.sleep(pause_s)
            writer.write(piece)
            await writer.drain()

    return serve


async def _read_body(head, reader):
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


def for_ever(*pieces):
    return lambda: itertools.cycle(pieces)


def once(data):
    """Byte by byte."""
    return lambda: (bytes([byte]) for byte in data)


SLOW = {
    "a head byte by byte": (b"", once(STREAM_HEAD * 9), 0.1),
    "interim answers": (b"", for_ever(b"HTTP/1.1 102 Processing\r\n\r\n"), 0.1),
    "early hints": (b"", for_ever(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), 0.1),
    "a chunk extension": (STREAM_HEAD + b"2;", for_ever(b"x"), 0.1),
    "the size of a chunk": (STREAM_HEAD, for_ever(b"0"), 0.1),
    "trailers": (STREAM_HEAD + chunk(WORD) + b"0\r\n", for_ever(b"a: b\r\n"), 0.1),
    "comments": (STREAM_HEAD, for_ever(chunk(b": ping\n\n")), 0.1),
    "comments after a word": (STREAM_HEAD + chunk(WORD), for_ever(chunk(b": ping\n\n")), 0.1),
    "empty events": (STREAM_HEAD + chunk(WORD), for_ever(chunk(b"event: ping\n\n")), 0.1),
    "blank lines": (STREAM_HEAD + chunk(WORD), for_ever(chunk(b"\n")), 0.1),
    "half an event": (STREAM_HEAD + chunk(WORD) + chunk(b"data: {"), for_ever(chunk(b" ")), 0.1),
    "a whole answer": (JSON_HEAD % 9999 + b"{", for_ever(b" "), 0.1),
    "a whole answer in chunks": (
        JSON_HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked") + chunk(b"{"),
        for_ever(chunk(b" ")),
        0.1,
    ),
}
ENDED = ("backend_timeout", "backend_protocol", "event_too_large")
FAST = {
    "interim answers": (b"", for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 500), 0.0),
    "a head without end": (b"HTTP/1.1 200 OK\r\na: ", for_ever(b"x" * 65536), 0.0),
    "a reason without end": (b"HTTP/1.1 200 ", for_ever(b"x" * 65536), 0.0),
    "a chunk extension": (STREAM_HEAD + b"2;", for_ever(b"x" * 65536), 0.0),
    "trailers": (STREAM_HEAD + chunk(WORD) + b"0\r\n", for_ever(b"a: b\r\n" * 10_000), 0.0),
    "one trailer": (STREAM_HEAD + chunk(WORD) + b"0\r\na: ", for_ever(b"x" * 65536), 0.0),
    "the name of a trailer": (STREAM_HEAD + chunk(WORD) + b"0\r\n", for_ever(b"x" * 65536), 0.0),
    "an event": (STREAM_HEAD + chunk(b"data: {"), for_ever(chunk(b" " * 65536)), 0.0),
}


@pytest.fixture(scope="module")
def served():
    """What the engine does; a test sets it."""
    return {}


@pytest.fixture(scope="module")
def engine(bed, served):
    async def serve(head, reader, writer):
        await served["by"](head, reader, writer)

    with raw_engine(bed.loop, serve) as found:
        yield found


@pytest.fixture(scope="module")
def proxy(bed, engine):
    with bed.proxy({"backends": [{"name": "alpha", "url": engine.url}], **CONFIG}) as process:
        yield process


def ask_in_vain(proxy, stream, within_s):
    """The answer to a request that cannot be served: an error, in time."""
    began = time.monotonic()
    answer = proxy.ask("POST", PATH, chat(stream))
    took = time.monotonic() - began
    assert took < within_s, took
    if answer.status == 200:
        assert error_event(answer)["code"] in ENDED
    else:
        assert answer.status in (502, 504), answer.body
        assert answer.error["code"] in ENDED
    return took


@pytest.mark.parametrize("case", SLOW.values(), ids=SLOW.keys())
def test_bytes_that_carry_nothing_extend_no_limit(proxy, served, case):
    served["by"] = paced(*case)
    took = ask_in_vain(proxy, stream=b"json" not in case[0], within_s=FIRST_BYTE_S + IDLE_S + 1.5)
    assert took > IDLE_S * 0.9


@pytest.mark.parametrize("case", FAST.values(), ids=FAST.keys())
def test_a_flood_that_carries_nothing_costs_no_memory(proxy, served, case):
    served["by"] = paced(*case)
    ask_in_vain(proxy, stream=True, within_s=FIRST_BYTE_S + IDLE_S + 3.0)


def test_interim_answers_before_the_real_one_are_skipped(proxy, served):
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20
    served["by"] = paced(interim + STREAM_HEAD + chunk(WORD), lambda: [END], 0.1)
    answer = proxy.ask("POST", PATH, chat(True))
    assert (answer.status, events(answer)[-1], answer.interim) == (200, "[DONE]", [])


def test_a_stream_that_goes_on_may_last(proxy, served):
    """Longer than any limit, each word in time."""
    served["by"] = paced(STREAM_HEAD, lambda: [*[chunk(WORD)] * 8, END], IDLE_S / 2)
    answer = proxy.ask("POST", PATH, chat(True))
    assert (answer.status, len(events(answer)), events(answer)[-1]) == (200, 10, "[DONE]")


def test_comments_keep_a_thinking_engine_alive(proxy, served):
    """Silence between two words that is longer than `idle`, filled with pings."""
    words = [chunk(WORD), *[chunk(b": ping\n\n")] * 3] * 3
    served["by"] = paced(STREAM_HEAD, lambda: [*words, END], FIRST_BYTE_S / 4.5)
    answer = proxy.ask("POST", PATH, chat(True))
    assert (answer.status, events(answer)[-1]) == (200, "[DONE]")


def test_an_engine_that_goes_on_after_its_last_word_is_left(proxy, engine, served):
    """The client has its answer; the permit and the connection do not wait for the end of the comments."""
    left = engine.left_at_end
    start = STREAM_HEAD + chunk(WORD) + chunk(event(chat_chunk({}, "stop"))) + chunk(DONE)
    served["by"] = paced(start, for_ever(chunk(b": ping\n\n")), 0.1)
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(True)))
        began = time.monotonic()
        answer = connection.answer()
        assert events(answer)[-1] == "[DONE]"
        assert time.monotonic() - began < 1.0
        eventually(lambda: engine.left_at_end > left, "the connection closed", 2.0)
