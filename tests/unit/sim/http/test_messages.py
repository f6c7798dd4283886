"""What a message says as a chat, and what engines leave out of it."""

from typing import Any

import pytest

from proxy.sim.http.messages import STAMP, as_anthropic, as_chat
from proxy.sim.http.refusal import Refusal, busy, missing, unknown_model

HELLO: dict[str, Any] = {"model": "m", "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}


def texts(**more: Any) -> list[str]:
    return [message["content"] for message in as_chat(HELLO | more)["messages"]]


def test_a_message_is_a_chat_with_its_system_first() -> None:
    blocks = [
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "x"},
    ]
    assert texts(system="Be brief.") == ["Be brief.", "hello"]
    assert texts(system=blocks) == ["Be brief.\nx", "hello"]
    chat = as_chat(HELLO | {"stop_sequences": ["END"], "stream": True, "top_k": 3})
    assert (chat["stop"], chat["stream"], chat["max_tokens"], "top_k" in chat) == (["END"], True, 8, False)


def test_the_stamp_of_an_agent_is_no_part_of_the_prompt() -> None:
    rest = {"type": "text", "text": "Be brief."}
    for number in (1, 2):
        stamp = f"{STAMP}: cc_version=2; cch={number:05x};"
        assert texts(system=[{"type": "text", "text": stamp}, rest]) == texts(system=[rest])
        assert texts(system=f"{stamp}\nBe brief.") == texts(system="Be brief.")


def test_calls_results_and_thoughts_are_prompt_and_marks_are_not() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a.py"}}
    turn = [{"type": "thinking", "thinking": "Well.", "signature": "c2ln"}, call]
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "1: import os"}]}
    marked = {**result, "cache_control": {"type": "ephemeral"}}
    for last in (result, marked):
        told = texts(messages=[{"role": "assistant", "content": turn}, {"role": "user", "content": [last]}])
        assert told[0].startswith("Well.")
        assert '"path": "a.py"' in told[0]
        assert told[1] == "1: import os"


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ({}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "Read"}, {"function": {"name": "Read"}}),
    ],
)
def test_tools_are_functions(asked: dict[str, Any], choice: Any) -> None:
    tool = {"name": "Read", "description": "a file", "input_schema": {"type": "object"}}
    chat = as_chat(HELLO | {"tools": [tool], "tool_choice": asked})
    assert chat["tools"][0]["function"] == {"name": "Read", "description": "a file", "parameters": {"type": "object"}}
    assert chat["tool_choice"] == choice


@pytest.mark.parametrize("body", [{}, {"messages": "hello"}, {"messages": ["hello"]}, {"messages": [], "tools": 7}])
def test_what_is_no_message_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        as_chat(body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (missing("body.messages", {}), "invalid_request_error"),
        (unknown_model("x", ("m",)), "not_found_error"),
        (busy(), "overloaded_error"),
        (Refusal(500, "x", "boom"), "api_error"),
    ],
)
def test_errors_are_in_anthropics_shape(refused: Refusal, kind: str) -> None:
    said = as_anthropic(refused)
    assert said.status == refused.status
    assert said.body == {"type": "error", "error": {"type": kind, "message": str(refused)}}
