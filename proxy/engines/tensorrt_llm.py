"""`trtllm-serve` of TensorRT-LLM, by its source.

Its `/metrics` is not Prometheus' and is emptied by whoever reads it: never asked. What is asked is there with
`return_perf_metrics: true` alone.
"""

from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, Dialect
from proxy.engines.load import SELDOM_S, LoadSource, Reading, said, share, version
from proxy.engines.prometheus import mean, total
from proxy.engines.traps import tensorrt_llm


def _load(text: bytes) -> Reading:
    blocks, size = total(text, b"trtllm_kv_cache_max_blocks"), mean(text, b"trtllm_kv_cache_tokens_per_block")
    drafted = total(text, b"trtllm_spec_decode_num_draft_tokens_total")
    hits = mean(text, b"trtllm_kv_cache_hit_rate")
    told = said(
        speculative=True if drafted else None,
        acceptance=share(total(text, b"trtllm_spec_decode_num_accepted_tokens_total"), drafted),
        prefix_hits=hits if hits is not None and hits <= 1 else None,
    )
    return Reading(
        running=total(text, b"trtllm_num_requests_running"),
        waiting=total(text, b"trtllm_num_requests_waiting"),
        kv_usage=mean(text, b"trtllm_kv_cache_utilization"),
        kv_tokens=blocks * size if blocks and size else None,
        odometer=total(text, b"trtllm_prompt_tokens_total"),
        facts=told,
    )


TENSORRT_LLM: Final = Dialect(
    "tensorrt_llm",
    spellings=("tensorrt-llm", "trtllm"),
    owners=("tensorrt_llm",),
    loads=(LoadSource("/prometheus/metrics", _load), LoadSource("/version", version, every_s=SELDOM_S)),
    tells=frozenset({"speculative"}),
    usage_on_request=ASKED_FOR_USAGE,
    traps=tensorrt_llm.TRAPS,
    trap_routes=(tensorrt_llm.METRICS_ROUTE,),
)
