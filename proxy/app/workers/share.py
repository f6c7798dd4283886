"""What each of several workers has of a configuration, and what one that does not decide leaves to the one that does.

Owns these two changes. What is bounded in all is divided: a worker cannot lend another one its part.
"""

from dataclasses import replace
from math import ceil

from proxy.config.schema import Config
from proxy.live.background.memory import limit_b
from proxy.model.prompts import WarmSettings
from proxy.model.store import StoreSettings


def share(config: Config, workers: int) -> Config:
    """Of one of so many workers."""
    if workers == 1:
        return config
    limits, realtime = config.limits, config.realtime
    memory = replace(limits.memory, limit=max(1, limit_b(limits.memory) // workers))
    connections = replace(limits.connections, max=ceil(limits.connections.max / workers))
    return config.model_copy(
        update={
            "limits": replace(limits, memory=memory, connections=connections),
            "realtime": replace(realtime, connections=ceil(realtime.connections / workers)),
            "timings": replace(config.timings, keep=0),
        }
    )


def of_follower(config: Config) -> Config:
    """Of a worker that asks another one: that one counts, logs, warms, scrapes and keeps for all."""
    return config.model_copy(
        update={
            "state": "off",
            "slo_state": "off",
            "slos": (),
            "store": StoreSettings(),
            "warm": WarmSettings(),
            "log": config.log.model_copy(update={"access": False, "file": None, "csv": None}),
            "routing": replace(config.routing, scrape=0.0, prefix_lint=False),
        }
    )
