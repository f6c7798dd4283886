"""A named prompt in front of a request, in each API; the client's own bytes stay."""

import json
from typing import Any

import orjson
import pytest

from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError
from proxy.wire.prompts.assembly import assembled, reference
from proxy.wire.prompts.template import Filled

SHOT = {"role": "user", "content": "q"}
TOOL = {"type": "function", "function": {"name": "read"}}
FILLED = Filled("S", [SHOT], (orjson.dumps(TOOL),))
USER = {"role": "user", "content": "hi {{x}}"}
REF = {"id": "support", "variables": {"x": "1"}}


def put(endpoint: Endpoint, fields: dict[str, Any], filled: Filled = FILLED) -> dict[str, Any]:
    body = json.dumps(fields, indent=1).encode()
    parsed = orjson.loads(body)
    new = assembled(body, parsed, endpoint, filled)
    assert orjson.loads(new) == parsed
    return parsed


@pytest.mark.parametrize(
    ("endpoint", "fields", "result"),
    [
        (
            Endpoint.CHAT,
            {"model": "m", "prompt": REF, "messages": [USER]},
            {"model": "m", "messages": [{"role": "system", "content": "S"}, SHOT, USER], "tools": [TOOL]},
        ),
        (
            Endpoint.CHAT,
            {"messages": [], "tools": [{"b": 1}]},
            {"messages": [{"role": "system", "content": "S"}, SHOT], "tools": [TOOL, {"b": 1}]},
        ),
        (
            Endpoint.RESPONSES,
            {"input": 'say "x"\n', "prompt": REF},
            {"input": [SHOT, {"role": "user", "content": 'say "x"\n'}], "instructions": "S", "tools": [TOOL]},
        ),
        (
            Endpoint.RESPONSES,
            {"instructions": "mine", "input": [USER], "tools": None},
            {"instructions": "S\n\nmine", "input": [SHOT, USER], "tools": [TOOL]},
        ),
        (
            Endpoint.MESSAGES,
            {"system": [{"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}], "messages": [USER]},
            {
                "system": [
                    {"type": "text", "text": "S"},
                    {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
                ],
                "messages": [SHOT, USER],
                "tools": [TOOL],
            },
        ),
        (Endpoint.MESSAGES, {"messages": [USER]}, {"system": "S", "messages": [SHOT, USER], "tools": [TOOL]}),
        (Endpoint.MESSAGES, {"system": "t", "messages": []}, {"system": "S\n\nt", "messages": [SHOT], "tools": [TOOL]}),
    ],
)
def test_where_its_parts_go(endpoint: Endpoint, fields: dict[str, Any], result: dict[str, Any]) -> None:
    assert put(endpoint, fields) == result


def test_nothing_else_changes() -> None:
    body = b'{ "temperature": 1.50, "prompt": {"id":"x"}, "messages" : [ {"role":"user","content":"\\u00e9"} ] }'
    new = assembled(body, orjson.loads(body), Endpoint.CHAT, Filled("S", [], ()))
    put_in = b'{"role":"system","content":"S"},'
    assert new == b'{ "temperature": 1.50, "messages" : [' + put_in + b' {"role":"user","content":"\\u00e9"} ] }'
    plain = b'{"messages": [{}]}'
    assert assembled(plain, orjson.loads(plain), Endpoint.CHAT, Filled("", [], ())) == plain


def test_an_api_without_a_place_for_it_refuses() -> None:
    with pytest.raises(FaultError, match="chat completions"):
        put(Endpoint.COMPLETIONS, {"prompt": "text"})


@pytest.mark.parametrize(
    ("header", "told", "found"),
    [
        (None, None, None),
        (None, "text", None),
        (None, {"id": "pmpt_123"}, None),
        (None, {"id": "support"}, ("support", "", {})),
        (None, {"id": "support", "version": "3", "variables": {"a": 1}}, ("support", "3", {"a": 1})),
        (None, {"id": "support", "version": 3, "variables": None}, ("support", "3", {})),
        (b" support@3 ", None, ("support", "3", {})),
        (b"support", {"id": "other", "version": "9", "variables": {"a": 1}}, ("support", "", {"a": 1})),
        (b"support", {"variables": {"a": 1}}, ("support", "", {"a": 1})),
    ],
)
def test_how_it_is_asked_for(header: bytes | None, told: Any, found: Any) -> None:
    headers = {} if header is None else {b"x-tidegate-prompt": header}
    got = reference(headers, {} if told is None else {"prompt": told})
    assert (None if got is None else got[:3]) == found


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"", None),
        (b"a b", None),
        (b"a@b@c", None),
        (b"\xff", None),
        (None, {}),
        (None, {"id": 7}),
        (None, {"id": "s", "version": [1]}),
        (None, {"id": "s", "version": True}),
        (None, {"id": "s", "variables": [1]}),
        (b"s", {"variables": "x"}),
    ],
)
def test_nonsense_is_a_400(header: bytes | None, told: Any) -> None:
    headers = {} if header is None else {b"x-tidegate-prompt": header}
    with pytest.raises(FaultError):
        reference(headers, {"prompt": told})
