"""The part of a prompt that requests should share, in each API."""

from typing import Any

import pytest

from proxy.wire.prompts.stable_part import FIRST, MAX_B, PROMPT, SYSTEM, rough_size, stable_part

USER = {"role": "user", "content": "hello"}


@pytest.mark.parametrize(
    ("fields", "text", "name"),
    [
        ({"messages": [{"role": "system", "content": "s"}, USER]}, b"s", SYSTEM),
        ({"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}]}, USER]}, b"a", SYSTEM),
        ({"system": [{"text": "a"}, {"text": "b"}], "messages": [USER]}, b"a\nb", SYSTEM),
        ({"instructions": "i", "input": "x"}, b"i", SYSTEM),
        ({"input": [{"role": "system", "content": "s"}, USER]}, b"s", SYSTEM),
        ({"messages": [USER, {"role": "system", "content": "late"}]}, b"hello", FIRST),
        ({"prompt": "p"}, b"p", PROMPT),
        ({"input": "in"}, b"in", PROMPT),
        ({"prompt": {"id": "x"}}, b"", PROMPT),
        ({"messages": [7]}, b"", FIRST),
        ({}, b"", PROMPT),
    ],
)
def test_where_it_stands(fields: dict[str, Any], text: bytes, name: str) -> None:
    found = stable_part(fields)
    assert (found.data, found.name, found.tools_b) == (text, name, 0)


def test_tools_come_first_a_line_each_and_all_is_bounded() -> None:
    found = stable_part({"tools": [{"a": 1}, {"b": 2}], "messages": [{"role": "system", "content": "s"}]})
    assert found.data == b'{"a":1}\n{"b":2}\ns'
    assert found.data[found.tools_b :] == b"s"
    big = stable_part({"tools": [{"a": "x" * 99_999}], "prompt": "y" * 99_999})
    assert len(big.data) == big.tools_b == MAX_B


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "abcd"},
        {"system": [{"text": "x"}, {"text": "abcd"}]},
        {"instructions": "abcd", "input": "i"},
        {"messages": [{"role": "system", "content": "abcd"}]},
        {"messages": [{"role": "system", "content": [{"text": "abcd"}]}]},
        {"prompt": "abcd"},
    ],
)
def test_its_rough_size(fields: dict[str, Any]) -> None:
    assert rough_size(fields) == 4


@pytest.mark.parametrize("fields", [{}, {"messages": []}, {"messages": "x"}, {"messages": [None]}, {"prompt": [1, 2]}])
def test_nonsense_has_no_size(fields: dict[str, Any]) -> None:
    assert rough_size(fields) == 0
    assert stable_part(fields).data == b""
