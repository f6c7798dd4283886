"""When a broken stream may be continued, what the next engine is asked, and what of its events a client sees."""

import json
from typing import Any

import orjson
import pytest

from proxy.engines.registry import DIALECTS
from proxy.model.endpoint import Endpoint
from proxy.wire import sse
from proxy.wire.continuation import MOST_TEXT_B, Continuation
from proxy.wire.event import Event
from proxy.wire.usage import Usage

CHAT: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "Tell me a story."}],
    "stream": True,
    "temperature": 0,
}
TEXT: dict[str, Any] = {"model": "tiny", "prompt": "Once", "stream": True, "temperature": 0.0, "max_tokens": 9}
VLLM, LLAMA = DIALECTS["vllm"], DIALECTS["llama_cpp"]


def line(fields: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def delta(text: str | None = None, *, completion: int | None = None, prompt: int = 10, **more: Any) -> bytes:
    """A chat event of the first engine; `more` goes into the delta."""
    content = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": {**content, **more}, "finish_reason": None}
    fields: dict[str, Any] = {"id": "first", "created": 1, "model": "tiny", "choices": [choice]}
    if completion is not None:
        fields["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 0}
    return line(fields)


def second(**fields: Any) -> bytes:
    return line({"id": "second", "created": 2, "model": "other", **fields})


def piece(text: str, finish: str | None = None) -> bytes:
    return line({"id": "first", "created": 1, "choices": [{"index": 0, "text": text, "finish_reason": finish}]})


def after(*events: bytes, fields: dict[str, Any] = CHAT, dialect: Any = VLLM) -> Continuation:
    endpoint = Endpoint.CHAT if "messages" in fields else Endpoint.COMPLETIONS
    continuation = Continuation(fields, endpoint, dialect)
    for event in events:
        continuation.saw(Event(event))
    return continuation


def rewritten(continuation: Continuation, event: bytes) -> bytes:
    """Empty: not at all."""
    found = continuation.rewrite(Event(event))
    return b"" if found is None else found.raw


def read(event: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(sse.payload(event) or b"")
    return fields


class TestCanContinue:
    def test_before_any_text(self) -> None:
        assert after().can_continue()
        assert after(delta("", role="assistant", completion=0)).can_continue()

    def test_with_text_whose_tokens_are_known(self) -> None:
        continuation = after(delta("Once", completion=2), delta(" upon", completion=5))
        assert continuation.can_continue()
        assert (continuation.text, continuation.tokens) == ("Once upon", 5)

    def test_not_when_tokens_are_guessed(self) -> None:
        assert not after(delta("Once")).can_continue()

    def test_events_are_tokens_where_the_engine_says_so_and_text_is_ascii(self) -> None:
        assert after(piece(" a"), piece(" b"), fields=TEXT, dialect=LLAMA).can_continue()
        assert not after(piece(" a"), piece(" 🌊"), fields=TEXT, dialect=LLAMA).can_continue()

    @pytest.mark.parametrize(
        "more",
        [
            {"reasoning": "Hm"},
            {"reasoning_content": "Hm"},
            {"refusal": "No"},
            {"tool_calls": [{}]},
            {"audio": {}, "x": 1},
        ],
    )
    def test_not_with_anything_but_text(self, more: dict[str, Any]) -> None:
        assert not after(delta("Once", completion=1, **more)).can_continue()

    def test_empty_other_fields_are_no_matter(self) -> None:
        assert after(delta("Once", completion=1, reasoning=None, tool_calls=[])).can_continue()

    @pytest.mark.parametrize("text", [" Once", "Once ", "Once\n", "<think>", "a<|im_end|>b", "a</think>b", "a</s>"])
    def test_not_with_text_that_a_template_may_read_otherwise(self, text: str) -> None:
        assert not after(delta(text, completion=1)).can_continue()

    @pytest.mark.parametrize(
        "last",
        [
            b"data: [DONE]\n\n",
            piece("", "stop"),
            b'data: {"error":{"message":"x"}}\n\n',
            b"data: <html>\n\n",
            b'data: {"choices":[{"index":1,"text":"x"}]}\n\n',
            b'data: {"choices":[{"index":0,"text":7}]}\n\n',
            b'data: {"choices":[{"index":0,"text":"x","logprobs":{"tokens":[]}}]}\n\n',
            b'data: {"choices":[{"index":0,"text":"a"},{"index":1,"text":"b"}]}\n\n',
            b'data: {"choices":"x"}\n\n',
            b'data: {"choices":[{"index":0,"text":"\\ud800"}]}\n\n',
        ],
    )
    def test_not_after(self, last: bytes) -> None:
        assert after(piece(" a"), fields=TEXT, dialect=LLAMA).can_continue()
        assert not after(piece(" a"), last, fields=TEXT, dialect=LLAMA).can_continue()

    def test_comments_are_no_matter(self) -> None:
        assert after(b": ping\n", piece(" a"), fields=TEXT, dialect=LLAMA).can_continue()

    def test_not_when_the_limit_is_reached(self) -> None:
        fields = CHAT | {"max_tokens": 5}
        assert after(delta("Once", completion=4), fields=fields).can_continue()
        assert not after(delta("Once", completion=5), fields=fields).can_continue()

    def test_not_across_a_seam_that_may_merge_tokens(self) -> None:
        assert not after(piece("upon"), fields=TEXT, dialect=LLAMA).can_continue()
        spaced = TEXT | {"prompt": "Once "}
        assert not after(piece(" upon"), fields=spaced, dialect=LLAMA).can_continue()

    def test_long_text_is_given_up_and_forgotten(self) -> None:
        most = after(delta("x" * MOST_TEXT_B, completion=9))
        assert most.can_continue()
        most.saw(Event(delta("x", completion=10)))
        assert not most.can_continue()
        assert most.text == ""

    def test_only_on_the_same_kind_of_engine(self) -> None:
        assert after().fits(VLLM)
        assert not after().fits(DIALECTS["sglang"])


class TestBody:
    def test_before_any_text_it_is_the_clients(self) -> None:
        assert after(delta("", role="assistant")).body(b'{"x": 1}') == b'{"x": 1}'

    def test_chat(self) -> None:
        original = b'{ "max_tokens" : 9, "messages": [ {"role":"user", "content":"\\u0041"} ], "big": 1.50 }'
        body = after(delta('Once "upon', completion=4)).body(original)
        assert body == (
            b'{"continue_final_message":true,"add_generation_prompt":false, "max_tokens" : 5, "messages": '
            b'[ {"role":"user", "content":"\\u0041"} ,{"role":"assistant","content":"Once \\"upon"}], "big": 1.50 }'
        )

    def test_both_limits_are_reduced(self) -> None:
        fields = CHAT | {"max_tokens": 9, "max_completion_tokens": 7}
        body = after(delta("Once", completion=3), fields=fields).body(json.dumps(fields).encode())
        assert orjson.loads(body) == fields | {
            "messages": [*CHAT["messages"], {"role": "assistant", "content": "Once"}],
            "continue_final_message": True,
            "add_generation_prompt": False,
            "max_tokens": 6,
            "max_completion_tokens": 4,
        }

    def test_text(self) -> None:
        body = after(piece(" upon"), piece(" a"), fields=TEXT, dialect=LLAMA).body(json.dumps(TEXT).encode())
        assert orjson.loads(body) == TEXT | {"prompt": "Once upon a", "max_tokens": 7}


class TestRewrite:
    def begun(self) -> Continuation:
        continuation = after(delta("", role="assistant", completion=0), delta("Once", completion=3))
        continuation.next_attempt()
        return continuation

    def test_the_first_attempt_passes(self) -> None:
        event = Event(delta("Once", completion=1))
        assert after(event.raw).rewrite(event) is event

    def test_identity_and_usage(self) -> None:
        told = {
            "prompt_tokens": 13,
            "completion_tokens": 2,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 12, "x": 1},
        }
        choice = {"index": 0, "delta": {"content": " upon"}, "finish_reason": None}
        event = second(choices=[choice], usage=told, extra=[1])
        continuation = self.begun()
        continuation.saw(Event(event))
        assert read(rewritten(continuation, event)) == {
            "id": "first",
            "created": 1,
            "model": "tiny",
            "choices": [choice],
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 10, "x": 1},
            },
            "extra": [1],
        }
        assert (continuation.text, continuation.tokens) == ("Once upon", 5)
        assert continuation.corrected(Usage(13, 2, 12)) == Usage(10, 5, 10)

    def test_the_role_is_said_once(self) -> None:
        continuation = self.begun()
        role = second(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        continuation.saw(Event(role))
        assert rewritten(continuation, role) == b""
        both = second(choices=[{"index": 0, "delta": {"role": "assistant", "content": " a"}, "finish_reason": None}])
        assert read(rewritten(continuation, both))["choices"][0]["delta"] == {"content": " a"}

    def test_a_role_that_nobody_heard_stays(self) -> None:
        continuation = after(delta("Once", completion=3))
        continuation.next_attempt()
        role = second(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        continuation.saw(Event(role))
        assert read(rewritten(continuation, role))["choices"][0]["delta"]["role"] == "assistant"

    def test_a_finish_beside_a_role_stays(self) -> None:
        event = second(choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": "stop"}])
        assert read(rewritten(self.begun(), event))["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]

    def test_done_comments_and_errors_pass(self) -> None:
        for event in (b"data: [DONE]\n\n", b": ping\n", b'data: {"error":{"message":"x"}}\n\n', b"data: <\n\n"):
            assert rewritten(self.begun(), event) == event

    def test_an_engine_that_reads_other_tokens_is_not_heard(self) -> None:
        continuation = self.begun()
        event = second(
            choices=[{"index": 0, "delta": {"content": "x"}, "finish_reason": None}],
            usage={"prompt_tokens": 14, "completion_tokens": 1},
        )
        continuation.saw(Event(event))
        assert continuation.disagrees
        assert rewritten(continuation, event) == b""
        assert not continuation.can_continue()

    def test_an_engine_that_does_not_count_first_is_not_heard(self) -> None:
        continuation = self.begun()
        event = second(choices=[{"index": 0, "delta": {"content": "x"}, "finish_reason": None}])
        continuation.saw(Event(event))
        assert rewritten(continuation, event) == b""
        assert continuation.text == "Once"

    def test_a_request_that_begins_anew_needs_no_check(self) -> None:
        continuation = after(delta("", role="assistant", completion=0))
        continuation.next_attempt()
        event = second(choices=[{"index": 0, "delta": {"content": "x"}, "finish_reason": None}])
        continuation.saw(Event(event))
        assert read(rewritten(continuation, event))["id"] == "first"

    def test_a_third_attempt_counts_on(self) -> None:
        continuation = self.begun()
        choice = {"index": 0, "delta": {"content": " upon"}, "finish_reason": None}
        continuation.saw(Event(second(choices=[choice], usage={"prompt_tokens": 13, "completion_tokens": 2})))
        continuation.next_attempt()
        assert (continuation.attempt, continuation.tokens) == (3, 5)
        continuation.saw(Event(second(choices=[choice], usage={"prompt_tokens": 15, "completion_tokens": 1})))
        assert not continuation.disagrees
        assert continuation.corrected(Usage(15, 4)) == Usage(10, 9)
