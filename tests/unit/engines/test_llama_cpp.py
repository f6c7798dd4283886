"""llama-server, against what was captured of it."""

import json

import pytest

from proxy.engines.llama_cpp import LLAMA_CPP
from proxy.engines.load import NOTHING, Reading
from proxy.engines.recognition import recognise
from proxy.model.engine_facts import EngineFacts
from tests.engines_captures.reading import capture

PROPS, METRICS, SLOTS = LLAMA_CPP.loads
METRICS_TEXT = b"# TYPE x gauge\nllamacpp:requests_processing 1\nllamacpp:requests_deferred 6\n"
SLOTS_TEXT = b'[{"id":0,"n_ctx":4096,"is_processing":true},{"id":1,"n_ctx":4096,"is_processing":false}]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"total_slots":4,"is_sleeping":true}', Reading(seats=4, unloaded=True)),
        (b'{"total_slots":4}', Reading(seats=4)),
        (b'{"role":"router","max_instances":4}', NOTHING),
    ],
)
def test_props(text: bytes, expected: Reading) -> None:
    assert PROPS.read(text) == expected


def test_props_as_captured() -> None:
    facts = EngineFacts(version="b0-0c1e570", precision="all F32", speculative=False)
    assert PROPS.read(capture("llama.cpp/props").body) == Reading(seats=2, unloaded=False, facts=facts)


def test_its_drafts_and_its_cache_are_counted() -> None:
    text = METRICS_TEXT + b"llamacpp:prompt_tokens_total 300\nllamacpp:prompt_tokens_cached_total 100\n"
    draft = b"llamacpp:spec_decode_num_draft_tokens_total %d\nllamacpp:spec_decode_num_accepted_tokens_total 6\n"
    assert METRICS.read(text + draft % 0).facts == EngineFacts(prefix_hits=0.25)
    assert METRICS.read(text + draft % 8).facts == EngineFacts(prefix_hits=0.25, speculative=True, acceptance=0.75)


def test_it_is_not_asked_so_often_that_clients_who_left_are_not_noticed() -> None:
    assert [source.every_s >= 2 for source in LLAMA_CPP.loads] == [False, True, True], "its props come from no task"


def test_metrics() -> None:
    assert METRICS.read(METRICS_TEXT) == Reading(1, 6)


def test_slots_are_seats() -> None:
    assert SLOTS.read(SLOTS_TEXT) == Reading(1, 0, seats=2)
    assert SLOTS.read(SLOTS_TEXT.replace(b"false", b"true")) == Reading(2, None, seats=2)


def test_only_what_disturbs_no_sleep_is_asked_first() -> None:
    assert [source.stirs for source in LLAMA_CPP.loads] == [False, True, True]


@pytest.mark.parametrize(
    ("version", "disturbing"),
    [
        ("b10621-0c1e570", {"/slots"}),
        ("b11368", {"/slots"}),
        ("b9760-6ee0f6579", {"/metrics", "/slots"}),
        ("b0-0c1e570", {"/metrics", "/slots"}),
        ("", {"/metrics", "/slots"}),
        ("0.5.0", {"/metrics", "/slots"}),
    ],
)
def test_builds_that_metrics_wake(version: str, disturbing: set[str]) -> None:
    assert {source.path for source in LLAMA_CPP.loads if source.disturbs(version)} == disturbing


def test_what_was_captured_of_it() -> None:
    assert recognise(json.loads(capture("llama.cpp/models").body), "") == "llama_cpp"
    assert capture("llama.cpp/err_bad_json").status == 500
    assert LLAMA_CPP.answers_500_to_bad_requests
    assert LLAMA_CPP.says_done
    assert b"data: [DONE]" in capture("llama.cpp/chat_stream").body
