"""Marks of caches: no part of a prompt, and borders where they stand before the conversation."""

from typing import Any

import orjson

from proxy.wire.prompt import prefix
from proxy.wire.prompts.marks import unmarked

MARK = {"cache_control": {"type": "ephemeral"}}
OPEN = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def chain(fields: dict[str, Any]) -> tuple[int, ...]:
    return prefix(fields, "m", "t")


def said(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text, **more}]}


def test_marks_that_move_along_leave_the_prefix_as_it_is() -> None:
    system = [{"type": "text", "text": "rules " * 200, **MARK}]
    talk = [said("user", "q " * 400), said("assistant", "a " * 400), said("user", "r " * 400)]
    first = chain({"system": system, "messages": [*talk[:1], said("user", "q " * 400, **MARK)]})
    second = chain(
        {"system": system, "messages": [*talk[:1], said("user", "q " * 400), *talk[1:], said("user", "z", **MARK)]}
    )
    assert len(first) >= 4
    assert second[: len(first)] == first


def test_a_mark_before_the_conversation_is_a_border() -> None:
    for mark in (MARK, OPEN):
        for system in (
            {"system": [{"type": "text", "text": "s" * 700, **mark}]},
            {"tools": [{"name": "t" * 700, **mark}]},
        ):
            one = chain({**system, "messages": [said("user", "x" * 2000)]})
            other = chain({**system, "messages": [said("user", "y" * 2000)]})
            assert [a == b for a, b in zip(one, other, strict=True)][:3] == [True, True, False]
    in_list = [{"role": "system", "content": [{"type": "text", "text": "s" * 700, **OPEN}]}]
    one, other = (chain({"messages": [*in_list, said("user", c * 2000)]}) for c in "xy")
    assert [a == b for a, b in zip(one, other, strict=True)][:3] == [True, True, False]


def test_text_that_looks_like_a_mark_stays() -> None:
    for text in (
        '{"cache_control":{"type":"ephemeral"}}',
        'a,"cache_control":1',
        "cache_control",
        '"prompt_cache_breakpoint":{}',
    ):
        data = orjson.dumps({"role": "user", "content": text})
        assert unmarked(data) == (data, 0)


def test_wherever_they_stand_in_an_object() -> None:
    kept = {"type": "text", "text": "x"}
    for fields in ({**MARK, **kept}, {**kept, **MARK}, {"type": "text", **OPEN, "text": "x"}):
        assert unmarked(orjson.dumps(fields))[0] == orjson.dumps(kept)
    assert unmarked(orjson.dumps(MARK)) == (b"{}", 1)
    assert unmarked(b'{"cache_control":null,"a":1}')[0] == b'{"a":1}'
