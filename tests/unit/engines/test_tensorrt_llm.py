"""TensorRT-LLM is recognised by its owner, and found under its other names."""

from proxy.config.backend import BackendOptions
from proxy.engines.recognition import recognise
from proxy.engines.tensorrt_llm import TENSORRT_LLM


def test_how_it_is_told_and_written() -> None:
    assert recognise({"data": [{"id": "m", "owned_by": "tensorrt_llm"}]}, "") == TENSORRT_LLM.kind
    for spelling in (*TENSORRT_LLM.spellings, "TensorRT.LLM"):
        assert BackendOptions.model_validate({"url": "http://x", "kind": spelling}).kind == TENSORRT_LLM.kind
