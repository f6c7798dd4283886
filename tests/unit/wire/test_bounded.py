"""Requests as an engine can bear them: hints left out, answers bounded, all else byte for byte."""

import pytest

from proxy.wire.bounded import for_engine, whole

BODY = b'{ "model":"m", "priority":3,"max_tokens": 100000 , "messages":[{"content":"priority max_tokens"}]}'


def test_nothing_to_do() -> None:
    assert for_engine(BODY, (), 100_000, None) is BODY
    assert for_engine(BODY, ("cache_salt",), 10, 4096) == BODY
    assert for_engine(BODY, ("cache_salt",), None, 4096) == BODY


def test_hints_and_bounds() -> None:
    made = for_engine(BODY, ("priority", "rid"), 100_000, 4096)
    assert made == b'{ "model":"m","max_tokens": 4096 , "messages":[{"content":"priority max_tokens"}]}'


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_every_name_of_the_bound(name: str) -> None:
    body = b'{"%b":9,"nested":{"%b":9}}' % (name.encode(), name.encode())
    assert for_engine(body, (), 9, 4) == b'{"%b":4,"nested":{"%b":9}}' % (name.encode(), name.encode())


def test_only_what_is_too_large_is_lowered() -> None:
    body = b'{"max_tokens":3,"max_completion_tokens":9}'
    assert for_engine(body, (), 9, 4) == b'{"max_tokens":3,"max_completion_tokens":4}'
    assert for_engine(b'{"max_tokens":null}', (), 9, 4) == b'{"max_tokens":null}'


def test_no_stream_is_said_where_it_was_left_out() -> None:
    assert whole(b'{"model":"m"}') == b'{"model":"m","stream":false}'
    for body in (b'{"stream": false}', b'{"stream":null}'):
        assert whole(body) == body
