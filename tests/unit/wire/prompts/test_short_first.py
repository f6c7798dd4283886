"""Requests for a short answer and for the rest of it; what stays as it came."""

import json
from typing import Any

import orjson
import pytest

from proxy.config.plain import read as read_options
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError
from proxy.model.prompts import AnswerSettings, FirstAnswer
from proxy.wire.prompts import short_first

FIRST = FirstAnswer(120, "short", 60.0)
USER = {"role": "user", "content": "Why is the sky blue?"}
SYSTEM = {"role": "system", "content": 'Be "kind".'}


def test_a_rule_is_written_with_its_unit_or_without() -> None:
    for first in (120, "120 tokens"):
        assert read_options(AnswerSettings, {"first": first}).rule() == FirstAnswer(120, "short", 600.0)
    assert AnswerSettings().rule() is None
    for wrong in ("x tokens", 0, -1, "120s", 100_001):
        with pytest.raises(ValueError, match="first"):
            read_options(AnswerSettings, {"first": wrong})


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({}, True),
        ({"max_tokens": 121, "n": 1}, True),
        ({"max_tokens": 120}, False),
        ({"max_completion_tokens": 5}, False),
        ({"n": 2}, False),
        ({"tools": [{"type": "function"}]}, False),
        ({"functions": [{"name": "f"}]}, False),
        ({"response_format": {"type": "json_schema"}}, False),
        ({"response_format": {"type": "text"}}, True),
        ({"guided_json": {"a": 1}}, False),
    ],
)
def test_never_for_tools_schemas_and_what_is_short_anyway(fields: dict[str, Any], may: bool) -> None:
    assert short_first.may_be_short(Endpoint.CHAT, {"messages": [USER], **fields}, FIRST) is may
    assert not short_first.may_be_short(Endpoint.COMPLETIONS, fields, FIRST)


@pytest.mark.parametrize("style", ["short", "cut"])
@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [USER]},
        {"messages": [SYSTEM, USER], "max_tokens": 900},
        {
            "messages": [{"role": "system", "content": [{"type": "text", "text": "x"}]}, USER],
            "max_completion_tokens": 500,
        },
        {"max_tokens": None, "messages": [{"role": "developer", "content": ""}, USER]},
    ],
)
def test_the_words_are_in_the_systems_first_message_and_the_limit_by_its_name(
    fields: dict[str, Any], style: str
) -> None:
    body = json.dumps(fields, indent=1).encode()
    parsed = orjson.loads(body)
    new = short_first.shortened(body, parsed, FirstAnswer(120, style, 60.0))
    assert orjson.loads(new) == parsed
    limits = {name: value for name, value in parsed.items() if name != "messages"}
    assert set(limits.values()) == {120}
    assert set(limits) == ({*fields} - {"messages"} or {"max_tokens"})
    messages = parsed["messages"]
    assert messages[-1] == USER
    if style == "cut":
        assert messages == fields["messages"]
    else:
        assert messages[0]["role"] in ("system", "developer")
        assert "at most 80 words" in messages[0]["content"]
        assert messages[0]["content"].startswith(SYSTEM["content"]) is (SYSTEM in fields["messages"])


def test_nothing_else_changes() -> None:
    body = b'{"a":1.50, "messages" : [ {"content":"\\u00e9","role":"system"} , {"role":"user","content":"x"} ]}'
    new = short_first.shortened(body, orjson.loads(body), FIRST)
    words = new[new.index(b"\\n\\nAnswer") : new.index(b'","role":"system"')]
    assert new == b'{"max_tokens":120,' + body[1:].replace(b'"\\u00e9', b'"\\u00e9' + words)


@pytest.mark.parametrize(
    ("asked", "limit", "more"),
    [
        ({}, None, {"stream": True}),
        ({}, 900, {"stream": True, "max_tokens": 900}),
        ({"stream": False, "max_tokens": 7}, 900, {"stream": False, "max_tokens": 7}),
        ({"max_completion_tokens": 7}, None, {"stream": True, "max_tokens": 7}),
    ],
)
def test_the_rest_is_asked_for_behind_the_same_prompt(
    asked: dict[str, Any], limit: int | None, more: dict[str, Any]
) -> None:
    body = json.dumps({"messages": [SYSTEM, USER], "max_tokens": 120, "stream": True}).encode()
    new = orjson.loads(short_first.expanded(body, 'It "is".', asked, limit))
    *before, answer, request = new.pop("messages")
    assert before == [SYSTEM, USER]
    assert answer == {"role": "assistant", "content": 'It "is".'}
    assert request["role"] == "user"
    assert new == more


def test_nonsense_is_a_400() -> None:
    with pytest.raises(FaultError):
        short_first.expanded(b'{"messages":[{}]}', "x", {"stream": 1}, None)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "hi"}, "hi"),
        ({"content": None}, ""),
        ({"content": "hi", "tool_calls": [{}]}, ""),
        ({"content": None, "refusal": "no"}, ""),
        (None, ""),
    ],
)
def test_text_of_an_answer(message: Any, text: str) -> None:
    assert short_first.text_of_whole(orjson.dumps({"choices": [{"message": message}]})) == text
    assert short_first.text_of_whole(b"\x1f\x8b") == short_first.text_of_whole(b"{}") == ""


def test_text_of_a_stream() -> None:
    def event(delta: Any) -> bytes:
        return b"data: " + orjson.dumps({"choices": [{"delta": delta}]}) + b"\n\n"

    words = (
        b": ping\n" + event({"role": "assistant", "content": ""}) + event({"content": "a"}) + event({"content": "é"})
    )
    usage = b'data: {"choices":[],"usage":{}}\r\n\r\n'
    assert short_first.text_of_stream(words + usage + b"data: [DONE]\n\n") == "aé"
    assert short_first.text_of_stream(words) == "", "it did not end"
    assert short_first.text_of_stream(event({"tool_calls": [{}]}) + b"data: [DONE]\n\n") == ""
    assert short_first.text_of_stream(b'data: {"error":{}}\n\ndata: [DONE]\n\n') == ""
