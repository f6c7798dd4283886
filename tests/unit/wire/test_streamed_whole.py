"""Which requests for an answer in one piece may be sent as ones for a stream, and how they are written."""

import orjson
import pytest

from proxy.model.endpoint import Endpoint
from proxy.model.whole_answers import AS_OPENAI, WholeAnswers
from proxy.wire.streamed_whole import may_be_streamed, streamed

CHAT, TEXT = Endpoint.CHAT, Endpoint.COMPLETIONS
STRICT = WholeAnswers(unlike=("stop", "logprobs"))


@pytest.mark.parametrize(
    ("body", "endpoint", "may"),
    [
        (b'{"messages":[]}', CHAT, True),
        (b'{"messages":[],"stream":false}', CHAT, True),
        (b'{"messages":[],"stream":null}', CHAT, True),
        (b'{"messages":[],"stream_options":{"include_usage":true}}', CHAT, False),
        (b'{"messages":[],"stop":["x"]}', CHAT, False),
        (b'{"messages":[],"stop":[],"logprobs":false}', CHAT, True),
        (b'{"messages":[{"content":"stop"}]}', CHAT, True),
        (b'{"messages":[],"logprobs":true}', CHAT, False),
        (b'{"prompt":"a"}', TEXT, True),
        (b'{"prompt":["a"]}', TEXT, False),
        (b'{"input":"a"}', Endpoint.EMBEDDINGS, False),
        (b'{"input":"a"}', Endpoint.RESPONSES, True),
        (b'{"input":"a","background":true}', Endpoint.RESPONSES, False),
        (b'{"input":"a","background":false}', Endpoint.RESPONSES, True),
        (b'{"messages":[]}', Endpoint.MESSAGES, True),
        (b'{"messages":[],"stop":["x"]}', Endpoint.MESSAGES, False),
    ],
)
def test_a_stream_has_to_say_as_much(body: bytes, endpoint: Endpoint, may: bool) -> None:
    assert may_be_streamed(body, endpoint, STRICT) is may
    if b'"stop":["x"]' in body or b"logprobs" in body:
        assert may_be_streamed(body, endpoint, AS_OPENAI)


@pytest.mark.parametrize("body", [b'{"a":1}', b'{"stream":false,"a":1}', b'{ "a":1, "stream" : null}', b"{}"])
def test_it_is_asked_for_a_stream_that_tells_usage(body: bytes) -> None:
    before, after = orjson.loads(body), orjson.loads(streamed(body, CHAT, AS_OPENAI))
    assert after.pop("stream") is True
    assert after.pop("stream_options") == {"include_usage": True}
    before.pop("stream", None)
    assert after == before
    assert b"stream_options" not in streamed(body, CHAT, WholeAnswers(asks_usage=False))
    assert b"stream_options" not in streamed(body, Endpoint.MESSAGES, AS_OPENAI), "they tell it by themselves"
