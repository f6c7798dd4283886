"""Engines send events that crash SDKs, or end a stream badly: what may pass, passes; the rest is mended."""

import asyncio
import json

import pytest

from tests.faults.asking import PATH, chat, error_event, events, script
from tests.support.engine_scripts import raw
from tests.support.fake_engine import DONE, chat_chunk, event, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk

HELLO = event(chat_chunk({"content": "hello"}))
STOP = event(chat_chunk({}, "stop"))


def streamed(*parts: bytes) -> bytes:
    """A chunked stream, one chunk per part."""
    return stream_head() + b"".join(chunk(part) for part in parts) + LAST_CHUNK


@pytest.mark.parametrize(
    "unwanted",
    [b"id: 7\n\n", b"retry: 1000\n\n", b"data:\n\n", b"data: \n\n", b"event: ping\n\n", b"id: 7\nretry: 5\n\n"],
)
def test_events_without_data_are_removed(proxy, engine, unwanted):
    engine.scripts["odd"] = raw(streamed(HELLO, unwanted, STOP, DONE))
    answer = proxy.ask("POST", PATH, chat(True), script("odd"))
    assert answer.body == HELLO + STOP + DONE


def test_an_id_beside_data_is_removed_and_the_data_kept(proxy, engine):
    engine.scripts["odd"] = raw(streamed(b"id: 7\n" + HELLO, STOP, DONE))
    answer = proxy.ask("POST", PATH, chat(True), script("odd"))
    assert answer.body == HELLO + STOP + DONE


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_events_split_anywhere_arrive_whole(proxy, engine, size):
    text = event(chat_chunk({"content": "Zürich 🌉 \\u2028"})) + STOP + DONE
    engine.scripts["split"] = raw(streamed(*(text[start : start + size] for start in range(0, len(text), size))))
    answer = proxy.ask("POST", PATH, chat(True), script("split"))
    assert answer.body == text
    for piece in answer.chunks:
        piece.decode()
        assert piece.endswith(b"\n\n")


def test_a_stream_that_ends_before_its_text_is_an_error(proxy, engine):
    engine.scripts["short"] = raw(streamed(HELLO))
    answer = proxy.ask("POST", PATH, chat(True), script("short", "short"))
    assert b"[DONE]" not in answer.body
    assert error_event(answer)
    assert proxy.log_line("short")["end"] == "US"


def test_an_error_inside_the_stream_passes_and_is_counted_as_failed(proxy, engine):
    async def broken(exchange):
        await exchange.send(stream_head() + chunk(HELLO))
        await asyncio.sleep(0.2)  # what was already sent cannot become a status
        error = {"error": {"message": "the engine broke", "type": "server_error", "param": None, "code": None}}
        await exchange.send(chunk(event(error)) + LAST_CHUNK)

    engine.scripts["broken"] = broken
    answer = proxy.ask("POST", PATH, chat(True), script("broken", "inside"))
    assert error_event(answer)["message"] == "the engine broke"
    assert len([data for data in events(answer) if "the engine broke" in data]) == 1
    assert proxy.log_line("inside")["outcome"] == "failed"


def test_an_error_as_the_first_event_is_a_status(proxy, engine):
    error = {"error": {"message": "too long", "type": "BadRequestError", "param": None, "code": 400}}
    engine.scripts["first"] = raw(streamed(event(error), DONE))
    answer = proxy.ask("POST", PATH, chat(True), script("first", "first"))
    assert answer.status >= 400
    assert json.loads(answer.body)["error"]["message"] == "too long"
    assert proxy.log_line("first")["outcome"] == "failed"


@pytest.mark.in_progress(17 << 20)
def test_a_huge_event_is_cut_with_an_error(proxy, engine):
    huge = b"data: " + b"x" * (17 << 20)
    engine.scripts["huge"] = raw(stream_head() + chunk(HELLO) + chunk(huge))
    answer = proxy.ask("POST", PATH, chat(True), script("huge", "huge"))
    assert len(answer.body) < 1 << 20
    assert error_event(answer)
    line = proxy.log_line("huge")
    assert (line["end"], line["fault"]) == ("PS", "event_too_large"), "our own limit accuses nobody"


@pytest.mark.in_progress(16_000_000)
def test_an_event_just_below_the_limit_passes(proxy, engine):
    large = event(chat_chunk({"content": "x" * 16_000_000}))
    engine.scripts["large"] = raw(streamed(large, STOP, DONE))
    answer = proxy.ask("POST", PATH, chat(True), script("large"))
    assert answer.body == large + STOP + DONE


def test_usage_nobody_asked_for_is_not_shown(proxy):
    answer = proxy.ask("POST", PATH, chat(True))
    assert b'"usage"' not in answer.body
    asked = proxy.ask("POST", PATH, chat(True, stream_options={"include_usage": True}))
    assert b'"completion_tokens": 7' in asked.body
