"""The scheduler's state as metric families, read at scrape time.

Owns names, labels and help texts of what the core shows. Tenants are those with an entry, the rest in one.
"""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric

from proxy.core.fleet.health import HealthState
from proxy.core.scheduler import Scheduler
from proxy.core.shown.views import BackendView, Counts, PoolView
from proxy.model.tenants import QuotaView
from proxy.obs.engine_metrics import engine_families
from proxy.obs.families import counter, counters, gauge, gauges, read
from proxy.obs.labels import OTHER, Labels

Reader = Callable[[BackendView], float | None]
PoolReader = Callable[[PoolView], float | None]


def scheduler_families(
    scheduler: Scheduler, now: float, tenants: Labels | None = None, models: Labels | None = None
) -> Iterator[Metric]:
    """All of them; `tenants`, `models`: those that are told by name."""
    named, listed = tenants or Labels((), 1), models or Labels((), 1)
    counts = scheduler.counts(now)
    yield from _count_families(counts)
    backends = scheduler.backends(now)
    yield from _backend_families(backends)
    yield from engine_families(backends)
    yield from _pool_families(scheduler.pools(now))
    yield gauges(
        "tidegate_model_healthy_backends",
        "Backends that serve a model and are healthy; 0: nobody can be asked for it. Of as many listed names as "
        "metrics.models says.",
        ("model",),
        [((model,), count) for model, count in scheduler.healthy(listed.most).items()],
    )
    yield gauges(
        "tidegate_tenant_service_seconds",
        "Backend seconds given to a tenant lately (decayed), of those with an entry and of all others together.",
        ("tenant",),
        _added_up(scheduler.tenants(now), named),
    )
    yield from _quota_families(scheduler.quotas(now))


def _quota_families(views: dict[str, QuotaView]) -> Iterator[Metric]:
    yield gauges(
        "tidegate_tenant_quota_left",
        "What a tenant with an entry of its own may still use now, of its limits for all requests.",
        ("tenant", "what"),
        [((tenant, what), left) for tenant, view in views.items() for what, left in _left(view)],
    )


def _left(view: QuotaView) -> Iterator[tuple[str, float]]:
    for what, allowance in (
        ("requests", view.requests),
        ("tokens", view.tokens),
        ("input_tokens", view.input_tokens),
        ("output_tokens", view.output_tokens),
        ("day_tokens", view.day_tokens),
    ):
        if allowance is not None:
            yield what, allowance.left
    if view.max_concurrent is not None:
        yield "concurrent", view.max_concurrent - view.concurrent
    if view.max_streams is not None:
        yield "streams", view.max_streams - view.streams


def _count_families(counts: Counts) -> Iterator[Metric]:
    yield gauge("tidegate_held_jobs", "Jobs waiting here.", counts.held)
    yield gauge("tidegate_backfill_jobs", "Of the held jobs: bulk.", counts.backfill)
    yield gauge("tidegate_held_bytes", "Bodies of the held jobs.", counts.held_bytes)
    yield gauges(
        "tidegate_hold_fill_ratio",
        "Held jobs or their bytes over their bound (hold), by what waits: short (to be in time, or for a permit) and "
        "bulk; at 1 more are refused.",
        ("what",),
        [(("short",), counts.hold_fill), (("bulk",), counts.bulk_fill)],
    )
    yield counter("tidegate_retries", "Attempts after the first.", counts.retries)
    yield gauge("tidegate_retry_budget_left", "Retries that may still be made now.", counts.retry_budget_left)
    yield counter("tidegate_ejections", "Backends taken out for failing.", counts.ejections)
    yield counter("tidegate_preempted", "Bulk attempts sent back to make room, before they began.", counts.preempted)
    yield counter("tidegate_demoted", "Jobs served late as bulk instead of being refused.", counts.demoted)
    yield from _hedge_families(counts)
    yield counters(
        "tidegate_refusals",
        "Jobs that admission refused, by the limit that would have been broken.",
        ("reason",),
        [((reason.value,), count) for reason, count in counts.refusals.items()],
    )
    yield counters(
        "tidegate_prefix_hit_tokens",
        "Prompt tokens in prefix caches: predicted and actual where engines tell them, untold (predicted) and inferred "
        "(from timing) where they do not.",
        ("what",),
        [
            (("predicted",), counts.predicted_hit_tokens),
            (("actual",), counts.actual_hit_tokens),
            (("untold",), counts.untold_hit_tokens),
            (("inferred",), counts.inferred_hit_tokens),
        ],
    )


