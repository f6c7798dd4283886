"""vLLM, against what was captured of it."""

import json

import pytest

from proxy.engines.load import Reading
from proxy.engines.recognition import recognise
from proxy.engines.vllm import VLLM
from proxy.model.engine_facts import EngineFacts
from tests.engines_captures.reading import capture

METRICS, VERSION, INFO = VLLM.loads
TEXT = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
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


@pytest.mark.parametrize("text", [TEXT, TEXT.replace(b"\n", b"\r\n")])
def test_its_load(text: bytes) -> None:
    assert METRICS.read(text) == Reading(5, 4, 0.5, 18000, odometer=1500)


def test_what_it_says_of_itself() -> None:
    drafts = b"vllm:spec_decode_num_draft_tokens_total 8\nvllm:spec_decode_num_accepted_tokens_total 4\n"
    cache = b"vllm:prefix_cache_queries_total 100\nvllm:prefix_cache_hits_total 40\n"
    text = TEXT.replace(b'block_size="16",num_gpu_blocks="1025"', b'cache_dtype="fp8",block_size="16"')
    assert METRICS.read(text + cache + drafts).facts == EngineFacts(
        kv_precision="fp8", speculative=True, acceptance=0.5, prefix_hits=0.4
    )
    assert METRICS.read(text.replace(b"fp8", b"auto")).facts is None
    assert VERSION.read(b'{"version":"0.33.0"}') == Reading(facts=EngineFacts(version="0.33.0"))


def test_its_set_up_where_it_was_started_for_developers() -> None:
    text = b"""{"vllm_config":"model='tiny/hf', speculative_config=%b, tokenizer_revision=None, revision=None,
    dtype=torch.bfloat16, quantization=%b, kv_cache_dtype=auto, seed=0","vllm_env":{}}""".replace(b"\n", b" ")
    plain = EngineFacts(precision="torch.bfloat16", speculative=False)
    assert INFO.read(text % (b"None", b"None")).facts == plain
    drafting = INFO.read(text % (b"SpeculativeConfig(method='ngram')", b"awq")).facts
    assert drafting == EngineFacts(precision="awq", speculative=True)


def test_a_sleeping_engine_says_so() -> None:
    text = capture("vllm/metrics_asleep").body
    assert METRICS.read(text).asleep is True
    assert text.count(b'sleep_state="awake"} 0.0') == 1
    assert METRICS.read(text.replace(b'"awake"} 0.0', b'"awake"} 1.0')).asleep is False


def test_one_rank_that_sleeps_is_enough() -> None:
    line = b'vllm:engine_sleep_state{engine="%d",sleep_state="%b"} %d\n'
    text = line % (0, b"awake", 1) + line % (1, b"awake", 0) + line % (1, b"discard_all", 1)
    assert METRICS.read(text).asleep is True
    assert METRICS.read(TEXT).asleep is None


def test_a_long_answer_is_read_fast_and_only_so_many_series_count() -> None:
    line = b'vllm:num_requests_running{engine="0"} 1\n'
    assert METRICS.read(line * 100_000).running == 1024


def test_what_was_captured_of_it() -> None:
    assert recognise(json.loads(capture("vllm/models").body), "") == "vllm"
    assert capture("vllm/err_bad_json").status == 400
    assert not VLLM.answers_500_to_bad_requests
    assert VLLM.says_done
    assert b"data: [DONE]" in capture("vllm/chat_stream").body
