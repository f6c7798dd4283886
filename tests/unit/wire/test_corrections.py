"""What is put right in answers, and that nothing else changes."""

import orjson
import pytest

from proxy.wire.corrections import Corrections
from proxy.wire.event import Event

TGI = Corrections({"stop_sequence": "stop"}, both=False)
BOTH = Corrections({}, both=True)


def test_words_for_an_end() -> None:
    raw = b'data: {"choices":[{"finish_reason": "stop_sequence"},{"finish_reason":"length"}]}\n\n'
    assert TGI.of_event(Event(raw)).raw == raw.replace(b"stop_sequence", b"stop")
    text = orjson.dumps({"choices": [{"message": {"content": '"finish_reason":"stop_sequence"'}}]})
    assert TGI.of_body(text) == text, "not what a model wrote"


@pytest.mark.parametrize("corrections", [TGI, BOTH])
@pytest.mark.parametrize(
    "raw",
    [
        b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n',
        b'data: {"choices":[{"delta":{"reasoning":null,"content":"a"}}]}\n\n',
        b'data: {"choices":[{"delta":{"reasoning":"a","reasoning_content":"a"}}]}\n\n',
        b'data: {"choices":null,"x":"\\"reasoning"}\n\n',
        b": ping\n",
        b"data: [DONE]\n\n",
        b'data: {"reasoning" broken\n\n',
    ],
)
def test_what_is_right_is_the_same_event(corrections: Corrections, raw: bytes) -> None:
    event = Event(raw)
    assert corrections.of_event(event) is event


def test_a_usage_of_zeros_is_none() -> None:
    zeros = b'"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}'
    ollama = Corrections({}, zeros=True)
    raw = b'data: {"choices":[{"text":"a"}],%b}\n\n'
    assert ollama.of_event(Event(raw % zeros)).raw == raw % b'"usage":null'
    real = Event(raw % zeros.replace(b"0", b"3"))
    assert ollama.of_event(real) is real


def test_thoughts_under_both_names() -> None:
    event = BOTH.of_event(Event(b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'))
    assert event.fields == {"choices": [{"delta": {"reasoning_content": "hm", "reasoning": "hm"}}]}
    body = BOTH.of_body(b'{"choices":[{"message":{"reasoning":"hm","content":"a"}}]}')
    assert orjson.loads(body)["choices"][0]["message"] == {"reasoning": "hm", "content": "a", "reasoning_content": "hm"}


@pytest.mark.parametrize("body", [b"", b'{"reasoning', b'["reasoning"]', b'{"choices":[3,{"message":"reasoning"}]}'])
def test_bodies_that_are_none(body: bytes) -> None:
    assert BOTH.of_body(body) == body
