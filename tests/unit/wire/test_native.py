"""Engines' own APIs: what is output, what ends a text, what was counted; by captured answers where there are any."""

import json
from typing import Any

import pytest

from proxy.model.classes import StreamSettings
from proxy.model.endpoint import ENDPOINTS, Api, Endpoint
from proxy.wire import native, usage
from proxy.wire.meter import Meter
from proxy.wire.native import NOTHING, Counts, Texts
from proxy.wire.plan import StreamPlan
from proxy.wire.stream import Stream
from proxy.wire.usage import Usage
from tests.engines_captures.reading import capture

CHAT = {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": False}
LAST = {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "prompt_eval_count": 7}
LAST["eval_count"] = 3
TGI = {"index": 4, "token": {"id": 9, "text": " a", "special": False}, "generated_text": None, "details": None}
TGI_LAST = TGI | {
    "generated_text": "x a",
    "details": {"finish_reason": "length", "generated_tokens": 5, "input_length": 2},
}
SGLANG = {
    "text": "ab",
    "meta_info": {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 4, "finish_reason": None},
}


@pytest.mark.parametrize(
    ("fields", "is_output", "is_end", "counts"),
    [
        (CHAT, True, False, NOTHING),
        (CHAT | {"message": {"role": "assistant", "content": "", "thinking": "hm"}}, True, False, NOTHING),
        (CHAT | {"message": {"role": "assistant", "content": "", "tool_calls": [{}]}}, True, False, NOTHING),
        (CHAT | {"message": {"role": "assistant", "content": ""}}, False, False, NOTHING),
        ({"response": "a", "done": False}, True, False, NOTHING),
        ({"response": "", "thinking": "hm", "done": False}, True, False, NOTHING),
        ({"response": "", "done": True, "done_reason": "load"}, False, True, NOTHING),
        (LAST, False, True, Counts(7, 3)),
        ({"content": "a", "stop": False, "tokens_predicted": 1, "tokens_evaluated": 3}, True, False, Counts(3, 1)),
        (
            {"content": "", "stop": True, "tokens_predicted": 2, "tokens_evaluated": 3, "timings": {"cache_n": 2}},
            False,
            True,
            Counts(3, 2, 2),
        ),
        (TGI, True, False, NOTHING),
        (TGI_LAST, True, True, Counts(2, 5)),
        (SGLANG, True, False, Counts(5, 2, 4)),
        (SGLANG | {"meta_info": {"finish_reason": {"type": "stop"}}}, True, True, Counts()),
        ({"status": "success"}, False, False, NOTHING),
        ({"eval_count": -1, "prompt_eval_count": True}, False, False, Counts()),
    ],
)
def test_what_an_event_says(fields: dict[str, Any], is_output: bool, is_end: bool, counts: Counts) -> None:
    assert (native.holds_output(fields), native.ends(fields)) == (is_output, is_end)
    assert native.counts(fields) == counts


def test_a_captured_answer_of_llama_cpp() -> None:
    body = capture("llama.cpp/native_completion").body
    told = json.loads(body)
    assert usage.of_body(body)[:2] == (told["tokens_evaluated"], told["tokens_predicted"])
    both = b"[%b,%b]" % (body, body)
    assert usage.of_body(both)[:2] == (2 * told["tokens_evaluated"], 2 * told["tokens_predicted"])


def test_an_answer_of_tgi_without_details_is_counted_by_its_head() -> None:
    assert usage.of_body(b'{"generated_text":"x"}') is usage.NO_USAGE
    assert usage.of_headers([(b"x-prompt-tokens", b"4"), (b"x-generated-tokens", b"9")]) == Usage(4, 9)
    assert usage.of_headers([(b"x-prompt-tokens", b"many")]) == Usage()
    assert usage.of_headers([]) is usage.NO_USAGE


def test_a_large_answer_of_ollama_is_counted_by_its_end() -> None:
    ends = usage.Ends()
    ends.saw(b'{"model":"m","embeddings":[[' + b"0.5," * 100_000 + b'1]],"total_duration":9,"prompt_eval_count":12}')
    assert usage.of_ends(ends) == Usage(12)


def fed(api: Api, *events: dict[str, Any]) -> Texts:
    texts = Texts(api)
    for event in events:
        texts.saw(event)
    return texts


def test_prompts_of_one_stream_end_and_are_counted_each() -> None:
    def one(index: int, *, stop: bool, predicted: int) -> dict[str, Any]:
        return {"index": index, "content": "a", "stop": stop, "tokens_predicted": predicted, "tokens_evaluated": 3}

    begun = [one(0, stop=False, predicted=1), one(1, stop=False, predicted=1), one(0, stop=True, predicted=2)]
    assert not fed(Api.LLAMA).have_ended
    assert not fed(Api.LLAMA, *begun).have_ended
    whole = fed(Api.LLAMA, *begun, one(1, stop=True, predicted=5))
    assert (whole.have_ended, whole.counts) == (True, Counts(6, 7))


def test_an_index_that_is_a_tokens() -> None:
    whole = fed(Api.TGI, TGI, TGI | {"index": 5}, TGI_LAST | {"index": 6})
    assert (whole.have_ended, whole.counts) == (True, Counts(2, 5))


def test_indices_are_bounded() -> None:
    texts = Texts(Api.LLAMA)
    for index in range(10_000):
        texts.saw({"index": index, "stop": False, "content": "a", "tokens_predicted": 1})
    assert len(texts._seen) == native._MOST + 1
    assert fed(Api.LLAMA, {"index": -1, "stop": True}, {"index": "x", "stop": True}).have_ended


@pytest.mark.parametrize(
    ("endpoint", "body", "limit"),
    [
        (Endpoint.OLLAMA_CHAT, {"options": {"num_predict": 5}}, 5),
        (Endpoint.OLLAMA_CHAT, {"options": {"num_predict": -1}, "num_predict": 3}, None),
        (Endpoint.OLLAMA_GENERATE, {"options": [1]}, None),
        (Endpoint.LLAMA_COMPLETION, {"n_predict": 0}, 0),
        (Endpoint.LLAMA_COMPLETION, {"n_predict": -1, "max_tokens": 4}, 4),
        (Endpoint.GENERATE, {"parameters": {"max_new_tokens": 8}}, 8),
        (Endpoint.GENERATE_STREAM, {"parameters": {"max_new_tokens": True}}, None),
        (Endpoint.GENERATE, {"sampling_params": {"max_new_tokens": 7}}, 7),
        (Endpoint.GENERATE, {}, None),
    ],
)
def test_the_limit_of_an_answer(endpoint: Endpoint, body: dict[str, Any], limit: int | None) -> None:
    assert native.limit(body, ENDPOINTS[endpoint].limits_at) == limit


@pytest.mark.parametrize("name", ["native_completion_stream", "native_completion_stream_progress"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_captured_stream_of_llama_cpp_is_passed_on_byte_for_byte(name: str, size: int) -> None:
    found = capture(f"llama.cpp/{name}")
    last = json.loads(found.body.split(b"data: ")[-1])
    stream = Stream(StreamPlan(StreamSettings(), 1 << 20, api=Api.LLAMA), Meter())
    got = b"".join(stream.feed(found.body[at : at + size], 1.0) for at in range(0, len(found.body), size))
    assert got + stream.close(2.0) == found.body
    assert stream.has_ended
    told = last["tokens_evaluated"], last["tokens_predicted"], last["timings"]["cache_n"]
    assert stream.usage() == told
    assert stream.meter.tokens <= last["tokens_predicted"]


def test_what_an_engine_writes_beside_its_events_passes_too() -> None:
    written = b'data: null\n\n:\n\nid: 7\ndata: {"index":0,"content":"a","stop":false}\n\nretry: 3\n\n'
    stream = Stream(StreamPlan(StreamSettings(), 1 << 20, api=Api.LLAMA), Meter())
    assert stream.feed(written, 1.0) == written
    assert (stream.meter.tokens, stream.has_ended) == (1, False)
    assert stream.feed(b":\n\n", 2.0) == b":\n\n"
    assert stream.is_in_vain
