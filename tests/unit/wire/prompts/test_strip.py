"""Lines are cut out of the stable part of a prompt: nothing else moves, and the fields say what the bytes say."""

import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.line_pattern import line_pattern
from proxy.wire.prompts.strip import MOST_LINES, stripped

BILLING = "x-anthropic-billing-header: cc_version=2.1; cch=abcde;"
PATTERNS = (line_pattern("billing"), line_pattern("^Current time: .*$"))
USER = {"role": "user", "content": f"{BILLING}\nkeep me"}


def cut(body: bytes) -> tuple[bytes, int, dict[str, Any]]:
    fields = orjson.loads(body)
    new, count = stripped(body, fields, PATTERNS)
    assert orjson.loads(new) == fields
    return new, count, fields


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"system": f"{BILLING}\nBe kind."}, {"system": "Be kind."}),
        ({"system": f"Be kind.\n{BILLING}"}, {"system": "Be kind.\n"}),
        ({"system": f"a\r\n{BILLING}\r\nb"}, {"system": "a\r\nb"}),
        ({"instructions": f"Current time: 10:00\n{BILLING}\nx", "input": "i"}, {"instructions": "x", "input": "i"}),
        ({"system": [{"type": "text", "text": BILLING}, {"text": "b"}]}, {"system": [{"text": "b"}]}),
        ({"system": [{"text": f"{BILLING}\na"}, {"text": BILLING}]}, {"system": [{"text": "a"}]}),
        ({"system": [{"text": BILLING}]}, {"system": [{"text": ""}]}),
        ({"system": BILLING}, {"system": ""}),
        (
            {"messages": [{"role": "system", "content": f"{BILLING}\ns"}, USER]},
            {"messages": [{"role": "system", "content": "s"}, USER]},
        ),
        (
            {"input": [{"role": "developer", "content": [{"type": "input_text", "text": f"{BILLING}\ns"}]}, USER]},
            {"input": [{"role": "developer", "content": [{"type": "input_text", "text": "s"}]}, USER]},
        ),
        ({"system": f'say "{BILLING}"\n\\n{BILLING}'}, {"system": f'say "{BILLING}"\n\\n{BILLING}'}),
        ({"messages": [USER, {"role": "system", "content": BILLING}]}, None),
        ({"prompt": BILLING}, None),
        ({"system": {"text": BILLING}}, None),
        ({"messages": "x", "system": 7}, None),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_what_is_cut(fields: dict[str, Any], left: dict[str, Any] | None, indent: int | None) -> None:
    body = json.dumps(fields, indent=indent).encode()
    new, count, _ = cut(body)
    assert orjson.loads(new) == (fields if left is None else left)
    assert bool(count) is (left is not None and left != fields)
    if not count:
        assert new is body


def test_not_one_byte_more() -> None:
    body = (
        b'{ "model":"m",\t"temperature":1.50, "system":"\\u0058-Anthropic-Billing-Header: 1\\u000aB\\u0020k\\u00efnd.",'
        b'"messages":[{"role":"user","content":"caf\\u00e9 \\/"}]  }'
    )
    new, count, _ = cut(body)
    assert count == 1
    assert new == body.replace(b"\\u0058-Anthropic-Billing-Header: 1\\u000a", b"")


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    first, last = (json.dumps({"system": f"{BILLING}\n{text}"}).encode() for text in "ab")
    new, count, fields = cut(first[:-1] + b"," + last[1:])
    assert count == 1
    assert new == first[:-1] + b',"system": "b"}'
    assert fields == {"system": "b"}


def test_lines_beyond_the_bound_stay() -> None:
    body = json.dumps({"system": "line\n" * MOST_LINES + BILLING}).encode()
    assert cut(body)[:2] == (body, 0)


def test_long_lines_are_cut_whole() -> None:
    line = f"{BILLING} {'é' * 5000} \\ \u2028"
    assert cut(json.dumps({"system": f"{line}\nx"}, ensure_ascii=False).encode())[2]["system"] == "x"


@given(
    st.lists(st.sampled_from([BILLING, "Current time: 9", "a", "", "\\", '"', "ü\t", "\\n", "\u2028"]), max_size=8),
    st.booleans(),
)
def test_it_is_what_cutting_the_decoded_text_gives(lines: list[str], ascii_only: bool) -> None:
    text = "\n".join(lines)
    body = json.dumps({"messages": [{"role": "system", "content": text}]}, ensure_ascii=ascii_only).encode()
    new, count, _ = cut(body)
    expected = re.sub(rf"(?m)^(?:{re.escape(BILLING)}|Current time: 9)(?:\n|\Z)", "", text)
    assert orjson.loads(new)["messages"][0]["content"] == expected
    assert count == sum(line in (BILLING, "Current time: 9") for line in lines)
