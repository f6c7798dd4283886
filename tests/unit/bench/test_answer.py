"""Answers: what counts as output, when it came, and how they ended."""

import json
from typing import Any

import pytest

from proxy.bench.answer import Answer, Kind


def event(**delta: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


def streamed(*pieces: bytes, status: int = 200) -> Answer:
    answer = Answer("chat")
    answer.on_head(status, {"content-type": "text/event-stream; charset=utf-8"})
    for at, piece in enumerate(pieces):
        answer.on_body(piece, float(at))
    answer.end()
    return answer


def in_one_piece(kind: Kind, body: Any, status: int = 200) -> Answer:
    answer = Answer(kind)
    answer.on_head(status, {"content-type": "application/json"})
    answer.on_body(body if isinstance(body, bytes) else json.dumps(body).encode(), 1.0)
    answer.end()
    return answer


FINISH = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, ' \
        b'"prompt_tokens_details": {"cached_tokens": 4}}}\n\n'  # fmt: skip
DONE = b"data: [DONE]\n\n"


def test_a_stream() -> None:
    answer = streamed(
        event(role="assistant", content=""), event(content="Hel"), event(content="lo"), FINISH, USAGE, DONE
    )
    assert (answer.outcome, answer.text, answer.moments, answer.ended_at) == ("served", "Hello", [1.0, 2.0], 5.0)
    assert (answer.tokens("prompt_tokens"), answer.tokens("completion_tokens"), answer.cached_tokens) == (7, 3, 4)
    assert answer.first_at == 1.0
    assert answer.gaps is not None
    assert answer.gaps.max_ms == 1000.0


def test_events_may_be_cut_anywhere() -> None:
    whole = event(content="a") + event(content="b") + FINISH + DONE
    for size in (1, 7, 50):
        answer = streamed(*[whole[at : at + size] for at in range(0, len(whole), size)])
        assert (answer.outcome, answer.text) == ("served", "ab")


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"tool_calls": [{"function": {"name": "x"}}]},
        {"tool_calls": [{"function": {"arguments": "x"}}]},
    ],
)
def test_thoughts_and_calls_are_output_too(delta: dict[str, Any]) -> None:
    assert streamed(event(**delta), FINISH).moments == [0.0]


def test_a_stream_that_just_stops_is_no_answer() -> None:
    assert streamed(event(content="a")).outcome == "broken"
    assert streamed().outcome == "failed"
    assert streamed(event(content="a"), FINISH).outcome == "served"
    assert streamed(event(content="a"), DONE).outcome == "served"


def test_an_error_in_a_stream() -> None:
    error = b'data: {"error": {"message": "out of\\nmemory"}}\n\n'
    assert (streamed(error).outcome, streamed(error).error) == ("failed", "out of memory")
    assert streamed(event(content="a"), error, DONE).outcome == "broken"
    assert streamed(b"data: {nonsense\n\n", DONE).error == "an event that is not JSON"


@pytest.mark.parametrize(
    ("status", "body", "outcome", "error"),
    [
        (429, {"error": {"message": "slow down"}}, "refused", "slow down"),
        (503, b"busy", "refused", "HTTP 503"),
        (500, {"error": "boom"}, "failed", "boom"),
        (404, {"detail": "Not Found"}, "failed", "Not Found"),
        (200, b"<html>", "failed", "no answer of OpenAI's API: it has no choices"),
        (200, {"error": {"message": "in 200"}}, "failed", "in 200"),
        (200, [1], "failed", "no answer of OpenAI's API: it has no choices"),
    ],
)
def test_what_is_no_answer(status: int, body: Any, outcome: str, error: str) -> None:
    answer = in_one_piece("chat", body, status)
    assert (answer.outcome, answer.error) == (outcome, error)


def test_whole_answers() -> None:
    chat = in_one_piece("chat", {"choices": [{"message": {"content": "Hi"}}], "usage": {"completion_tokens": 1}})
    assert (chat.outcome, chat.text, chat.moments, chat.tokens("completion_tokens")) == ("served", "Hi", [], 1)
    assert len(chat.text_digest) == 16
    completion = in_one_piece("completion", {"choices": [{"text": "x"}]})
    assert (completion.text, completion.tokens("completion_tokens")) == ("x", None)
    vectors = in_one_piece("embeddings", {"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": 2}})
    assert (vectors.outcome, vectors.is_vectors, vectors.text_digest) == ("served", True, "")
    assert in_one_piece("embeddings", {"data": []}).outcome == "failed"


def test_its_client_leaves_when_it_is_told_to() -> None:
    left = []
    answer = Answer("chat", leave_after=2)
    answer.leave = lambda: left.append(len(answer.moments))
    answer.on_head(200, {"content-type": "text/event-stream"})
    for at in range(3):
        answer.on_body(event(content="a"), float(at))
    assert left[0] == 2
    assert not answer.leaves_first
    assert Answer("chat", leave_after=0).leaves_first
