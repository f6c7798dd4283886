"""What engines say in passing: usage, content, the end. Held against every captured stream, whole and cut anywhere."""

import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import sse, usage
from proxy.wire.event import Event
from proxy.wire.usage import NO_USAGE, Usage
from tests.engines_captures.reading import STREAMS, capture

KEPT_EVENTS = 3
"""As many as the relay remembers of a stream."""
TOLD = {
    "llama.cpp/chat_stream": Usage(25, 8, 24),
    "llama.cpp/chat_stream_logprobs": Usage(25, 3, 24),
    "llama.cpp/chat_stream_tools_required": Usage(25, 60, 24),
    "llama.cpp/timings_per_token": Usage(25, 3, 4),
    "llama.cpp/chat_stream_usage": Usage(25, 4, 24),
    "llama.cpp/completion_array_stream": Usage(2, 2, 1),
    "llama.cpp/completion_stream_usage": Usage(3, 4, 2),
    "llama.cpp/messages_stream": Usage(None, 3, None),
    "llama.cpp/native_completion_stream": Usage(3, 3, 2),
    "llama.cpp/native_completion_stream_progress": Usage(601, 2, 0),
    "llama.cpp/responses_stream": Usage(14, 3, 13),
    "transformers-serve/chat_stream": Usage(25, 8),
    "transformers-serve/chat_stream_logprobs": Usage(25, 3),
    "transformers-serve/chat_stream_n2": Usage(25, 3),
    "transformers-serve/chat_stream_tools_required": Usage(25, 60),
    "transformers-serve/chat_stream_usage": Usage(25, 4),
    "transformers-serve/completion_stream_usage": Usage(3, 4),
    "transformers-serve/err_context_chat_stream": Usage(12011, 4),
    "transformers-serve/responses": Usage(14, 4, 0),
    "transformers-serve/responses_stream": Usage(14, 3, 0),
    "vllm/chat_stream_usage": Usage(25, 4, 16),
    "vllm/completion_stream_usage": Usage(3, 4, 0),
    "vllm/continuous_usage": Usage(25, 3, 16),
    "vllm/messages_stream": Usage(25, 3, 16),
    "vllm/responses_stream": Usage(14, 3, 0),
    "vllm/two_prompts_n2_usage": Usage(5, 8),
}
WITHOUT_CONTENT = {"transformers-serve/err_context_chat_stream"}


def events_of(name: str) -> list[bytes]:
    """The events that the relay counts: no comments, no `[DONE]`."""
    split = sse.EventSplitter(1 << 20).feed(capture(name).body)
    cleaned = [sse.cleaned(event) for event in split]
    return [event for event in cleaned if event.endswith(b"\n\n") and sse.payload(event) != sse.DONE]


@pytest.mark.parametrize("name", STREAMS)
def test_usage_of_captured_streams(name: str) -> None:
    assert usage.of_events(events_of(name)[-KEPT_EVENTS:]) == TOLD.get(name, NO_USAGE)


@pytest.mark.parametrize("name", ["llama.cpp", "vllm"])
def test_the_first_event_of_anthropics_tells_the_prompt_where_the_last_does_not(name: str) -> None:
    first, *rest = events_of(f"{name}/messages_stream")
    cached = 24 if name == "llama.cpp" else 16
    assert usage.of_messages(first, rest[-KEPT_EVENTS:]) == Usage(25, 3, cached)
    assert usage.of_messages(b"data: [1]\n\n", rest[-KEPT_EVENTS:]).completion_tokens == 3
    assert usage.of_messages(b"", rest[-KEPT_EVENTS:]) == usage.of_events(rest[-KEPT_EVENTS:])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("llama.cpp/chat", (25, 8)),
        ("vllm/chat", (25, 8)),
        ("transformers-serve/chat", (25, 8)),
        ("vllm/prefix_2", None),
        ("vllm/emb_base64", None),
        ("llama.cpp/emb_base64", None),
        ("vllm/responses", None),
        ("llama.cpp/messages", (25, 4)),
        ("vllm/messages", (25, 4)),
    ],
)
def test_usage_of_captured_answers(name: str, told: tuple[int, int] | None) -> None:
    body = capture(name).body
    found = usage.of_body(body)
    said = json.loads(body)["usage"]
    beside = said.get("cache_read_input_tokens", 0)
    assert found.prompt_tokens == said.get("prompt_tokens", said.get("input_tokens", 0) + beside)
    assert found.prompt_tokens is not None
    if told is not None:
        assert found[:2] == told


