"""Engines' metrics as they were recorded, and garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engines.load import NOTHING, SOURCES, Reading, merged
from tests.engines_captures.reading import capture

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="org/m \\"} 7\\""} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
vllm:num_requests_running_created{engine="1"} 99.0
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:prompt_tokens_total{engine="0",model_name="m"} 1.5e+03
vllm:cache_config_info{block_size="16",num_gpu_blocks="1025",kv_cache_size_tokens="16400"} 1.0
vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1.0
"""
SGLANG = b"""sglang:num_running_reqs{model_name="m"} 5.0
sglang:num_queue_reqs{model_name="m"} 0.0
sglang:token_usage{model_name="m"} 0.5
sglang:max_total_num_tokens{model_name="m"} 80000.0
"""
TGI = b"tgi_batch_current_size 8\ntgi_queue_size 2\ntgi_request_count 11\n"
LLAMA = b"# TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing 1\nllamacpp:requests_deferred 6\n"
SLOTS = b'[{"id":0,"n_ctx":4096,"is_processing":true},{"id":1,"n_ctx":4096,"is_processing":false}]'
READERS = [source.read for sources in SOURCES.values() for source in sources]


@pytest.mark.parametrize(
    ("kind", "place", "text", "expected"),
    [
        ("vllm", 0, VLLM, Reading(5, 4, 0.5, 18000, odometer=1500)),
        ("vllm", 0, VLLM.replace(b"\n", b"\r\n"), Reading(5, 4, 0.5, 18000, odometer=1500)),
        ("sglang", 0, SGLANG, Reading(5, 0, 0.5, 80000)),
        ("tgi", 0, TGI, Reading(8, 2, odometer=11)),
        ("llama_cpp", 2, SLOTS, Reading(1, 0, seats=2)),
        ("llama_cpp", 2, SLOTS.replace(b"false", b"true"), Reading(2, None, seats=2)),
        ("llama_cpp", 1, LLAMA, Reading(1, 6)),
        ("ollama", 0, b'{"models":[{"name":"a:7b"},{"x":1},3]}', Reading(loaded=frozenset({"a:7b"}))),
        ("llama_cpp", 0, b'{"total_slots":4,"is_sleeping":true}', Reading(seats=4, unloaded=True)),
        ("llama_cpp", 0, b'{"total_slots":4}', Reading(seats=4)),
        ("llama_cpp", 0, b'{"role":"router","max_instances":4}', NOTHING),
        (
            "ollama",
            0,
            b'{"models":[{"name":"a:7b","context_length":4096},{"name":"b:1b","context_length":0},{"name":["c"]}]}',
            Reading(loaded=frozenset({"a:7b", "b:1b"}), contexts={"a:7b": 4096}),
        ),
        ("ollama", 0, b'{"models":[{"name":"b:latest"}]}', Reading(loaded=frozenset({"b:latest", "b"}))),
    ],
)
def test_every_engine(kind: str, place: int, text: bytes, expected: Reading) -> None:
    assert SOURCES[kind][place].read(text) == expected


@pytest.mark.parametrize(
    "value", [b"NaN", b"+Inf", b"-1", b"", b"abc", b"1e999", b"1_000", b"\xff", b'{a="', b"{} {} 1"]
)
def test_a_number_that_is_none_is_unknown(value: bytes) -> None:
    assert SOURCES["tgi"][0].read(b"tgi_queue_size " + value + b"\n").waiting is None


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b"{}", b"null", b"[1]", b'{"models":3}', b"[" * 100_000])
def test_garbage_reads_as_nothing(read: object, text: bytes) -> None:
    assert callable(read)
    assert read(text) == NOTHING


@given(st.binary() | st.text().map(str.encode))
def test_nothing_raises(text: bytes) -> None:
    for read in READERS:
        read(text)
        read(b"vllm:num_requests_running" + text)


def test_a_sleeping_engine_says_so() -> None:
    text = capture("vllm/metrics_asleep").body
    assert SOURCES["vllm"][0].read(text).asleep is True
    assert text.count(b'sleep_state="awake"} 0.0') == 1
    assert SOURCES["vllm"][0].read(text.replace(b'"awake"} 0.0', b'"awake"} 1.0')).asleep is False


def test_one_rank_that_sleeps_is_enough() -> None:
    line = b'vllm:engine_sleep_state{engine="%d",sleep_state="%b"} %d\n'
    text = line % (0, b"awake", 1) + line % (1, b"awake", 0) + line % (1, b"discard_all", 1)
    assert SOURCES["vllm"][0].read(text).asleep is True
    assert SOURCES["vllm"][0].read(VLLM).asleep is None


def test_props_as_captured() -> None:
    assert SOURCES["llama_cpp"][0].read(capture("llama.cpp/props").body) == Reading(seats=2, unloaded=False)


def test_what_one_source_tells_the_next_adds_to() -> None:
    first, second = Reading(running=1, seats=4), Reading(running=9, waiting=2, seats=3, unloaded=True)
    assert merged(first, second) == Reading(running=1, waiting=2, seats=4, unloaded=True)
    assert merged(first, NOTHING) == merged(NOTHING, first) == first


def test_only_what_disturbs_no_sleep_is_asked_first() -> None:
    assert [source.stirs for source in SOURCES["llama_cpp"]] == [False, False, True]


def test_a_long_answer_is_read_fast_and_only_so_many_series_count() -> None:
    line = b'vllm:num_requests_running{engine="0"} 1\n'
    assert SOURCES["vllm"][0].read(line * 100_000).running == 1024
