"""llama-server, against what was captured of it."""

import json

import pytest

from proxy.engines.llama_cpp import LLAMA_CPP
from proxy.engines.load import NOTHING, Reading
from proxy.engines.recognition import recognise
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
    assert PROPS.read(capture("llama.cpp/props").body) == Reading(seats=2, unloaded=False)


def test_metrics() -> None:
    assert METRICS.read(METRICS_TEXT) == Reading(1, 6)


def test_slots_are_seats() -> None:
    assert SLOTS.read(SLOTS_TEXT) == Reading(1, 0, seats=2)
    assert SLOTS.read(SLOTS_TEXT.replace(b"false", b"true")) == Reading(2, None, seats=2)


def test_only_what_disturbs_no_sleep_is_asked_first() -> None:
    assert [source.stirs for source in LLAMA_CPP.loads] == [False, False, True]


def test_what_was_captured_of_it() -> None:
    assert recognise(json.loads(capture("llama.cpp/models").body), "") == "llama_cpp"
    assert capture("llama.cpp/err_bad_json").status == 500
    assert LLAMA_CPP.answers_500_to_bad_requests
    assert LLAMA_CPP.says_done
    assert b"data: [DONE]" in capture("llama.cpp/chat_stream").body
