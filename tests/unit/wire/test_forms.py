"""Streams put together, whole answers cut to streams: made-up ones, and those of real engines."""

from typing import Any

import orjson
import pytest

from proxy.model.endpoint import Endpoint
from proxy.wire import forms, sse
from tests.engines_captures.reading import capture, named

CHAT, TEXT = Endpoint.CHAT, Endpoint.COMPLETIONS


def _scenario(name: str) -> str:
    return name.rpartition("/")[2]


_TWO_FORMS = named(
    lambda c: c.is_stream and c.is_whole and _scenario(c.name).startswith(("chat_stream", "completion_"))
)
_WHOLES = named(lambda c: c.status == 200 and _scenario(c.name) in ("chat", "completion", "chat_tools"))


def _endpoint(name: str) -> Endpoint:
    return CHAT if "/chat" in name else TEXT


def _clean(raw: bytes) -> bytes:
    events = (sse.cleaned(event) for event in sse.EventSplitter(1 << 20).feed(raw))
    return b"".join(event for event in events if not event.startswith(b":"))


def _event(choice: dict[str, Any] | None, **more: Any) -> bytes:
    fields = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m", **more}
    return b"data: " + orjson.dumps({**fields, "choices": [] if choice is None else [choice]}) + b"\n\n"


def _delta(delta: dict[str, Any], index: int = 0, **more: Any) -> bytes:
    return _event({"index": index, "delta": delta, "finish_reason": None, **more})


def test_a_stream_becomes_the_answer_that_it_is() -> None:
    stream = (
        _delta({"role": "assistant", "content": ""})
        + _delta({"reasoning_content": "hm"})
        + _delta({"content": "a"}, logprobs={"content": [{"token": "a"}]})
        + _delta({"content": "x"}, index=1)
        + _delta({"content": "b"}, logprobs={"content": [{"token": "b"}]})
        + _event({"index": 1, "delta": {}, "finish_reason": "length"})
        + _event({"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": 2})
        + _event(None, usage={"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4})
        + b"data: [DONE]\n\n"
    )
    assert forms.whole(stream, CHAT) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab", "reasoning_content": "hm"},
                "logprobs": {"content": [{"token": "a"}, {"token": "b"}]},
                "finish_reason": "stop",
                "stop_reason": 2,
            },
            {"index": 1, "message": {"role": "assistant", "content": "x"}, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }


def test_calls_of_tools_are_put_together() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    stream = (
        _delta({"role": "assistant", "content": None, "tool_calls": [call]})
        + _delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]})
        + _delta({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})
        + _delta({"tool_calls": [{**call, "index": 1, "id": "call_2"}]})
        + _event({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    )
    found = forms.whole(stream, CHAT)
    assert found is not None
    message = found["choices"][0]["message"]
    assert message["content"] is None
    assert [call["id"] for call in message["tool_calls"]] == ["call_1", "call_2"]
    assert list(forms.arguments(found)) == ['{"a":1}', ""]
    cut = forms.stream(found, CHAT, usage=False)
    assert cut is not None
    assert forms.whole(cut, CHAT) == found


@pytest.mark.parametrize(
    "delta", [{"audio": {"data": "x"}}, {"reasoning_details": [1]}, {"tool_calls": [{"index": 3}]}]
)
def test_what_is_not_known_well_enough_stays_in_its_form(delta: dict[str, Any]) -> None:
    assert forms.whole(_delta({"content": "a"}) + _delta(delta), CHAT) is None


def test_so_does_a_whole_answer() -> None:
    message = {"role": "assistant", "content": "a", "audio": {"data": "x"}}
    assert forms.stream({"choices": [{"index": 0, "message": message}]}, CHAT, usage=False) is None
    assert forms.stream({"choices": []}, CHAT, usage=False) is None
    assert forms.stream({"choices": [{"index": 0}]}, TEXT, usage=False) is None
    assert forms.whole(b"", CHAT) is None


def test_usage_is_told_where_it_is_asked_for() -> None:
    answer = {
        "id": "1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3},
    }
    without, told = (forms.stream(answer, CHAT, usage=asked) or b"" for asked in (False, True))
    assert b"usage" not in without
    assert without.endswith(b"data: [DONE]\n\n")
    assert told.count(b"usage") == 1
    assert (forms.whole(told, CHAT) or {})["usage"] == {"prompt_tokens": 3}
    assert without.count(b"data: ") == 1 + 2 + 1 + 1  # role, words, end, [DONE]


@pytest.mark.parametrize("name", _TWO_FORMS)
def test_streams_of_engines_survive_the_way_there_and_back(name: str) -> None:
    stream, endpoint = _clean(capture(name).body), _endpoint(name)
    answer = forms.whole(stream, endpoint)
    assert answer is not None, name
    again = forms.stream(answer, endpoint, usage="usage" in answer)
    assert again is not None
    assert forms.whole(again, endpoint) == answer


@pytest.mark.parametrize("name", _WHOLES)
def test_answers_of_engines_survive_the_way_there_and_back(name: str) -> None:
    answer, endpoint = orjson.loads(capture(name).body), _endpoint(name)
    stream = forms.stream(answer, endpoint, usage="usage" in answer)
    assert stream is not None
    again = forms.whole(stream, endpoint)
    assert again is not None
    for before, after in zip(answer["choices"], again["choices"], strict=True):
        if endpoint is TEXT:
            assert after["text"] == before["text"]
        else:
            assert after["message"].get("content") == before["message"].get("content")
            assert after["message"].get("tool_calls") == before["message"].get("tool_calls")
        assert after["finish_reason"] == before["finish_reason"]
    assert again.get("usage") == answer.get("usage")
