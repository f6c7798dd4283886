"""Of `transformers serve` 5.23.0, by recorded exchanges and its source. It shows none of its settings."""

from typing import Final

from proxy.engines.trap import Sight, Trap


def _one_at_a_time(sight: Sight) -> str:
    return "it answers one request after the other, unless it was started otherwise"


TRAPS: Final = (
    Trap(
        "one-at-a-time",
        "it answers one request at a time by default",
        "set `max_concurrency: 1`, so that requests wait here; start it with --continuous-batching where that runs",
        _one_at_a_time,
        is_grave=False,
    ),
)
