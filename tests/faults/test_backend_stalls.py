"""Silence has an end: before the first byte, inside a stream, inside a body."""

import asyncio
import time

import pytest

from tests.faults.asking import PATH, chat, error_event, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import begin_stream, end_stream
from tests.support.fake_engine import chat_chunk, event
from tests.support.http_bytes import chunk
from tests.support.patience import eventually

SHORT = {"limits": {"upstream": {"first_byte": "600ms", "idle": "600ms"}}}


@pytest.fixture(scope="module")
def engine(bed):
    with bed.backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(bed, engine):
    with bed.proxy({"backends": [backend_entry(engine, "alpha")], **SHORT}) as process:
        yield process


def test_a_stream_that_stalls_ends_in_an_error_event(proxy, engine):
    started = time.monotonic()
    answer = proxy.ask("POST", PATH, chat(True), script("stream-then 3 hang", "stall"))
    assert 0.5 < time.monotonic() - started < 3.0
    assert error_event(answer)["message"]
    eventually(lambda: engine.requests[0].aborted_at, "the engine freed", 1.0)
    line = proxy.log_line("stall")
    assert (line["end"], line["fault"]) == ("US", "idle_timeout")


@pytest.mark.parametrize("stream", [False, True])
def test_no_first_byte_is_a_504(proxy, engine, stream):
    answer = proxy.ask("POST", PATH, chat(stream), script("hang", f"first-{stream}"))
    assert answer.status == 504
    assert answer.error["message"]
    eventually(lambda: all(not request.open for request in engine.requests), "the engine freed", 1.0)
    assert proxy.log_line(f"first-{stream}")["end"] == "UH"


def test_a_body_that_stalls_is_a_504(proxy, engine):
    answer = proxy.ask("POST", PATH, chat(False), script("body-then hang"))
    assert answer.status in (502, 504)
    assert answer.error["message"]
    eventually(lambda: not engine.open_requests, "the engine freed", 1.0)


def test_a_slow_stream_is_no_stalled_stream(proxy):
    answer = proxy.ask("POST", PATH, chat(True), script("stream 8 0.2"))
    assert answer.complete
    assert answer.body.endswith(b"data: [DONE]\n\n")


PAUSE_S = 1.2
"""Longer than a text may be silent, shorter than a thought may."""
PATIENT = {"limits": {"upstream": {"first_byte": "10s", "idle": "600ms"}}}
TEXT, THOUGHT = {"content": "text"}, {"reasoning_content": "hm"}
CALL = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "write", "arguments": "{}"}}]}
BEGUN = {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}
TOOLS = [{"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}]


def paused(*deltas):
    """A stream with a pause wherever None stands."""

    async def answer(exchange):
        await begin_stream(exchange)
        for delta in deltas:
            if delta is None:
                await asyncio.sleep(PAUSE_S)
            else:
                await exchange.send(chunk(event(chat_chunk(delta))))
        await end_stream(exchange)

    return answer


@pytest.fixture(scope="module")
def patient(bed, engine):
    with bed.proxy({"backends": [backend_entry(engine, "alpha")], **PATIENT}) as process:
        yield process


@pytest.mark.parametrize(
    ("deltas", "more"),
    [
        ((TEXT, THOUGHT, None, TEXT, THOUGHT, None, TEXT), {}),
        ((THOUGHT, None, TEXT), {}),
        ((TEXT, None, CALL), {"tools": TOOLS}),
        ((TEXT, BEGUN, None, BEGUN), {"tools": TOOLS}),
        ((CALL, None, CALL), {"functions": TOOLS}),
    ],
    ids=["thoughts between texts", "thought", "call behind a text", "arguments", "second call"],
)
def test_silence_in_a_thought_or_before_a_call_is_work(patient, engine, deltas, more):
    engine.scripts["paused"] = paused(*deltas)
    answer = patient.ask("POST", PATH, chat(True, **more), script("paused"))
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert b'"error"' not in answer.body


@pytest.mark.parametrize(
    "deltas", [(TEXT, None, TEXT), (TEXT, THOUGHT, TEXT, None, TEXT)], ids=["text", "after thoughts"]
)
def test_silence_in_a_text_is_none(patient, engine, deltas):
    engine.scripts["paused"] = paused(*deltas)
    assert error_event(patient.ask("POST", PATH, chat(True), script("paused")))
