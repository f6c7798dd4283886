"""TensorRT-LLM is recognised by its owner, and found under its other names."""

from proxy.config.backend import BackendOptions
from proxy.engines.load import Reading
from proxy.engines.recognition import recognise
from proxy.engines.tensorrt_llm import TENSORRT_LLM
from proxy.model.engine_facts import EngineFacts

METRICS, VERSION = TENSORRT_LLM.loads


def test_how_it_is_told_and_written() -> None:
    assert recognise({"data": [{"id": "m", "owned_by": "tensorrt_llm"}]}, "") == TENSORRT_LLM.kind
    for spelling in (*TENSORRT_LLM.spellings, "TensorRT.LLM"):
        assert BackendOptions.model_validate({"url": "http://x", "kind": spelling}).kind == TENSORRT_LLM.kind


def test_its_load() -> None:
    text = b"""trtllm_num_requests_running{model_name="m"} 3
trtllm_num_requests_waiting{model_name="m"} 1
trtllm_kv_cache_utilization{model_name="m"} 0.5
trtllm_kv_cache_hit_rate{model_name="m"} 0.25
trtllm_kv_cache_max_blocks{model_name="m"} 100
trtllm_kv_cache_tokens_per_block{model_name="m"} 32
"""
    assert METRICS.read(text) == Reading(3, 1, 0.5, 3200, facts=EngineFacts(prefix_hits=0.25))


def test_what_is_emptied_by_who_reads_it_is_never_asked() -> None:
    assert [source.path for source in TENSORRT_LLM.loads] == ["/prometheus/metrics", "/version"]
