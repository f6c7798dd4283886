"""Whether an answer has its form; no schema, however it is written, does more than be useless."""

import socket
from typing import Any

import orjson
import pytest

from proxy.model.structured import Verdict
from proxy.wire.schema_check import check

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
NO_ANSWERS = (b"", b"7", b"{}", b'{"choices":[]}', b'{"choices":[7]}')
CALL = {"type": "function", "function": {"name": "f", "arguments": '{"name":"A","age":1}'}}


def answer(content: Any = None, finish: str = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}
    return orjson.dumps({"object": "chat.completion", "choices": [choice]})


def verdict(form: Any, said: bytes, *, is_stream: bool = False) -> Verdict:
    return check(orjson.dumps(form), said, is_stream=is_stream).verdict


@pytest.mark.parametrize(
    ("form", "said", "found"),
    [
        ({"any": True}, answer("{}"), Verdict.VALID),
        ({"any": True}, answer("[1]"), Verdict.MISMATCH),
        ({"any": True}, answer("Sure! {}"), Verdict.NOT_JSON),
        ({"any": True}, answer("{'a': 1}"), Verdict.NOT_JSON),
        ({"any": True}, answer('{"a": NaN}'), Verdict.NOT_JSON),
        ({"any": True}, answer(None), Verdict.NOT_JSON),
        ({"any": True}, answer("["), Verdict.NOT_JSON),
        ({"any": True}, answer("[", finish="length"), Verdict.UNFINISHED),
        ({"any": True}, answer("no", refusal="I cannot"), Verdict.REFUSAL),
        ({"schema": PERSON}, answer('{"name":"Ada","age":36}'), Verdict.VALID),
        ({"schema": PERSON}, answer('{"name":"Ada"}'), Verdict.MISMATCH),
        ({"schema": PERSON}, answer('{"name":"ada","age":36}'), Verdict.MISMATCH),
        ({"schema": PERSON}, answer('{"name":"Ada","age":-1}'), Verdict.MISMATCH),
        ({"schema": {"type": "array"}}, answer("[]"), Verdict.VALID),
        ({"schema": True}, answer("7"), Verdict.VALID),
        ({"tools": {"f": PERSON}}, answer("any words"), Verdict.VALID),
        ({"tools": {"f": PERSON}}, answer(tool_calls=[CALL]), Verdict.VALID),
        ({"tools": {"f": {**PERSON, "required": ["x"]}}}, answer(tool_calls=[CALL]), Verdict.MISMATCH),
        (
            {"tools": {"g": PERSON}},
            answer(tool_calls=[{"function": {"name": "f", "arguments": "{"}}]),
            Verdict.NOT_JSON,
        ),
        ({"any": True}, answer(tool_calls=[7]), Verdict.UNFINISHED),
        *(
            ({"any": True}, said, Verdict.UNFINISHED)
            for said in (b"", b"7", b"{}", b'{"choices":[]}', b'{"choices":[7]}')
        ),
        ({"any": True}, orjson.dumps({"choices": [{"text": "{}", "finish_reason": "stop"}]}), Verdict.VALID),
    ],
)
def test_what_is_found(form: Any, said: bytes, found: Verdict) -> None:
    assert verdict(form, said) is found


def test_one_wrong_choice_of_several_is_one_too_many() -> None:
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in ("{}", "no", "{}")]
    assert verdict({"any": True}, orjson.dumps({"choices": choices})) is Verdict.NOT_JSON


def test_an_error_says_where_and_is_short() -> None:
    said = answer(orjson.dumps({"name": "x" * 10_000, "age": 1}).decode())
    found = check(orjson.dumps({"schema": PERSON}), said, is_stream=False)
    assert found.error.startswith("at $.name: ")
    assert len(found.error) == 300


@pytest.mark.parametrize(
    "schema",
    [
        7,
        "object",
        None,
        {"type": "no-such-type"},
        {"type": 7},
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"allOf": [{"$ref": "#"}]},
        {"$ref": "#/nowhere"},
        {"$ref": "https://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"name": {"$dynamicRef": "http://127.0.0.1:9/x#y"}}},
        {"pattern": "("},
        {"properties": {"name": {"pattern": "(?P<"}}},
        {"minLength": -1},
    ],
)
def test_a_schema_that_is_none_is_no_fault_of_the_answer(schema: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: Any) -> None:
        raise AssertionError("a reference was fetched")

    monkeypatch.setattr(socket.socket, "connect", nobody)
    assert verdict({"schema": schema}, answer('{"name":"Ada","age":36}')) is Verdict.UNUSABLE


def test_schemas_of_the_drafts_are_known() -> None:
    for draft in ("https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"):
        assert verdict({"schema": {"$ref": draft}}, answer('{"type": "object"}')) is Verdict.VALID
        assert verdict({"schema": {"$ref": draft}}, answer('{"type": 7}')) is Verdict.MISMATCH


def test_deep_schemas_and_deep_answers() -> None:
    deep: dict[str, Any] = {}
    for _ in range(120):
        deep = {"properties": {"a": deep}}
    assert verdict({"schema": None}, answer("{}")) is Verdict.UNUSABLE
    nested = '{"a":' * 200 + "1" + "}" * 200
    assert verdict({"schema": deep}, answer(nested)) in (Verdict.VALID, Verdict.UNUSABLE)
    recursive = {"properties": {"a": {"$ref": "#"}}}
    assert verdict({"schema": recursive}, answer(nested)) in (Verdict.VALID, Verdict.UNUSABLE)
    assert verdict({"any": True}, answer("[" * 2000)) is Verdict.NOT_JSON


def event(content: str | None = None, finish: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    return b"data: %b\n\n" % orjson.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def test_a_stream_is_put_together() -> None:
    events = event('{"name":') + event('"Ada","age":3') + event("6}") + event(finish="stop") + b"data: [DONE]\n\n"
    assert verdict({"schema": PERSON}, events, is_stream=True) is Verdict.VALID
    assert verdict({"schema": PERSON}, b": ping\n" + events, is_stream=True) is Verdict.VALID
    assert verdict({"schema": {"required": ["x"]}}, events, is_stream=True) is Verdict.MISMATCH
    assert verdict({"any": True}, event("{") + event(finish="length"), is_stream=True) is Verdict.UNFINISHED
    assert verdict({"any": True}, b"data: nonsense\n\n", is_stream=True) is Verdict.UNFINISHED
