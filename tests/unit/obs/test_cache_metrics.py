"""What is kept, as metrics."""

from proxy.model.cache import CacheView
from proxy.obs.cache_metrics import cache_families


def test_every_number_has_a_series() -> None:
    view = CacheView(1000, 900, 8, 7, 6, 5, 4, 3, 2, 1, {"hit": 10, "error": 11})
    requests = {("interactive", "hit"): 12, ("bulk", "miss"): 13}
    told = {(s.name, *s.labels.values()): s.value for f in cache_families(view, requests) for s in f.samples}
    assert told == {
        ("tidegate_cache_requests_total", "interactive", "hit"): 12,
        ("tidegate_cache_requests_total", "bulk", "miss"): 13,
        ("tidegate_cache_limit_bytes",): 1000,
        ("tidegate_cache_bytes",): 900,
        ("tidegate_cache_entries",): 8,
        ("tidegate_cache_tenants",): 7,
        ("tidegate_cache_stored_total",): 6,
        ("tidegate_cache_dropped_total", "evicted"): 5,
        ("tidegate_cache_dropped_total", "expired"): 4,
        ("tidegate_cache_dropped_total", "too_large"): 3,
        ("tidegate_cache_bumps_total",): 2,
        ("tidegate_cache_flights",): 1,
        ("tidegate_cache_remote_total", "hit"): 10,
        ("tidegate_cache_remote_total", "error"): 11,
    }
