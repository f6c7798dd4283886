"""Answers that an engine gave up are told from complete ones, and from texts that speak of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint import Endpoint
from proxy.wire.given_up import is_given_up, was_given_up


def event(reason: str | None, text: str = "x") -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("reason", "expected"), [("abort", True), ("stop", False), ("length", False), (None, False), ("repetition", False)]
)
def test_its_reason_tells(reason: str | None, expected: bool) -> None:
    assert is_given_up(event(reason)) is expected
    assert is_given_up(event(reason).replace(b": ", b":")) is expected
    assert was_given_up(event(reason), Endpoint.CHAT) is expected
    assert was_given_up(event(reason), Endpoint.COMPLETIONS) is expected


@given(st.text())
def test_no_text_can_say_it(text: str) -> None:
    assert not is_given_up(event("stop", text + '"finish_reason":"abort"' + text))


def test_one_of_several_texts_is_enough() -> None:
    ends = [{"index": n, "text": "x", "finish_reason": reason} for n, reason in enumerate(["stop", "abort"])]
    assert was_given_up(json.dumps({"choices": ends}).encode(), Endpoint.COMPLETIONS)


def test_a_message_without_a_reason() -> None:
    """As vLLM writes one that it gave up; Anthropic's have a reason, always."""
    message = {"type": "message", "content": [{"type": "text", "text": '"stop_reason": null'}], "stop_reason": None}
    assert was_given_up(json.dumps(message).encode(), Endpoint.MESSAGES)
    del message["stop_reason"]
    assert was_given_up(json.dumps(message).encode(), Endpoint.MESSAGES), "vLLM 0.33.0"
    for other in (message | {"stop_reason": "end_turn"}, {"type": "error"}, {"input_tokens": 3}):
        assert not was_given_up(json.dumps(other).encode(), Endpoint.MESSAGES)
    assert not was_given_up(json.dumps(message).encode(), Endpoint.CHAT)


def test_of_other_answers_it_is_not_known() -> None:
    assert not was_given_up(event("abort"), Endpoint.EMBEDDINGS)
