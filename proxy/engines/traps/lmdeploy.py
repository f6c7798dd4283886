"""Of LMDeploy, by its source."""

from typing import Final

from proxy.engines.load import METRICS
from proxy.engines.trap import Sight, Trap


def _no_metrics(sight: Sight) -> str:
    return "/metrics is off: its load cannot be seen" if sight.lacks(METRICS) else ""


TRAPS: Final = (
    Trap(
        "no-metrics",
        "/metrics is off",
        "start it without --disable-metrics; older releases want --enable-metrics",
        _no_metrics,
        is_grave=False,
    ),
)
