"""Rows of the dashboard of backends: what the engines say of themselves, and what happens now and then."""

from typing import Final

from proxy.obs.monitoring.panels import Row, graph, states, table
from proxy.obs.monitoring.queries import Queries

_OF: Final = Queries("instance", "pool", "backend")
_BY: Final = ("backend",)
_NAME: Final = "{{backend}}"
_FACTS: Final = (
    "backend",
    "pool",
    "engine",
    "version",
    "precision",
    "kv_precision",
    "attention",
    "speculative",
    "hardware",
)


def engines() -> Row:
    """The row of what they say."""
    return Row(
        "What the engines say of themselves",
        (
            table(
                "What they are",
                "none",
                "As they tell, or as is configured; empty: not known. Two versions in one pool: their speeds differ.",
                (_OF.now("tidegate_engine_info", _FACTS, how="max"), "there"),
            ),
            graph(
                "Running and waiting inside",
                "short",
                "By their own metrics. Many waiting: they were sent more than they begin; let `seats` or "
                "`max_concurrency` say how many.",
                (_OF.now("tidegate_engine_running", _BY, how="max"), "{{backend}}, running"),
                (_OF.now("tidegate_engine_waiting", _BY, how="max"), "{{backend}}, waiting"),
            ),
            graph(
                "KV cache in use",
                "percentunit",
                "By their own metrics. Compare with what was promised (KV memory): far above it, others use the "
                "engine too.",
                (_OF.now("tidegate_engine_kv_usage_ratio", _BY, how="max"), _NAME),
            ),
            graph(
                "Prefix cache",
                "percentunit",
                "Share of prompt tokens that they found in it. Low in all: prompts change at their front, or it is "
                "off.",
                (_OF.now("tidegate_engine_prefix_hit_ratio", _BY, how="max"), _NAME),
            ),
            graph(
                "Longest context",
                "short",
                "Tokens. Unlike within a pool: long prompts go to few of them.",
                (_OF.now("tidegate_engine_context_tokens", _BY, how="min"), _NAME),
            ),
            graph(
                "Age of what they told",
                "s",
                "Since the last reading of their metrics. Much above `routing.scrape`: they do not answer, and "
                "decisions go by old numbers.",
                (_OF.now("tidegate_engine_scrape_age_seconds", _BY, how="max"), _NAME),
            ),
            graph(
                "Accepted drafts",
                "percentunit",
                "Of engines that decode speculatively: the share of drafted tokens that was right. Below 0.5 "
                "drafting costs more than it gives.",
                (_OF.now("tidegate_engine_speculative_acceptance_ratio", _BY, how="max"), _NAME),
            ),
            states(
                "Asleep",
                "Of engines that can sleep: it takes no requests until somebody wakes it.",
                (_OF.now("tidegate_engine_asleep", _BY, how="max"), _NAME),
                (0, "awake", "green"),
                (1, "asleep", "orange"),
            ),
            graph(
                "Memory of cards",
                "bytes",
                "That they say they use, and what is taken on their cards by anybody (gpu_metrics).",
                (_OF.now("tidegate_engine_gpu_memory_bytes", _BY, how="max"), _NAME),
                (_OF.now("tidegate_engine_gpu_reserved_bytes", _BY, how="max"), "{{backend}}, on its cards"),
            ),
        ),
    )


def now_and_then() -> Row:
    """The row of what happens rarely, or at few engines."""
    return Row(
        "Now and then",
        (
            graph(
                "Places",
                "short",
                "Requests that fitted when it last said that it was full; drawn only while that bounds it.",
                (_OF.now("tidegate_backend_places", _BY), _NAME),
            ),
            graph(
                "Loading a model",
                "s",
                "On the mean of those seen, where engines load models as they are asked for them.",
                (_OF.now("tidegate_backend_model_load_seconds", _BY, how="max"), _NAME),
            ),
            graph(
                "Models loaded",
                "cps",
                "Often: more models than fit, so that each request waits for one.",
                (_OF.rate("tidegate_backend_model_loads_total", _BY), _NAME),
            ),
            graph(
                "GPU memory",
                "bytes",
                "As configured (kv_cache.memory).",
                (_OF.now("tidegate_backend_gpu_memory_bytes", _BY, how="max"), _NAME),
            ),
            graph(
                "Prompts warmed",
                "cps",
                "Named prompts computed before an engine takes traffic (warm).",
                (_OF.rate("tidegate_prompts_warmed_total", ("backend", "result")), "{{backend}} {{result}}"),
            ),
            graph(
                "Requests whose fields were changed",
                "reqps",
                "As `parameters` of a backend or model say: set, filled in (default) or taken out (drop).",
                (
                    _OF.rate("tidegate_request_fields_changed_total", ("backend", "change")),
                    "{{backend}} {{change}}",
                ),
            ),
        ),
    )
