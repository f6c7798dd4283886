"""LMDeploy, by its source alone: recognised, but not promised."""

from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, Dialect
from proxy.engines.load import METRICS
from proxy.engines.traps import lmdeploy

LMDEPLOY: Final = Dialect(
    "lmdeploy",
    selectable=False,
    owners=("lmdeploy",),
    routes=frozenset({"/v1/encode", "/generate"}),
    usage_on_request=ASKED_FOR_USAGE,
    traps=lmdeploy.TRAPS,
    trap_routes=(METRICS,),
)
