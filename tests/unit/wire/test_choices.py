"""Which texts of a stream have ended: over captured streams, interleaved, packed, and in the odd order."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import sse
from proxy.wire.choices import Choices, finishes
from proxy.wire.event import Event
from tests.engines_captures.reading import STREAMS, capture

BROKEN = {"llama.cpp/abort_cut", "transformers-serve/abort_cut", "vllm/abort_cut", "vllm/sigterm_during_stream"}
DIED = "vllm/engine_death_mid_stream_keepalive"
SEVERAL_CHOICES = {
    "llama.cpp/chat_stream_n2",
    "llama.cpp/completion_array_stream",
    "vllm/chat_stream_n2",
    "vllm/completion_array_stream",
    "vllm/two_prompts_n2_usage",
}
TYPED = ("messages_stream", "responses_stream", "/responses", "keepalive", "native_completion_stream", "_progress")
"""What the names of streams without `choices` end in."""


def event(*choices: dict[str, Any], tight: bool = True, **more: Any) -> bytes:
    separators = (",", ":") if tight else None
    return b"data: " + json.dumps({"choices": list(choices), **more}, separators=separators).encode() + b"\n\n"


def chunk(index: int, finish: str | None = None, text: str = "a", *, tight: bool = True) -> bytes:
    return event({"index": index, "delta": {"content": text}, "finish_reason": finish}, tight=tight)


def after(*events: bytes) -> bool:
    choices = Choices()
    for each in events:
        choices.saw(Event(each))
    return choices.have_ended


@pytest.mark.parametrize("name", [name for name in STREAMS if not name.endswith(TYPED)])
def test_captured_streams_end_where_all_their_texts_have(name: str) -> None:
    events = [e for e in sse.EventSplitter(1 << 20).feed(capture(name).body) if b'"choices"' in e]
    choices, told = Choices(), []
    for number, each in enumerate(events, 1):
        choices.saw(Event(each))
        if choices.have_ended:
            told.append(number)
    if name in BROKEN or name == DIED:
        assert told == []
        return
    assert told[-1] == len(events)
    if name not in SEVERAL_CHOICES:
        assert told == list(range(told[0], len(events) + 1))


@pytest.mark.parametrize("tight", [True, False])
@pytest.mark.parametrize("n", [2, 3, 128, 200])
def test_one_text_that_goes_on_keeps_all_open(n: int, tight: bool) -> None:
    begun = [chunk(index, tight=tight) for index in range(n)]
    ended = [chunk(index, "stop", tight=tight) for index in range(n)]
    for late in (0, n // 2, n - 1):
        others = [each for index, each in enumerate(ended) if index != late]
        assert not after(*begun, *others)
        assert after(*begun, *others, ended[late])
    assert not after(begun[-1], ended[0])


def test_texts_packed_into_one_event() -> None:
    both = [{"index": 0, "text": "a", "finish_reason": None}, {"index": 1, "text": "b", "finish_reason": "stop"}]
    assert not after(event(*both))
    assert not after(event(*reversed(both)))
    assert after(event(*both), chunk(0, "length"))


def test_texts_one_after_the_other_under_one_index() -> None:
    assert not after(chunk(0), chunk(0, "stop"), chunk(0))
    assert after(chunk(0), chunk(0, "stop"), chunk(0), chunk(0, "stop"))


def test_indices_of_tool_calls_are_none_of_ours() -> None:
    call = {"tool_calls": [{"index": 1, "function": {"arguments": "{"}}]}
    begun = event({"index": 0, "delta": call, "finish_reason": None})
    assert after(begun, chunk(0, "tool_calls"))
    reverse = event({"delta": {"tool_calls": [{"index": 0}]}, "index": 1, "finish_reason": None})
    assert not after(reverse, chunk(0, "stop"))
    assert after(reverse, chunk(0, "stop"), chunk(1, "stop"))


def test_a_reason_that_is_absent_is_none() -> None:
    assert not after(event({"index": 0, "delta": {"content": "a"}}))
    assert after(event({"delta": {"content": "a"}}), event({"delta": {}, "finish_reason": "stop"}))
    assert not after(event({"index": 0, "finish_reason": ""}))


def test_usage_and_nothing_at_all_end_nothing() -> None:
    assert not after()
    assert not after(event(usage={"completion_tokens": 1}))
    assert after(chunk(0, "stop"), event(usage={"completion_tokens": 1}))
    assert not after(b'data: {"type":"response.completed"}\n\n')


def test_text_about_reasons_is_text() -> None:
    said = chunk(0, text='"finish_reason":"stop","index":7')
    assert not finishes(said)
    assert not after(said)
    assert after(said, chunk(0, "stop"))


def test_indices_without_measure_are_bounded() -> None:
    choices = Choices()
    for index in (10**9, 10**6, 5000):
        choices.saw(Event(chunk(index)))
    assert choices._seen.bit_length() < 5000
    assert not choices.have_ended


@given(st.lists(st.binary(max_size=40).map(lambda data: b"data: " + data + b"\n\n"), max_size=5))
def test_any_bytes_can_be_seen(events: list[bytes]) -> None:
    assert not after(*events)


@pytest.mark.parametrize("tight", [True, False])
@pytest.mark.parametrize("reason", ["", "null"])
def test_reasons_that_some_engines_write_for_none_end_nothing(reason: str, tight: bool) -> None:
    going_on = chunk(0, reason, tight=tight)
    assert not finishes(going_on)
    assert not after(going_on, going_on)
    assert not after(chunk(0, "stop"), chunk(1, reason, tight=tight))
    assert after(going_on, chunk(0, "stop", tight=tight))
