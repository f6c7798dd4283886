"""Where the output is in an event, and one event as several: what adds up is the event again."""

from typing import Any

import pytest

from proxy.wire import deltas
from proxy.wire.deltas import Fields, Segment, TextSlice


def chat(delta: Fields, **choice: Any) -> Fields:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]}


def segments(fields: Fields) -> list[Segment]:
    return [segment for part in deltas.parts(fields) for segment in part.segments]


def halves(fields: Fields, segment: int = 0) -> list[Fields]:
    (part,) = deltas.parts(fields)
    text = part.segments[segment].text
    cut = [TextSlice(segment, text[:2], 0, 1), TextSlice(segment, text[2:], 1, 2)]
    return list(deltas.split(fields, [(part, cut)]))


SHAPES = {
    "chat": (chat({"content": "abcd"}), "abcd"),
    "reasoning": (chat({"reasoning_content": "abcd"}), "abcd"),
    "completion": ({"choices": [{"index": 0, "text": "abcd", "finish_reason": None}]}, "abcd"),
    "a call": (chat({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": "abcd"}}]}), "abcd"),
    "a legacy call": (chat({"function_call": {"name": "f", "arguments": "abcd"}}), "abcd"),
    "responses": ({"type": "response.output_text.delta", "item_id": "i", "delta": "abcd"}, "abcd"),
    "messages": ({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "abcd"}}, "abcd"),
    "a thought": (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "abcd"}},
        "abcd",
    ),
}


@pytest.mark.parametrize(("fields", "text"), SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_is_found_and_cut(fields: Fields, text: str) -> None:
    assert [segment.text for segment in segments(fields)] == [text]
    assert [segments(piece)[0].text for piece in halves(fields)] == [text[:2], text[2:]]


UNKNOWN = {
    "nothing": {},
    "an error": {"error": {"message": "x"}},
    "no list": {"choices": {"0": {}}},
    "no object": {"choices": ["x"]},
    "a text that is none": chat({"content": ["parts"]}),
    "calls that are none": chat({"tool_calls": "f()"}),
    "another event of the Responses API": {"type": "response.created", "delta": "x"},
    "another block": {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "x"}},
    "one of two": {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1}]},
}


@pytest.mark.parametrize("fields", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_is_not_known_well_enough_is_not_touched(fields: Fields) -> None:
    assert deltas.parts(fields) == []


def test_a_text_under_two_names_is_one() -> None:
    fields = chat({"reasoning_content": "abcd", "reasoning": "abcd", "content": ""})
    assert segments(fields) == [Segment(("reasoning_content", "reasoning"), -1, "abcd")]
    delta = halves(fields)[1]["choices"][0]["delta"]
    assert (delta["reasoning"], delta["reasoning_content"]) == ("cd", "cd")


def test_fields_of_a_delta_come_once_and_those_of_the_event_on_every_piece() -> None:
    fields = {**chat({"role": "assistant", "content": "abcd", "own": 1}), "model": "m", "prompt_token_ids": [1]}
    first, last = halves(fields)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "ab", "own": 1}
    assert last["choices"][0]["delta"] == {"content": "cd"}
    assert (first["model"], last["model"]) == ("m", "m")
    assert (first["prompt_token_ids"], last["prompt_token_ids"]) == ([1], None)


def test_an_end_comes_with_the_last_piece() -> None:
    fields = {**chat({"content": "abcd"}, finish_reason="stop", matched_stop="x"), "usage": {"completion_tokens": 2}}
    first, last = halves(fields)
    assert (first["choices"][0]["finish_reason"], last["choices"][0]["finish_reason"]) == (None, "stop")
    assert (first["usage"], last["usage"]) == (None, {"completion_tokens": 2})
    assert ("matched_stop" in first["choices"][0], last["choices"][0]["matched_stop"]) == (False, "x")
    assert not deltas.keeps_nothing_for_first_or_last(fields["choices"][0])
    assert deltas.keeps_nothing_for_first_or_last(chat({"content": "a"})["choices"][0])


def test_a_call_is_opened_once() -> None:
    fields = chat({"tool_calls": [{"index": 3, "id": "x", "function": {"name": "f", "arguments": "abcd"}}]})
    calls = [piece["choices"][0]["delta"]["tool_calls"][0] for piece in halves(fields)]
    assert calls[0] == {"index": 3, "id": "x", "function": {"name": "f", "arguments": "ab"}}
    assert calls[1] == {"index": 3, "function": {"arguments": "cd"}}


def test_what_belongs_to_a_token_goes_with_it() -> None:
    logprobs = {"content": [{"token": "ab"}, {"token": "cd"}], "refusal": None}
    pieces = halves(chat({"content": "abcd"}, token_ids=[7, 8], logprobs=logprobs))
    choices = [piece["choices"][0] for piece in pieces]
    assert [choice["token_ids"] for choice in choices] == [[7], [8]]
    assert [choice["logprobs"]["content"] for choice in choices] == [[{"token": "ab"}], [{"token": "cd"}]]
    unlike = halves(chat({"content": "abcd"}, token_ids=[7, 8, 9]))
    assert [piece["choices"][0]["token_ids"] for piece in unlike] == [[], [7, 8, 9]]


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        ({"token": "ä"}, "ä".encode()),
        ({"token": "?", "bytes": [240, 159]}, b"\xf0\x9f"),
        ({"token": "?", "bytes": [300]}, b"?"),
        ("ab", b"ab"),
        (None, b""),
    ],
)
def test_what_an_engine_says_of_a_token(entry: Any, data: bytes) -> None:
    (part,) = deltas.parts(chat({"content": "x"}, logprobs={"content": [entry]}))
    assert part.tokens == [data]


def test_integers_and_surrogates_survive() -> None:
    data = b'{"id":12345678901234567890123,"choices":[]}'
    assert deltas.load_exactly(data, {"id": 1.2e22})["id"] == 12345678901234567890123
    assert deltas.dump({"text": "\ud83d"}) == b'{"text":"\\ud83d"}'
    lenient = deltas.load_leniently(b'{"p":NaN}')
    assert lenient is not None
    assert deltas.dump(lenient) == b'{"p":NaN}'
    assert deltas.load_leniently(b"[1]") is None