def _hedge_families(counts: Counts) -> Iterator[Metric]:
    yield gauge("tidegate_hedging_jobs", "Jobs with two attempts out.", counts.hedging)
    yield counter("tidegate_hedges", "Second attempts beside late ones.", counts.hedges)
    yield counter("tidegate_hedges_won", "Second attempts that answered first.", counts.hedges_won)
    yield counter("tidegate_hedge_tokens", "Prompt tokens losing attempts were to compute.", counts.hedge_tokens)
    yield counter(
        "tidegate_late_attempts",
        "Times an attempt without its first byte was found late, where that is hedged.",
        counts.late,
    )
    yield counters(
        "tidegate_hedges_withheld",
        "Late attempts that got no second one: the budget was spent, or no other backend would be faster.",
        ("reason",),
        [(("budget",), counts.hedges_unpaid), (("backend",), counts.hedges_alone)],
    )


def _backend_families(views: list[BackendView]) -> Iterator[Metric]:
    def per_backend(name: str, text: str, value: Reader) -> Metric:
        return gauges(f"tidegate_backend_{name}", text, ("backend", "pool"), read(views, _backend_key, value))

    yield per_backend("in_flight", "Permits out: requests on the backend.", lambda v: v.in_flight)
    yield per_backend("healthy", "1 healthy, 0 ejected, on trial or away.", lambda v: v.state.value == "healthy")
    yield gauges(
        "tidegate_backend_state",
        "1: the state it is in, of healthy, ejected, probation (on trial) and away; 0: another.",
        ("backend", "pool", "state"),
        [((*_backend_key(v), state.value), float(v.state is state)) for v in views for state in HealthState],
    )
    yield per_backend("reached", "0: the last connection was refused, nothing is there.", _reached)
    yield per_backend("places", "Requests that fitted when it said that it was full.", lambda v: v.places)
    yield per_backend("quota_requests", "Requests left of its quota of a minute.", lambda v: v.requests_left)
    yield per_backend("quota_tokens", "Tokens left of its quota of a minute.", lambda v: v.tokens_left)
    yield counters(
        "tidegate_backend_busy",
        "Answers that said that it is full, or not ready.",
        ("backend", "pool"),
        read(views, _backend_key, lambda v: v.busy),
    )
    yield counters(
        "tidegate_backend_misconfigured",
        "Answers that refused, for the operator's own fault, what another backend served.",
        ("backend", "pool"),
        read(views, _backend_key, lambda v: v.misconfigured),
    )
    yield per_backend("share", "Slow start: share of its usual traffic.", lambda v: v.share)
    yield per_backend("duty", "Share of its time that goes into prefills.", lambda v: v.duty)
    yield per_backend("backlog_seconds", "Predicted prefill outstanding.", lambda v: v.backlog_s)
    yield per_backend("decoding", "Requests past their first token.", lambda v: v.decoding)
    yield per_backend("prefill_tokens_per_second", "Prompt tokens computed a second.", lambda v: v.prefill_rate)
    yield per_backend(
        "learned_prefill_tokens_per_second", "Learned: a prompt of 1,000 tokens alone.", lambda v: v.learned_prefill
    )
    yield per_backend("learned_tpot_seconds", "Learned: TPOT of one more there.", lambda v: v.learned_tpot_s)
    yield per_backend("kv_used_tokens", "KV tokens promised, expected answers included.", lambda v: v.kv_used)
    yield per_backend("kv_tokens", "KV budget: configured, told by the engine, or learned.", lambda v: v.kv_tokens)
    yield per_backend(
        "seats", "Requests the engine runs at once: configured, told by the engine, or learned.", lambda v: v.seats
    )
    yield per_backend("model_load_seconds", "Loading a model, mean of those seen to load.", lambda v: v.model_load_s)
    yield counters(
        "tidegate_backend_model_loads",
        "Models seen to load before a first token.",
        ("backend", "pool"),
        read(views, _backend_key, lambda v: v.model_loads),
    )
    yield per_backend("foreign_requests", "Requests of others that its metrics show.", lambda v: v.foreign)
    yield per_backend("tightest_tpot_seconds", "Least TPOT promised to anybody there.", lambda v: v.tightest_tpot_s)
    yield per_backend("slowness", "Recent prefills took so many times what was predicted.", lambda v: v.slow)
    text = "Answers flow so many times slower than predicted."
    yield per_backend("decode_slowness", text, lambda v: v.slow_decode)
    yield per_backend("ttft_samples", "First tokens that predictions were checked against.", lambda v: v.samples)
    yield per_backend("ttft_coverage", "Share of TTFTs within the predicted .9 quantile.", lambda v: v.ttft_coverage)
    yield per_backend("ttft_error", "Mean error of predicted TTFT, as a share of the truth.", lambda v: v.ttft_error)
    yield per_backend("ttft_margin", "Actual over predicted TTFT, .9 quantile.", _margin)
    yield per_backend("prefix_blocks", "Prompt blocks it is believed to have cached.", lambda v: v.prefix_blocks)
    yield per_backend("prefix_trust", "Cached tokens found per token predicted.", lambda v: v.prefix_trust)
    yield per_backend("scrapes_ignored", "Readings of its metrics that were nonsense.", lambda v: v.scrapes_ignored)


