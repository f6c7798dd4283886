"""`trtllm-serve` of TensorRT-LLM, by its source."""

from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, Dialect
from proxy.engines.traps import tensorrt_llm

TENSORRT_LLM: Final = Dialect(
    "tensorrt_llm",
    spellings=("tensorrt-llm", "trtllm"),
    owners=("tensorrt_llm",),
    usage_on_request=ASKED_FOR_USAGE,
    traps=tensorrt_llm.TRAPS,
    trap_routes=(tensorrt_llm.METRICS_ROUTE,),
)
