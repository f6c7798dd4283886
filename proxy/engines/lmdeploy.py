"""LMDeploy, by its source alone: recognised, but not promised."""

from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, Dialect
from proxy.engines.load import METRICS, LoadSource, Reading
from proxy.engines.prometheus import mean, total
from proxy.engines.traps import lmdeploy


def _load(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"lmdeploy:num_requests_running"),
        waiting=total(text, b"lmdeploy:num_requests_waiting"),
        kv_usage=mean(text, b"lmdeploy:gpu_cache_usage_perc"),
        odometer=total(text, b"lmdeploy:prompt_tokens_total"),
    )


LMDEPLOY: Final = Dialect(
    "lmdeploy",
    selectable=False,
    owners=("lmdeploy",),
    loads=(LoadSource(METRICS, _load),),
    routes=frozenset({"/v1/encode", "/generate"}),
    usage_on_request=ASKED_FOR_USAGE,
    traps=lmdeploy.TRAPS,
)
