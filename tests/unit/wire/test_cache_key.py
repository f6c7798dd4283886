"""What of a request is its key, one by one; the rule as a whole is in tests/property."""

from itertools import combinations
from typing import Any

import orjson

from proxy.model.limits import ParameterLimits
from proxy.wire import body as bodies
from proxy.wire.cache_key import digest, key
from proxy.wire.routes import route
from tests.unit.wire.asking import JSON, head_of

_MESSAGES = [{"role": "user", "content": "hi"}]


def _of(
    target: bytes = b"/v1/chat/completions", model: str = "m", headers: Any = (), but: str = "", **more: Any
) -> bytes | None:
    body = orjson.dumps({"model": "asked", "messages": _MESSAGES, **more})
    request, fields = bodies.read(head_of(JSON, target=target), route(target), body, ParameterLimits())
    return digest(request, model, fields, body, headers, but)


def test_how_an_answer_is_delivered_does_not_matter() -> None:
    same = [
        _of(),
        _of(stream=True),
        _of(stream=False),
        _of(stream=True, stream_options={"include_usage": True}),
        _of(stream=True, stream_options={}),
        _of(stream=True, stream_options=None),
    ]
    assert len(set(same)) == 1


def test_where_the_two_forms_are_two_things_it_does() -> None:
    assert _of(b"/v1/messages", stream=True) != _of(b"/v1/messages", stream=False)


def test_options_of_a_stream_that_change_its_events_matter() -> None:
    assert _of(stream=True, stream_options={"continuous_usage_stats": True}) != _of(stream=True)


def test_the_model_that_serves_it_the_route_and_its_query_matter() -> None:
    others = [
        _of(),
        _of(model="m2"),
        _of(b"/v1/completions"),
        _of(b"/v1/chat/completions?a=1"),
        _of(b"/chat/completions?a=2"),
    ]
    assert all(one != other for one, other in combinations(others, 2))


def test_headers_that_change_answers_matter_and_others_do_not() -> None:
    assert _of(headers=[(b"Authorization", b"Bearer x"), (b"x-stainless-os", b"L"), (b"User-Agent", b"u")]) == _of()
    one = _of(headers=[(b"Anthropic-Beta", b"a"), (b"openai-organization", b"o")])
    assert one != _of()
    assert one == _of(headers=[(b"openai-organization", b"o"), (b"anthropic-beta", b"a")])
    assert one != _of(headers=[(b"anthropic-beta", b"ao"), (b"openai-organization", b"")])


def test_a_field_can_be_left_out() -> None:
    assert _of(but="input", input=["a"]) == _of(but="input", input=["b"])


def test_large_integers_are_not_rounded() -> None:
    def of(seed: bytes) -> bytes | None:
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"seed":%b}' % seed
        request, fields = bodies.read(head_of(JSON), route(b"/v1/chat/completions"), body, ParameterLimits())
        return digest(request, "m", fields, body, ())

    assert of(b"18446744073709551617") != of(b"18446744073709551618")


def test_a_key_depends_on_whose_it_is_and_on_the_versions() -> None:
    found = _of()
    assert found is not None
    keys = [key(found, scope, stamp) for scope, stamp in ((b"a", b"1"), (b"a", b"2"), (b"b", b"1"), (b"", b"a1"))]
    assert {len(one) for one in keys} == {32}
    assert len(set(keys)) == 4
