"""SGLang's own metrics and routes."""

from proxy.engines.load import Reading
from proxy.engines.sglang import SGLANG
from proxy.model.engine_facts import EngineFacts

METRICS, LOADS, INFO, OLDER_INFO = SGLANG.loads
TEXT = b"""sglang:num_running_reqs{model_name="m"} 5.0
sglang:num_queue_reqs{model_name="m"} 0.0
sglang:token_usage{model_name="m"} 0.5
sglang:max_total_num_tokens{model_name="m"} 80000.0
"""


def test_its_load() -> None:
    assert METRICS.read(TEXT) == Reading(5, 0, 0.5, 80000)


def test_what_it_says_of_itself() -> None:
    text = b"""{"version":"0.5.23","dtype":"auto","quantization":"fp8","kv_cache_dtype":"auto","revision":null,
    "attention_backend":"flashinfer","speculative_algorithm":"EAGLE","max_total_num_tokens":80000,
    "max_running_requests":64,"internal_states":[{"memory_usage":{"weight":2.0,"kvcache":1.5,"token_capacity":9}}]}"""
    read = INFO.read(text)
    assert (read.seats, read.kv_tokens) == (64, 80000)
    assert read.facts == EngineFacts(
        version="0.5.23", precision="fp8", attention="flashinfer", speculative=True, gpu_memory_b=3.5 * (1 << 30)
    )
    without = INFO.read(b'{"dtype":"bfloat16","speculative_algorithm":null}')
    assert without.facts == EngineFacts(precision="bfloat16", speculative=False)
    assert METRICS.read(TEXT + b"sglang:spec_accept_rate 0.7\n").facts == EngineFacts(speculative=True, acceptance=0.7)


def test_its_load_without_metrics() -> None:
    text = b"""{"version":"0.5.23","accelerator":"NVIDIA H200","loads":[
    {"dp_rank":0,"num_running_reqs":2,"num_waiting_reqs":1,"token_usage":0.5,"max_total_num_tokens":1000,
    "max_running_requests":8,"speculative":{"accept_rate":0.75}},
    {"dp_rank":1,"num_running_reqs":0,"num_waiting_reqs":0,"token_usage":0.25,"max_total_num_tokens":1000,
    "max_running_requests":8,"speculative":{"accept_rate":0.25}}]}"""
    facts = EngineFacts(version="0.5.23", gpu="NVIDIA H200", speculative=True, acceptance=0.5)
    assert LOADS.read(text) == Reading(2, 1, 0.375, 2000, 16, facts=facts)
    assert LOADS.read(b'{"loads":[{"num_running_reqs":"2"},{"num_running_reqs":1}]}') == Reading()
    assert LOADS.spare, "not asked where its metrics are on"


def test_older_ones_tell_it_at_another_path() -> None:
    assert (INFO.read, INFO.path, OLDER_INFO.path) == (OLDER_INFO.read, "/server_info", "/get_server_info")


def test_it_is_asked_for_usage_in_every_event() -> None:
    assert SGLANG.continuous_usage
    assert "/v1/classify" in SGLANG.routes
