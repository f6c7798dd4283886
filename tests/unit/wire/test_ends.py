"""Usage of what is too large to be kept: first, last, nested, imitated, in every cut."""

import json
from typing import Any

import pytest

from proxy.wire import sse, usage
from proxy.wire.ends import Ends, abridged
from proxy.wire.usage import NO_USAGE, Usage
from tests.engines_captures.reading import capture

TOLD = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 3}}
LARGE = "x" * 200_000


def read(body: bytes, size: int = 64) -> Usage:
    ends = Ends()
    for start in range(0, len(body), size):
        ends.saw(body[start : start + size])
    return usage.of_ends(ends)


def whole(fields: dict[str, Any], indent: int | None = None) -> bytes:
    return json.dumps(fields, indent=indent).encode()


@pytest.mark.parametrize("size", [1, 64, 5000, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
def test_first_and_last(size: int, indent: int | None) -> None:
    choices = {"choices": [{"message": {"content": LARGE}}]}
    for fields in (
        {**choices, "usage": TOLD},
        {"usage": TOLD, **choices},
        {"id": "a", "usage": TOLD, **choices, "z": {"a": []}},
    ):
        assert read(whole(fields, indent), size) == Usage(7, 9, 3)
    assert read(whole({**choices, "usage": TOLD, "metadata": {"b": [{"c": "}"}]}}, indent), size) == Usage(7, 9, 3)


def test_what_only_looks_like_it() -> None:
    imitation = '"usage":{"prompt_tokens":1},' * 20
    assert read(whole({"choices": [{"text": LARGE + imitation}]})) == NO_USAGE
    assert read(whole({"choices": [{"text": imitation + LARGE}]})) == NO_USAGE
    assert read(whole({"data": [{"text": LARGE, "usage": TOLD}]})) == NO_USAGE
    assert read(whole({"data": LARGE, "usage": None})) == NO_USAGE
    assert read(whole({"data": LARGE, "usage": TOLD, "more": imitation + "\\"})) == Usage(7, 9, 3)
    assert read(whole({"data": LARGE, "usage": TOLD, "more": {"usage": {"prompt_tokens": 1}}})) == Usage(7, 9, 3)


def test_an_answer_that_is_no_json() -> None:
    for body in (b"", b"\x00" * 30_000, b'"usage":{', b'{"usage":{"a":' * 4000, b"}" * 30_000, b'"' * 30_001):
        assert read(body) == NO_USAGE


def test_it_holds_little_however_it_is_cut() -> None:
    ends = Ends()
    for _ in range(3000):
        ends.saw(b"x" * 7)
    for _ in range(10):
        ends.saw(b"x" * 1_000_000)
    assert len(ends._first) + sum(map(len, ends._last)) < 32 * 1024


@pytest.mark.parametrize(
    "name", ["llama.cpp/embeddings", "vllm/embeddings", "vllm/chat", "llama.cpp/chat", "vllm/rerank"]
)
def test_captured_answers(name: str) -> None:
    body = capture(name).body
    assert read(body) == usage.of_body(body)


IMAGE = {"type": "image_generation.completed", "sequence_number": 4, "b64_json": LARGE, "usage": TOLD}
ANSWER = {
    "type": "response.completed",
    "response": {"output": LARGE, "usage": TOLD, "user": None},
    "sequence_number": 4,
}


@pytest.mark.parametrize("fields", [IMAGE, ANSWER])
@pytest.mark.parametrize("times", [1, 10], ids=["parsed", "not parsed"])
def test_a_large_event_in_short(fields: dict[str, Any], times: int) -> None:
    data = json.dumps(fields).replace(LARGE, LARGE * times).encode()
    for event in (b"data: " + data + b"\n\n", b"event: %b\ndata: " % fields["type"].encode() + data + b"\n\n"):
        short = abridged(event, sse.payload(event) or b"")
        assert len(short) < 1000
        assert usage.of_events([short]) == Usage(7, 9, 3)
        assert usage.said_last_word([short])
        assert json.loads(sse.payload(short) or b"")["sequence_number"] == 4
