"""Whatever a body looks like: after each edit of a prompt the bytes are JSON that says what the fields say."""

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint import Endpoint
from proxy.model.line_pattern import line_pattern
from proxy.model.prompts import FirstAnswer
from proxy.wire.prompts import short_first
from proxy.wire.prompts.assembly import assembled
from proxy.wire.prompts.history import shortened
from proxy.wire.prompts.strip import stripped
from proxy.wire.prompts.template import Filled

LINE = "x-anthropic-billing-header: 1"
TEXTS = st.lists(st.sampled_from([LINE, "a", '"', "\\", "é", "\n", "]", "{", ""]), max_size=4).map("\n".join)
ODD = st.sampled_from([None, 7, "x", [], {}, [7], "", [[]]])
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=3)
CONTENT = st.one_of(TEXTS, PARTS, ODD)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": ROLES, "content": CONTENT}),
    st.fixed_dictionaries({"content": CONTENT, "role": ROLES, "tool_call_id": st.sampled_from(["a", "b"])}),
    st.fixed_dictionaries({"role": st.just("assistant"), "tool_calls": st.just([{"id": "a"}, {"id": "b"}])}),
)
MESSAGES = st.lists(MESSAGE, min_size=1, max_size=6)
VALUE = {
    "messages": MESSAGES,
    "system": CONTENT,
    "instructions": CONTENT,
    "input": st.one_of(TEXTS, MESSAGES),
    "tools": st.one_of(ODD, st.just([{"type": "function"}])),
    "max_tokens": st.sampled_from([None, 5, 500]),
    "prompt": st.just({"id": "p"}),
    "stream": st.booleans(),
}
PLACES = st.sampled_from(sorted(VALUE)).flatmap(lambda key: st.tuples(st.just(key), VALUE[key]))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON objects with spaces anywhere, and keys that may come twice, the last time as the API has them."""
    doubled = [(key, draw(ODD)) for key in draw(st.lists(st.sampled_from(sorted(VALUE)), max_size=2))]
    members = [*doubled, *draw(st.lists(PLACES, max_size=5)), ("messages", draw(MESSAGES))]
    space = draw(st.sampled_from(["", " ", "\n\t "]))
    ascii_only, indent = draw(st.booleans()), draw(st.sampled_from([None, 1]))
    written = (
        f"{json.dumps(key)}{space}:{space}{json.dumps(value, ensure_ascii=ascii_only, indent=indent)}"
        for key, value in members
    )
    return f"{space}{{{space}{f'{space},{space}'.join(written)}{space}}}{space}".encode()


def agree(body: bytes, fields: dict[str, Any]) -> None:
    assert orjson.loads(body) == fields


@given(bodies())
def test_stripped(body: bytes) -> None:
    fields = orjson.loads(body)
    new, count = stripped(body, fields, (line_pattern("billing"),))
    agree(new, fields)
    assert (new == body) is (count == 0)


@given(bodies(), st.sampled_from([Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES]), st.booleans())
def test_assembled(body: bytes, endpoint: Endpoint, with_examples: bool) -> None:
    fields = orjson.loads(body)
    examples = [{"role": "user", "content": "q"}] if with_examples else []
    agree(assembled(body, fields, endpoint, Filled('S "x"', examples, (b'{"t":1}',))), fields)


@given(bodies(), st.integers(1, 100))
def test_cut(body: bytes, budget: int) -> None:
    fields = orjson.loads(body)
    agree(shortened(body, fields, "messages", budget)[0], fields)


@given(bodies(), st.sampled_from(["short", "cut"]), st.sampled_from([None, 900]))
def test_short_first_and_the_rest(body: bytes, style: str, limit: int | None) -> None:
    fields = orjson.loads(body)
    new = short_first.shortened(body, fields, FirstAnswer(50, style, 60.0))
    agree(new, fields)
    more = orjson.loads(short_first.expanded(new, 'It "is".', {"stream": False}, limit))
    assert more["messages"][:-2] == fields["messages"]
    assert more["messages"][-2]["content"] == 'It "is".'
    assert (more.get("max_tokens"), more["stream"]) == (limit, False)
