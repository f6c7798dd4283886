"""Requests as an engine can bear them: hints left out, answers bounded, all else byte for byte."""

import pytest

from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.wire.bounded import for_engine, whole

PLACES = ENDPOINTS[Endpoint.CHAT].limits_at
BODY = b'{ "model":"m", "priority":3,"max_tokens": 100000 , "messages":[{"content":"priority max_tokens"}]}'


def test_nothing_to_do() -> None:
    assert for_engine(BODY, (), 100_000, None, PLACES) is BODY
    assert for_engine(BODY, ("cache_salt",), 10, 4096, PLACES) == BODY
    assert for_engine(BODY, ("cache_salt",), None, 4096, PLACES) == BODY


def test_hints_and_bounds() -> None:
    made = for_engine(BODY, ("priority", "rid"), 100_000, 4096, PLACES)
    assert made == b'{ "model":"m","max_tokens": 4096 , "messages":[{"content":"priority max_tokens"}]}'


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_every_name_of_the_bound(name: str) -> None:
    body = b'{"%b":9,"nested":{"%b":9}}' % (name.encode(), name.encode())
    assert for_engine(body, (), 9, 4, PLACES) == b'{"%b":4,"nested":{"%b":9}}' % (name.encode(), name.encode())


def test_only_what_is_too_large_is_lowered() -> None:
    body = b'{"max_tokens":3,"max_completion_tokens":9}'
    assert for_engine(body, (), 9, 4, PLACES) == b'{"max_tokens":3,"max_completion_tokens":4}'
    assert for_engine(b'{"max_tokens":null}', (), 9, 4, PLACES) == b'{"max_tokens":null}'


def test_no_stream_is_said_where_it_was_left_out() -> None:
    assert whole(b'{"model":"m"}') == b'{"model":"m","stream":false}'
    for body in (b'{"stream": false}', b'{"stream":null}'):
        assert whole(body) == body


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (Endpoint.OLLAMA_CHAT, '{"num_predict":9, "options": {"a":{"num_predict":9}, "num_predict" : %d}}'),
        (Endpoint.LLAMA_COMPLETION, '{"n_predict":%d,"prompt":"n_predict"}'),
        (Endpoint.GENERATE, '{"inputs":"x","parameters":{"max_new_tokens":%d}}'),
        (Endpoint.GENERATE, '{"text":"x","sampling_params":{"max_new_tokens":%d,"stop":[]},"parameters":[1]}'),
    ],
)
def test_bounds_in_an_engines_own_words(endpoint: Endpoint, body: str) -> None:
    places = ENDPOINTS[endpoint].limits_at
    assert for_engine((body % 9).encode(), (), 9, 4, places) == (body % 4).encode()
    assert for_engine((body % 3).encode(), (), 3, 4, places) == (body % 3).encode()