@pytest.mark.parametrize("name", STREAMS)
def test_the_first_content_is_not_the_role(name: str) -> None:
    content = [usage.holds_content(Event(event)) for event in events_of(name)]
    assert any(content) is (name not in WITHOUT_CONTENT)
    first = events_of(name)[0]
    if b'"role":"assistant"' in first:
        assert not content[0]


LIES: list[Any] = [-1, 2**53, 10**30, True, False, "7", 1.5, 1e3, None, [], {}]


@pytest.mark.parametrize("lie", LIES)
def test_lies_read_as_unknown(lie: Any) -> None:
    fields = {"prompt_tokens": lie, "completion_tokens": lie, "prompt_tokens_details": {"cached_tokens": lie}}
    body = json.dumps({"usage": fields}).encode()
    assert usage.of_body(body) == NO_USAGE
    assert usage.of_events([b"data: %b\n\n" % body]) == NO_USAGE


@pytest.mark.parametrize("count", [0, 1, 2**53 - 1])
def test_counts(count: int) -> None:
    assert usage.of_body(b'{"usage":{"prompt_tokens":%d}}' % count).prompt_tokens == count


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"null", b'{"usage":null}', b'{"usage":[1]}', b'{"usage":{"prompt_tokens_details":7}}']
)
def test_no_usage(body: bytes) -> None:
    assert usage.of_body(body) == NO_USAGE


def test_the_last_event_that_tells_anything_counts() -> None:
    events = [
        b'data: {"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n',
        b'data: {"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
        b'data: {"usage":null}\n\n',
    ]
    assert usage.of_events(events) == Usage(1, 2)
    assert usage.of_events([]) == NO_USAGE


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        ({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, False),
        ({"choices": [{"delta": {"content": "a"}}]}, True),
        ({"choices": [{"delta": {"reasoning_content": "a"}}]}, True),
        ({"choices": [{"delta": {"refusal": "a"}}]}, True),
        ({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}, True),
        ({"choices": [{"delta": {}}, {"delta": {"content": "b"}}]}, True),
        ({"choices": [{"text": ""}]}, False),
        ({"choices": [{"text": "a"}]}, True),
        ({"choices": []}, False),
        ({"choices": None}, False),
        ({"choices": ["a", None]}, False),
        ({"choices": [{"delta": "a"}]}, False),
        ({"type": "response.output_text.delta"}, True),
        ({"type": "response.reasoning_text.delta"}, True),
        ({"type": "response.created"}, False),
        ({"type": "content_block_delta"}, True),
        ({"type": "message_delta"}, False),
        ({"type": {"a": 1}}, False),
    ],
)
def test_content(fields: Any, holds: bool) -> None:
    assert usage.holds_content(Event(b"data: %b\n\n" % json.dumps(fields).encode())) is holds


@pytest.mark.parametrize(
    ("last", "ended"),
    [
        ({"type": "response.completed"}, True),
        ({"type": "response.incomplete"}, True),
        ({"type": "response.failed"}, True),
        ({"type": "response.output_text.done"}, False),
        ({"type": "response.output_item.done"}, False),
        ({"type": "message_stop"}, True),
        ({"type": "content_block_stop"}, False),
        ({"type": ["response.completed"]}, False),
        ({"choices": [{"finish_reason": "stop"}]}, False),
        ({"choices": ["stop"]}, False),
    ],
)
def test_last_words(last: Any, ended: bool) -> None:
    event = b"data: %b\n\n" % json.dumps(last).encode()
    assert usage.said_last_word([event]) is ended
    assert usage.said_last_word([event, b'data: {"choices":[],"usage":{}}\n\n']) is ended


