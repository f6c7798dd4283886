"""Families about engines: what each is, and what it says of itself.

Owns which facts are labels: short words, one set of them for each backend at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client.metrics_core import Metric

from proxy.core.shown.views import BackendView
from proxy.obs.families import gauges, read

_INFO: Final = ("version", "precision", "kv_precision", "attention", "gpu", "hardware", "revision")
Reader = Callable[[BackendView], float | None]


def engine_families(views: Sequence[BackendView]) -> Iterator[Metric]:
    """All of them, for the backends as they are now."""

    def per_engine(name: str, text: str, value: Reader) -> Metric:
        return gauges(f"tidegate_engine_{name}", text, ("backend", "pool"), read(views, _key, value))

    yield gauges(
        "tidegate_engine_info",
        "1: what stands behind a backend, as it says itself or as is configured; empty: not known.",
        ("backend", "pool", "engine", *_INFO, "speculative"),
        [((*_key(view), *_told(view)), 1.0) for view in views],
    )
    yield per_engine("running", "Requests that it runs, by its own metrics.", lambda v: v.engine_running)
    yield per_engine("waiting", "Requests that wait inside it, by its own metrics.", lambda v: v.engine_waiting)
    yield per_engine("kv_usage_ratio", "Share of its KV cache in use, by its own metrics.", lambda v: v.engine_kv_usage)
    yield per_engine("context_tokens", "The longest context that it tells.", lambda v: v.context)
    yield per_engine("asleep", "1: it takes no requests until somebody wakes it.", lambda v: v.asleep)
    yield per_engine("scrape_age_seconds", "Since it last told its load.", lambda v: v.scraped_s)
    yield per_engine(
        "speculative_acceptance_ratio", "Share of drafted tokens accepted, as it tells.", lambda v: v.facts.acceptance
    )
    yield per_engine(
        "prefix_hit_ratio", "Share of prompt tokens found in its cache, as it tells.", lambda v: v.facts.prefix_hits
    )
    yield per_engine("gpu_memory_bytes", "Memory of cards that it says it uses.", lambda v: v.facts.gpu_memory_b)
    yield per_engine(
        "gpu_reserved_bytes", "Memory taken on its cards, as their driver says.", lambda v: v.facts.gpu_reserved_b
    )


def _key(view: BackendView) -> tuple[str, ...]:
    return view.name, view.pool


def _told(view: BackendView) -> tuple[str, ...]:
    facts = view.facts
    speculative = "" if facts.speculative is None else str(facts.speculative).lower()
    return facts.engine, *(getattr(facts, name) for name in _INFO), speculative
