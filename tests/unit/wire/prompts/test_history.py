"""Conversations cut to a budget: oldest turns first, calls with their results, and a cut that stays where it is."""

import json
import random
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.prompts.history import Cut, shortened

SYSTEM = {"role": "system", "content": "rules " * 50}


def say(role: str, number: int, tokens: int = 100) -> dict[str, Any]:
    return {"role": role, "content": f"{number:04} " + "w " * (2 * tokens)}


def call(number: int) -> dict[str, Any]:
    made = {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "x" * 200}}
    return {"role": "assistant", "content": None, "tool_calls": [made]}


def result(number: int) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"c{number}", "content": "r" * 200}


def cut(messages: list[Any], budget: int, key: str = "messages") -> tuple[list[Any], Cut | None]:
    body = json.dumps({"a": 1, key: messages, "z": 2}).encode()
    fields = orjson.loads(body)
    new, told = shortened(body, fields, key, budget)
    assert orjson.loads(new) == fields
    assert new.startswith(b'{"a": 1')
    assert new.endswith(b'"z": 2}')
    return fields[key], told


def test_oldest_turns_go_and_the_rest_stays_in_order() -> None:
    talk = [message for number in range(20) for message in (say("user", number), say("assistant", number))]
    kept, told = cut([SYSTEM, *talk], 1000)
    assert kept[0] == SYSTEM
    assert kept[1:] == talk[-len(kept) + 1 :]
    assert kept[1]["role"] == "user"
    assert told == Cut(41 - len(kept), len(kept))
    assert 500 <= sum(len(json.dumps(message)) for message in kept[1:]) / 4 <= 1000


def test_below_the_budget_nothing_changes() -> None:
    talk = [SYSTEM, say("user", 1), say("assistant", 1), say("user", 2)]
    assert cut(talk, 10_000) == (talk, None)
    assert cut([], 64) == ([], None)


def test_the_last_turn_is_never_cut_but_for_its_oldest_steps() -> None:
    steps = [message for number in range(20) for message in (call(number), result(number))]
    kept, told = cut([SYSTEM, say("user", 0), say("assistant", 0), say("user", 1), *steps], 800)
    assert kept[:2] == [SYSTEM, say("user", 1)]
    assert kept[2:] == steps[-len(kept) + 2 :]
    assert "tool_calls" in kept[2]
    assert told is not None
    huge = say("user", 9, 5000)
    assert cut([say("user", 0), huge], 100)[0] == [huge]
    assert cut([huge], 100) == ([huge], None)


def test_the_cut_stays_where_it_is_for_many_turns() -> None:
    talk: list[Any] = [SYSTEM]
    firsts: list[str] = []
    for number in range(200):
        talk += [say("user", number), say("assistant", number)]
        kept, told = cut(talk, 4000)
        if told is not None:
            firsts.append(kept[1]["content"][:4])
    assert 3 * len(set(firsts)) < len(firsts)


@given(st.integers(0, 10**6), st.integers(64, 2000), st.sampled_from(["chat", "messages", "responses"]))
def test_no_call_without_its_result_and_no_result_without_its_call(seed: int, budget: int, api: str) -> None:
    draw = random.Random(seed)
    talk: list[Any] = []
    calls = 0
    for number in range(draw.randrange(1, 12)):
        talk.append(say("user", number, draw.randrange(100)))
        for _ in range(draw.randrange(4)):
            made = range(calls, calls + draw.randrange(1, 4))
            calls = made.stop
            talk += _step(api, list(made))
        if draw.random() < 0.7:
            talk.append(say("assistant", number, draw.randrange(100)))
    kept, _ = cut(talk, budget, "input" if api == "responses" else "messages")
    assert [m for m in talk if m in kept] == kept
    assert talk[-1] in kept
    text = json.dumps(kept)
    for number in range(calls):
        assert (f'"call {number}"' in text) == (f'"answer {number}"' in text)


def _step(api: str, numbers: list[int]) -> list[Any]:
    if api == "chat":
        made = [{"id": f"c{n}", "type": "function", "function": {"name": f"call {n}"}} for n in numbers]
        results = [{"role": "tool", "tool_call_id": f"c{n}", "content": f"answer {n}"} for n in numbers]
        return [{"role": "assistant", "tool_calls": made}, *results]
    if api == "messages":
        uses = [{"type": "tool_use", "id": f"c{n}", "name": f"call {n}", "input": {}} for n in numbers]
        got = [{"type": "tool_result", "tool_use_id": f"c{n}", "content": f"answer {n}"} for n in numbers]
        return [{"role": "assistant", "content": uses}, {"role": "user", "content": got}]
    asked = [{"type": "function_call", "call_id": f"c{n}", "name": f"call {n}", "arguments": "{}"} for n in numbers]
    told = [{"type": "function_call_output", "call_id": f"c{n}", "output": f"answer {n}"} for n in numbers]
    return [{"type": "reasoning", "id": f"r{numbers[0]}"}, *asked, *told]
