"""A row and its detail, for tests that need some of them."""

from typing import Any

from proxy.bench.details import Detail
from proxy.bench.rows import Row, timestamp

AT = 1_772_366_400.25


def row(**changes: Any) -> Row:
    fields = {
        "timestamp": timestamp(AT),
        "hardware": "2x L40S, 48 GB",
        "model": "m",
        "precision": "fp16",
        "server": "tidegate",
        "concurrency": 8,
        "batch_window_ms": 10.0,
        "prompt_tokens": 25,
        "output_tokens": 80,
        "ttft_ms": 250.0,
        "e2e_ms": 2000.5,
        "tpot_ms": 22.1,
        "success": True,
        "gpu_alloc_gb": 20.1,
        "gpu_reserved_gb": 22.0,
    }
    return Row(**{**fields, **changes})


def detail(**changes: Any) -> Detail:
    fields = {
        "cell": "concurrency=8",
        "index": 0,
        "workload": "short-chat",
        "digest": "0" * 16,
        "intended_at": AT,
        "sent_at": AT + 0.001,
        "outcome": "served",
        "status": 200,
    }
    return Detail(**{**fields, **changes})
