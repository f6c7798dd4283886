"""What is kept of answers, and what that was good for, as metrics. Owns names and help texts."""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import Metric

from proxy.model.cache import CacheView
from proxy.obs.families import counter, counters, gauge


def cache_families(view: CacheView, requests: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    """All series; `requests`: how many by class and by what the cache had to do with them."""
    yield counters(
        "tidegate_cache_requests",
        "Requests by what the cache had to do with them: hit, coalesced (with an identical one), miss, bypass.",
        ("class", "result"),
        requests.items(),
    )
    yield gauge("tidegate_cache_bytes", "Memory that kept answers take.", view.used_b)
    yield gauge("tidegate_cache_limit_bytes", "What they may take at most (cache.size).", view.size_b)
    yield gauge("tidegate_cache_entries", "Answers that are kept.", view.entries)
    yield gauge("tidegate_cache_tenants", "Who has any: tenants, and classes that share.", view.scopes)
    yield gauge("tidegate_cache_flights", "Requests under way whose answers identical ones wait for.", view.waiting)
    yield counter("tidegate_cache_stored", "Answers that were kept.", view.stored)
    yield counters(
        "tidegate_cache_dropped",
        "Answers that are kept no more, for want of room or too old, and those that were too large from the start.",
        ("reason",),
        [(("evicted",), view.evicted), (("expired",), view.expired), (("too_large",), view.too_large)],
    )
    yield counter("tidegate_cache_bumps", "Times that kept answers were made void here.", view.bumps)
    yield counters(
        "tidegate_cache_remote",
        "Second level: hit, miss, stored, error (none in time), left_out (not asked), foreign (not believed).",
        ("event",),
        [((event,), count) for event, count in view.remote.items()],
    )