def _pool_families(views: list[PoolView]) -> Iterator[Metric]:
    def per_pool(name: str, text: str, value: PoolReader) -> Metric:
        return gauges(f"tidegate_pool_{name}", text, ("pool",), read(views, _pool_key, value))

    def counted(name: str, text: str, value: PoolReader) -> Metric:
        return counters(f"tidegate_pool_{name}", text, ("pool",), read(views, _pool_key, value))

    yield per_pool("utilisation", "Load over capacity (rho): backend seconds asked for per second and backend.", _rho)
    yield per_pool(
        "predicted_wait_seconds", "Wait of a newcomer that this utilisation predicts.", lambda v: v.predicted_wait_s
    )
    yield per_pool("enforces", "1: requests are refused for time there.", lambda v: v.enforces)
    yield per_pool("ttft_samples", "First tokens that predictions were checked against.", lambda v: v.samples)
    yield per_pool("ttft_coverage", "Share of TTFTs within the predicted .9 quantile.", lambda v: v.coverage)
    yield per_pool("ttft_error", "Mean error of predicted TTFT, as a share of the truth.", lambda v: v.error)
    yield counted("refusal_probes", "Would-be refusals that were sent after all.", lambda v: v.probes)
    yield counted("false_refusal_probes", "Of those, the ones that kept every promise.", lambda v: v.probes_kept)
    yield per_pool(
        "false_refusal_ratio",
        "Share of refusal probes that kept every promise.",
        lambda v: v.probes_kept / v.probes if v.probes else None,
    )
    yield counted("refusal_alarms", "Times that refusals proved false, and stopped.", lambda v: v.alarms)
    yield counters(
        "tidegate_shadow_refusals",
        "Jobs that would have been refused while nothing was, by the limit.",
        ("pool", "reason"),
        [((v.name, reason.value), count) for v in views for reason, count in v.shadow.items()],
    )


def _added_up(services: dict[str, float], named: Labels) -> list[tuple[tuple[str, ...], float]]:
    found = {OTHER: 0.0}
    for tenant, service in services.items():
        label = named.of(tenant)
        found[label] = found.get(label, 0.0) + service
    return [((label,), service) for label, service in found.items()]


def _backend_key(view: BackendView) -> tuple[str, ...]:
    return view.name, view.pool


def _pool_key(view: PoolView) -> tuple[str, ...]:
    return (view.name,)


def _margin(view: BackendView) -> float | None:
    return view.ttft_factors[1] if len(view.ttft_factors) > 1 else None


def _reached(view: BackendView) -> float:
    return view.state.value != "away"


def _rho(view: PoolView) -> float:
    return view.utilisation
