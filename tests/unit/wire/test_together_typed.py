"""A stream of typed events put together is the answer that its engine would have given in one piece."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engines.registry import DIALECTS
from proxy.model.whole_answers import AS_OPENAI
from proxy.wire import sse
from proxy.wire.event import Event
from proxy.wire.together_typed import MessageTogether, ResponseTogether
from tests.engines_captures.reading import capture
from tests.support.llama_typed_stream import message_events, response_events, written

LLAMA = DIALECTS["llama_cpp"].streamed_whole or AS_OPENAI
HF = DIALECTS["transformers"].streamed_whole or AS_OPENAI
Typed = MessageTogether | ResponseTogether


def put_together(stream: bytes, together: Typed) -> dict[str, Any] | None:
    """None: not known well enough, or nothing."""
    for raw in sse.EventSplitter(1 << 20).feed(stream):
        clean = sse.cleaned(raw)
        if not clean or clean.startswith(b":"):
            continue
        assert not together.is_complete, "nothing comes after its last event"
        if not together.add(Event(clean)):
            return None
    assert together.has_ended is together.is_complete
    return together.whole()


_TEXT = st.text(min_size=1, max_size=30)
_JSON = st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=9), st.integers(), st.none()), max_size=3)
_BLOCKS = st.tuples(
    st.lists(st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": ""}, _TEXT), max_size=1),
    st.lists(st.builds(lambda text: {"type": "text", "text": text}, _TEXT), max_size=1),
    st.lists(
        st.builds(lambda name, given: {"type": "tool_use", "id": "c1", "name": name, "input": given}, _TEXT, _JSON),
        max_size=3,
    ),
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


def _cut(data: st.DataObject) -> Any:
    def cut(text: str) -> list[str]:
        size = data.draw(st.integers(1, 8))
        return [text[at : at + size] for at in range(0, len(text), size)]

    return cut


def message(blocks: list[dict[str, Any]], reason: str = "end_turn", stopped_by: str | None = None) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "type": "message", "role": "assistant", "content": blocks, "model": "tiny"}
    usage = {"cache_read_input_tokens": 24, "input_tokens": 1, "output_tokens": 9}
    return {**head, "stop_reason": reason, "stop_sequence": stopped_by, "usage": usage}


@given(_BLOCKS.filter(bool), st.sampled_from(["end_turn", "max_tokens", "tool_use"]), st.data())
def test_messages_of_llama_cpp_are_what_it_would_have_answered(
    blocks: list[dict[str, Any]], reason: str, data: st.DataObject
) -> None:
    whole = message(blocks, reason, data.draw(st.sampled_from([None, "END"])))
    assert put_together(written(message_events(whole, _cut(data))), MessageTogether(LLAMA)) == whole


_ITEMS = st.tuples(
    st.lists(
        st.builds(
            lambda text: {
                "id": "rs_1",
                "summary": [],
                "type": "reasoning",
                "content": [{"text": text, "type": "reasoning_text"}],
                "encrypted_content": "",
                "status": "completed",
            },
            _TEXT,
        ),
        max_size=1,
    ),
    st.lists(
        st.builds(
            lambda text: {
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "type": "message",
                "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
            },
            _TEXT,
        ),
        max_size=1,
    ),
    st.lists(
        st.builds(
            lambda name, said: {
                "id": "fc_1",
                "type": "function_call",
                "status": "completed",
                "arguments": said,
                "call_id": "call_1",
                "name": name,
            },
            _TEXT,
            _TEXT,
        ),
        max_size=2,
    ),
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


@given(_ITEMS.filter(bool), st.data())
def test_responses_of_llama_cpp_are_what_it_would_have_answered(
    items: list[dict[str, Any]], data: st.DataObject
) -> None:
    usage = {"input_tokens": 14, "output_tokens": 4, "total_tokens": 18, "input_tokens_details": {"cached_tokens": 4}}
    head = {"completed_at": 1795380150, "created_at": 1795380150, "id": "resp_1", "model": "tiny"}
    whole = {**head, "object": "response", "output": items, "status": "completed", "usage": usage}
    assert put_together(written(response_events(whole, _cut(data))), ResponseTogether(LLAMA)) == whole


@pytest.mark.parametrize(
    ("stream", "whole", "together"),
    [
        ("llama.cpp/messages_stream", "llama.cpp/messages", MessageTogether(LLAMA)),
        ("llama.cpp/responses_stream", "llama.cpp/responses", ResponseTogether(LLAMA)),
    ],
)
def test_recorded_streams_have_the_fields_of_recorded_answers(stream: str, whole: str, together: Typed) -> None:
    said = orjson.loads(capture(whole).body)
    made = put_together(capture(stream).body, together)
    assert made is not None
    assert made.keys() == said.keys()
    list_at = "content" if "content" in said else "output"
    assert [sorted(one) for one in made[list_at]] == [sorted(one) for one in said[list_at]]
    assert made["usage"].keys() == said["usage"].keys()


def test_a_recorded_response_of_transformers_is_the_one_in_its_last_event() -> None:
    made = put_together(capture("transformers-serve/responses_stream").body, ResponseTogether(HF))
    assert made is not None
    assert (made["status"], made["output"][0]["content"][0]["text"]) == ("completed", " {ack!=")
    assert "completed_at" not in made


def said(*events: dict[str, Any]) -> bytes:
    return written(list(events))


BEGUN, *_, ENDED, STOPPED = message_events(message([{"type": "text", "text": "x"}]), lambda text: [text])
OPENED = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


@pytest.mark.parametrize(
    "events",
    [
        [OPENED],  # llama.cpp, where its first token is no whole character
        [BEGUN, BEGUN],
        [BEGUN, OPENED, OPENED],
        [BEGUN, OPENED | {"index": -1}],
        [BEGUN, OPENED | {"index": True}],
        [BEGUN, OPENED | {"content_block": {"type": "server_tool_use", "id": "1"}}],
        [BEGUN, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [BEGUN, OPENED, {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta"}}],
        [BEGUN, OPENED, {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 1}}],
        [BEGUN, {"type": "something_new"}],
        [BEGUN, {"type": 7}],
        [ENDED],
        [STOPPED],
        [BEGUN, ENDED, STOPPED],  # nothing was said: in one piece there may be a text
        [BEGUN, OPENED | {"index": 1}, ENDED, STOPPED],
    ],
)
def test_a_message_that_is_not_known_well_enough_is_none(events: list[dict[str, Any]]) -> None:
    assert put_together(said(*events), MessageTogether()) is None


def test_half_a_message_is_none() -> None:
    together = MessageTogether()
    assert put_together(said(BEGUN, OPENED), together) is None
    assert not together.has_ended
    assert together.size_b > 100


@pytest.mark.parametrize("arguments", ["{", "", "NaN", "[" * 100_000])
def test_arguments_that_are_no_json_are_none(arguments: str) -> None:
    opened = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "1", "name": "f"}}
    piece = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": arguments},
    }
    made = put_together(said(BEGUN, opened, piece, ENDED, STOPPED), MessageTogether())
    assert made is not None
    assert made["content"] == [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_start"},
        {"type": 7},
        {"type": "response.completed", "response": "x"},
        {"type": "response.completed", "response": {"output": None}},
        {"type": "response.completed", "response": {"output": []}},
    ],
)
def test_a_response_that_is_not_known_well_enough_is_none(event: dict[str, Any]) -> None:
    assert put_together(said(event), ResponseTogether(LLAMA)) is None


def test_a_response_that_failed_is_one() -> None:
    failed = {"id": "resp_1", "status": "failed", "output": [], "error": {"code": "server_error", "message": "boom"}}
    assert put_together(said({"type": "response.failed", "response": failed}), ResponseTogether()) == failed
