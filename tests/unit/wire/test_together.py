"""A stream put together is the answer that its engine would have given in one piece."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engines.registry import DIALECTS
from proxy.model.endpoint import Endpoint
from proxy.model.whole_answers import AS_OPENAI, WholeAnswers
from proxy.wire import sse
from proxy.wire.event import Event
from proxy.wire.together import Together
from tests.engines_captures.reading import capture
from tests.support.llama_stream import chat_events, text_events, written

CHAT, TEXT = Endpoint.CHAT, Endpoint.COMPLETIONS
LLAMA = DIALECTS["llama_cpp"].streamed_whole or AS_OPENAI
HF = DIALECTS["transformers"].streamed_whole or AS_OPENAI
VARIES = frozenset({"id", "created", "usage", "timings"})
"""From one call to the next."""


def put_together(stream: bytes, endpoint: Endpoint, whole: WholeAnswers = AS_OPENAI) -> dict[str, Any] | None:
    together = Together(endpoint, whole)
    for raw in sse.EventSplitter(1 << 20).feed(stream):
        clean = sse.cleaned(raw)
        if not clean or clean.startswith(b":") or Event(clean).data == sse.DONE:
            continue
        if not together.add(Event(clean)):
            return None
    return together.whole()


_TEXT = st.text(max_size=30)
_CALL = st.builds(
    lambda name, arguments, id_: {
        "type": "function",
        "function": {"name": name, "arguments": arguments},
        **({"id": id_} if id_ else {}),
    },
    st.text(min_size=1, max_size=8),
    _TEXT,
    st.sampled_from(["", "call_1"]),
)


def _message(content: str, thought: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": content,
        **({"reasoning_content": thought} if thought else {}),
        **({"tool_calls": calls} if calls else {}),
    }


_MESSAGE = st.builds(_message, _TEXT, _TEXT, st.lists(_CALL, max_size=3))
_HEAD = {
    "created": 1795380137,
    "model": "tiny",
    "system_fingerprint": "b0-0c1e570",
    "usage": {"completion_tokens": 8, "prompt_tokens": 25, "prompt_tokens_details": {"cached_tokens": 0}},
    "id": "chatcmpl-5HTh",
    "timings": {"cache_n": 0, "predicted_n": 8, "predicted_ms": 0.898},
}


def _cut(data: st.DataObject) -> Any:
    def cut(text: str) -> list[str]:
        size = data.draw(st.integers(1, 8))
        return [text[at : at + size] for at in range(0, len(text), size)]

    return cut


@given(st.lists(_MESSAGE, min_size=1, max_size=3), st.sampled_from(["stop", "length", "tool_calls"]), st.data())
def test_chats_of_llama_cpp_are_what_it_would_have_answered(
    messages: list[dict[str, Any]], reason: str, data: st.DataObject
) -> None:
    choices = [{"finish_reason": reason, "index": i, "message": one} for i, one in enumerate(messages)]
    answer = {"choices": choices, "object": "chat.completion", **_HEAD}
    events = chat_events({**answer, "choices": data.draw(st.permutations(choices))}, _cut(data))
    assert put_together(written(events), CHAT, LLAMA) == answer


@given(_TEXT, st.sampled_from(["stop", "length"]), st.data())
def test_texts_of_llama_cpp_are_what_it_would_have_answered(text: str, reason: str, data: st.DataObject) -> None:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
    answer = {"choices": [choice], "object": "text_completion", **_HEAD}
    assert put_together(written(text_events(answer, _cut(data))), TEXT, LLAMA) == answer


@pytest.mark.parametrize(
    ("stream", "whole", "endpoint"),
    [
        ("llama.cpp/chat_stream_usage", "llama.cpp/chat", CHAT),
        ("llama.cpp/completion_stream_usage", "llama.cpp/completion", TEXT),
        ("transformers-serve/chat_stream_usage", "transformers-serve/chat", CHAT),
        ("transformers-serve/completion_stream_usage", "transformers-serve/completion", TEXT),
    ],
)
def test_recorded_streams_have_the_fields_of_recorded_answers(stream: str, whole: str, endpoint: Endpoint) -> None:
    """They are of other lengths, so that texts are compared as far as the shorter one goes."""
    said = orjson.loads(capture(whole).body)
    made = put_together(capture(stream).body, endpoint, LLAMA if "llama" in stream else HF)
    assert made is not None
    assert {name: said[name] for name in said.keys() - VARIES - {"choices"}} == {
        name: made[name] for name in made.keys() - VARIES - {"choices"}
    }
    assert said.keys() == made.keys()
    assert said["usage"].keys() == made["usage"].keys()
    ours, theirs = made["choices"][0], said["choices"][0]
    assert ours.keys() == theirs.keys()
    if endpoint is CHAT:
        assert ours["message"].keys() == theirs["message"].keys()
        assert theirs["message"]["content"].startswith(ours["message"]["content"])
    else:
        assert theirs["text"].startswith(ours["text"])


def test_logprobs_of_chats_and_texts_grow() -> None:
    made = put_together(capture("vllm/chat_stream_logprobs").body, CHAT)
    assert made is not None
    tokens = made["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == made["choices"][0]["message"]["content"]
    events = [
        {"choices": [{"index": 0, "text": text, "logprobs": {"tokens": [text], "text_offset": [at]}}]}
        for at, text in enumerate("ab")
    ]
    made = put_together(written([*events, {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}]), TEXT)
    assert made is not None
    assert made["choices"][0] == {
        "index": 0,
        "text": "ab",
        "logprobs": {"tokens": ["a", "b"], "text_offset": [0, 1]},
        "finish_reason": "stop",
    }


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 0, "delta": {"audio": {"data": "x"}}},
        {"index": 0, "delta": {"tool_calls": [{"index": 3}]}},
        {"index": 0, "delta": {"tool_calls": "x"}},
        {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": "x"}]}},
        {"index": -1, "delta": {}},
        {"index": True, "delta": {}},
        {"index": 5000, "delta": {}},
        {"index": 0, "delta": "x"},
        "x",
    ],
)
def test_what_is_not_known_well_enough_is_not_put_together(choice: Any) -> None:
    assert not Together(CHAT).add(Event(b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"))
    assert not Together(TEXT).add(Event(b'data: {"choices":[{"index":0,"text":1}]}\n\n'))
    assert not Together(TEXT).add(Event(b"data: no JSON\n\n"))


def test_an_answer_has_ended_when_each_of_its_texts_has() -> None:
    together = Together(TEXT)
    assert (together.has_ended, together.whole()) == (False, None)
    for index, reason, ended in ((0, None, False), (1, "stop", False), (0, "stop", True)):
        event = {"choices": [{"index": index, "text": "x", "finish_reason": reason}]}
        assert together.add(Event(b"data: " + orjson.dumps(event) + b"\n\n"))
        assert together.has_ended is ended
    assert together.size_b > 100