@given(st.lists(st.binary(max_size=40).map(lambda data: b"data: " + data + b"\n\n"), max_size=3))
def test_any_bytes_can_be_asked(events: list[bytes]) -> None:
    assert usage.of_events(events) == NO_USAGE
    assert not usage.said_last_word(events)
    assert not any(usage.holds_content(Event(event)) for event in events)


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n',
        b'data: {"choices":[{"text":"x"}]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}\n\n',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
        b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"Hel"}}\n\n',
        b'data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}\n\n',
    ],
)
def test_what_begins_an_answer(data: bytes) -> None:
    assert usage.begins_answer(data)


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
        b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n',
        b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"","reasoning":"hm \\"content\\": \\"x\\""}}]}\n\n',
        b'data: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}}\n\n',
        b'data: {"type":"response.reasoning_summary_text.delta","delta":"hm"}\n\n',
        b": ping\n\n",
    ],
)
def test_what_is_thought(data: bytes) -> None:
    assert not usage.begins_answer(data)


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_a_part_of_a_picture_is_not_the_end(kind: str) -> None:
    piece = b'data: {"type": "%b.partial_image", "b64_json": "aa"}\n\n' % kind.encode()
    assert usage.is_unfinished(piece)
    assert not usage.is_unfinished(piece.replace(b"partial_image", b"completed"))


@pytest.mark.parametrize("event", [b"", b"data: [1]\n\n", b'data: {"type": ["x"]}\n\n', b"data: {}\n\n"])
def test_of_other_events_nothing_is_known(event: bytes) -> None:
    assert not usage.is_unfinished(event)


COUNTED = {"prompt_tokens": 7, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}}
MIMIC = ',"usage":{"completion_tokens":1}}'
BODIES = [
    {"choices": [], "usage": COUNTED},
    {"choices": [], "usage": COUNTED, "x": {}},
    {"usage": COUNTED, "choices": [{"message": {"content": MIMIC}}], "x": {}},
    {"usage": COUNTED, 'x,"usage': {"completion_tokens": 1}},
    {"usage": COUNTED, "x": {"a": 1, "usage": {"completion_tokens": 1}}},
    {"usage": {**COUNTED, "a": 1, "usage": {"completion_tokens": 1}}},
    {"a": 1, "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 5}},
    {"a": 1, "usage": {"completion_tokens": "many"}},
    {"a": 1, "usage": {}},
    {"a": MIMIC, "b": {}},
    {"a": 1, "timings": {"prompt_n": 1, "cache_n": 2, "predicted_n": 3}},
    [{"a": 1, "usage": COUNTED}],
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("pad", [0, 480, 600])
def test_usage_is_told_by_the_whole_body_however_it_is_found(body: Any, pad: int) -> None:
    if pad and isinstance(body, dict):
        body = {"pad": "p" * pad, **body, **({"usage": {**body["usage"], "pad": "p" * pad}} if "usage" in body else {})}
    data = orjson.dumps(body)
    spaced = orjson.dumps(body, option=orjson.OPT_INDENT_2)  # is read as a whole
    assert usage.of_body(data) == usage.of_body(spaced)


def test_of_an_event_that_tells_a_response_the_response_tells() -> None:
    event = {"response": {"a": 1, "usage": COUNTED}, "usage": {"completion_tokens": 1}}
    assert usage.of_event(Event(b"data: " + orjson.dumps(event) + b"\n\n")).completion_tokens == 9


PIECES = (
    *(b'"content":', b'"text":', b'"arguments": "', b'"', b" ", b"x", b'\\"', b'"response.', b'output_text.delta"'),
    *(b'"response":"', b'"refusal":""', b"\n"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=9))
def test_an_answer_begins_where_a_text_is_not_empty(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    names = rb'"(?:content|text|arguments|refusal|partial_json|response)": ?"[^"]'
    kinds = rb'"response\.(?:output_text|function_call_arguments|refusal)\.delta"'
    assert usage.begins_answer(data) == (re.search(names + b"|" + kinds, data) is not None)


DELTAS = [{}, {"role": "assistant", "content": ""}, {"content": ""}, {"content": "a"}, {"role": "assistant"}]
DELTAS += [{"content": "", "reasoning_content": "a"}, {"content": '"type":'}, {"tool_calls": [{"type": "function"}]}]


@pytest.mark.parametrize("first", DELTAS)
@pytest.mark.parametrize("second", [None, *DELTAS])
@pytest.mark.parametrize("more", [{}, {"type": "x"}, {"type": "x.delta"}])
def test_output_is_found_without_reading_where_reading_finds_it(first: Any, second: Any, more: Any) -> None:
    choices = [{"index": index, "delta": delta} for index, delta in enumerate((first, second)) if delta is not None]
    value = {"choices": choices, **more}
    plain, read = orjson.dumps(value), orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", b"")
    compact, spaced = (usage.holds_content(Event(b"data: " + one + b"\n\n")) for one in (plain, read))
    assert compact == spaced
