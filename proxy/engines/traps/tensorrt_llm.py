"""Of `trtllm-serve` of TensorRT-LLM, by its source. Its `/metrics` is never asked: reading empties it."""

from typing import Final

from proxy.engines.trap import Sight, Trap

METRICS_ROUTE: Final = "/prometheus/metrics"


def _no_metrics(sight: Sight) -> str:
    return f"{METRICS_ROUTE} is off: its load is not known" if sight.lacks(METRICS_ROUTE) else ""


TRAPS: Final = (
    Trap(
        "no-metrics",
        f"{METRICS_ROUTE} is off",
        "set return_perf_metrics: true in its options",
        _no_metrics,
    ),
)
