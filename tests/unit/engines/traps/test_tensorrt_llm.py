"""Traps of TensorRT-LLM, by what its source says it shows."""

from proxy.engines.tensorrt_llm import TENSORRT_LLM
from tests.unit.engines.traps.seeing import seen, showing


def test_metrics() -> None:
    assert list(seen(TENSORRT_LLM, showing({}, "/prometheus/metrics"))) == ["no-metrics"]
    assert seen(TENSORRT_LLM, showing({"/prometheus/metrics": b"trtllm_num_requests_running 1\n"})) == {}


def test_the_metrics_that_reading_empties_are_never_asked_for() -> None:
    assert "/metrics" not in TENSORRT_LLM.trap_routes
