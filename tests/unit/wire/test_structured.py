"""Which form an answer must have, as its request says, and how it is asked for again."""

from typing import Any

import orjson
import pytest

from proxy.model.endpoint import Endpoint
from proxy.wire.structured import REPAIRED_B, TOO_DEEP, asked_again, form, text_of

SCHEMA = {"type": "object", "required": ["a"]}
BY_SCHEMA = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}
STRICT = {"type": "function", "function": {"name": "f", "strict": True, "parameters": SCHEMA}}
LOOSE = {"type": "function", "function": {"name": "g", "parameters": SCHEMA}}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"response_format": {"type": "json_object"}}, {"any": True}),
        (BY_SCHEMA, {"schema": SCHEMA}),
        ({"response_format": {"type": "json_schema"}}, {"any": True}),
        ({"tools": [STRICT, LOOSE]}, {"tools": {"f": SCHEMA}}),
        ({**BY_SCHEMA, "tools": [STRICT]}, {"schema": SCHEMA, "tools": {"f": SCHEMA}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": 7}}}, {"schema": 7}),
    ],
)
def test_a_form_is_what_the_request_says(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    for endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS):
        assert orjson.loads(form(endpoint, fields) or b"") == wanted
    assert form(Endpoint.EMBEDDINGS, fields) is None


def test_a_schema_may_be_deeper_than_can_be_written() -> None:
    deep: dict[str, Any] = orjson.loads('{"properties":' * 800 + "{}" + "}" * 800)
    assert (
        form(Endpoint.CHAT, {"response_format": {"type": "json_schema", "json_schema": {"schema": deep}}}) == TOO_DEEP
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"response_format": {"type": "text"}},
        {"response_format": "json_object"},
        {"response_format": None},
        {"tools": [LOOSE]},
        *({"tools": tools} for tools in (7, [7], [{"function": 7}], [{"function": {"strict": True}}], "x", None)),
    ],
)
def test_any_other_may_have_any(fields: dict[str, Any]) -> None:
    assert form(Endpoint.CHAT, fields) is None


def whole(*messages: Any) -> bytes:
    return orjson.dumps({"choices": [{"message": message} for message in messages]})


def test_the_text_that_could_be_asked_for_again() -> None:
    assert text_of(whole({"content": "{"})) == "{"
    for none in (
        whole(),
        whole({"content": "a"}, {"content": "b"}),
        whole({"content": None}),
        whole({"content": "a", "tool_calls": [{}]}),
        whole(7),
        b"no json",
        b"7",
        whole({"content": "x" * REPAIRED_B}),
    ):
        assert text_of(none) is None


def test_it_is_asked_again_behind_all_that_was_said() -> None:
    body = b'{"messages": [{"role":"user","content":"x"} ], "model":"m"}'
    again = orjson.loads(asked_again(body, 'bad "', "at $.a: what"))
    assert again["model"] == "m"
    assert [turn["role"] for turn in again["messages"]] == ["user", "assistant", "user"]
    assert again["messages"][1]["content"] == 'bad "'
    assert "at $.a: what" in again["messages"][2]["content"]
