"""What a running proxy is and does, as one JSON object: for the page, for `/status`, for whoever watches.

Owns its shape (`SCHEMA`; described in `obs/STATUS.md`). Numbers have the unit in their name (`_s`, `_b`) and are those
of `/metrics` at the same moment; absent and null mean: not known, or none. Made when somebody asks, never before.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from proxy.core.scheduler import Scheduler
from proxy.core.shown.lanes import LaneView
from proxy.core.shown.views import BackendView, Counts, PoolView
from proxy.model.batch import BatchesView
from proxy.obs.config_metrics import ConfigState
from proxy.obs.decision import told
from proxy.obs.goodput import ClassGoodput, Goodput
from proxy.obs.percentiles import Percentile, Percentiles
from proxy.obs.process_metrics import Gauges
from proxy.obs.rates import Rates
from proxy.obs.recent import Recent

SCHEMA: Final = 1
"""Grows when something is renamed or taken away; what is new does not change it."""
WINDOW: Final = "5m"
"""Of the percentiles that are shown."""
PAST_STEP_S: Final = 2
"""Of the past that a class tells."""
_MOST_MODELS: Final = 64


class Facts(NamedTuple):
    """What stays as long as the process or its configuration."""

    version: str
    build: str
    instance: str
    """Another one after each start."""
    listen: str
    """URL of the data port."""
    policy: str
    started_at: float
    """Unix seconds."""
    classes: Mapping[str, Mapping[str, Any]]
    """What is configured of each: promise, priority, bulk."""
    playground: bool
    """Whether requests may be sent through the admin port."""


class Sources(NamedTuple):
    """Where it is read."""

    scheduler: Scheduler
    goodput: Goodput
    percentiles: Percentiles
    recent: Recent
    config_state: ConfigState
    gauges: Callable[[], Gauges]
    slos: Callable[[], Mapping[str, Any]]
    """Error budgets by name."""
    why_not_ready: Callable[[], str | None]
    monotonic: Callable[[], float]
    wall: Callable[[], float]


class Status:
    """One per proxy."""

    def __init__(self, facts: Callable[[], Facts], sources: Sources) -> None:
        self._facts = facts
        self._from = sources

    def now(self) -> dict[str, Any]:
        """All of it at this moment, but for the decisions."""
        read, facts = self._from, self._facts()
        now, wall, scheduler = read.monotonic(), read.wall(), read.scheduler
        gauges, counts = read.gauges(), scheduler.counts(now)
        return {
            "schema": SCHEMA,
            "version": facts.version,
            "build": facts.build,
            "instance": facts.instance,
            "listen": facts.listen,
            "playground": facts.playground,
            "policy": facts.policy,
            "at": wall,
            "started_at": facts.started_at,
            "not_ready": read.why_not_ready(),
            "config": read.config_state.view(),
            "totals": _totals(counts, gauges),
            "classes": self._classes(facts.classes, now),
            "slos": read.slos(),
            "backends": self.backends(),
            "pools": {view.name: _pool(view) for view in scheduler.pools(now)},
            "models": list(scheduler.models()[:_MOST_MODELS]),
            "cache": None if gauges.cache is None else gauges.cache._asdict(),
            "batches": None if gauges.batches is None else _of_store(gauges.batches),
            "decisions_seq": read.recent.seq,
        }

    def backends(self) -> dict[str, Any]:
        """Of the same, what is said of backends."""
        now = self._from.monotonic()
        return {view.name: _backend(view, now) for view in self._from.scheduler.backends(now)}

    def decisions(self, since: int, most: int) -> dict[str, Any]:
        """The newest `most` that came after number `since`, the newest first: of all, and of the notable ones."""
        now, wall, recent = self._from.monotonic(), self._from.wall(), self._from.recent
        return {
            "decisions": [told(seq, record, now, wall) for seq, record in recent.since(since, most)],
            "notable": [told(seq, record, now, wall) for seq, record in recent.since(since, most, notable=True)],
        }

    def past(self) -> dict[str, Any]:
        """Rates of the last minutes by class, oldest first; the newest step ends now."""
        now = self._from.monotonic()
        return {name: _past(rates, now) for name, rates in self._from.goodput.rates.items()}

    def _classes(self, configured: Mapping[str, Any], now: float) -> dict[str, Any]:
        read = self._from
        open_now, ended, latencies = read.scheduler.lanes(now), read.goodput.shown(), _latencies(read.percentiles, now)
        names = [*configured, *[name for name in {**open_now, **ended} if name not in configured]]
        shown = {}
        for name in names:
            shown[name] = {
                **configured.get(name, {}),
                **_lane(open_now.get(name)),
                **_rate(read.goodput.rates.get(name), now),
                **latencies.get(name, {}),
                **({} if name not in ended else _ended(ended[name])),
            }
        return shown


def _lane(view: LaneView | None) -> dict[str, Any]:
    view = view or LaneView()
    return {
        "in_flight": view.in_flight,
        "held": view.held,
        "gathering": view.gathering,
        "longest_wait_s": view.waited_s,
    }


def _rate(rates: Rates | None, now: float) -> dict[str, float]:
    if rates is None:
        return {"requests_per_s": 0.0, "tokens_per_s": 0.0, "good_tokens_per_s": 0.0}
    rate = rates.over(now)
    return {"requests_per_s": rate.requests, "tokens_per_s": rate.tokens, "good_tokens_per_s": rate.good_tokens}


def _past(rates: Rates, now: float) -> dict[str, Any]:
    points = rates.past(now, PAST_STEP_S)
    names = ("requests_per_s", "tokens_per_s", "good_tokens_per_s")
    return {"step_s": PAST_STEP_S, **{name: [point[at] for point in points] for at, name in enumerate(names)}}


def _latencies(percentiles: Percentiles, now: float) -> dict[str, dict[str, Any]]:
    """Class → `ttft_s`, `tpot_s`, `e2e_s` → percentiles of the last minutes."""
    found: dict[str, dict[str, Any]] = {}
    for one in percentiles.read(now, only="class"):
        if one.window == WINDOW:
            found.setdefault(one.name, {})[f"{one.measure}_s"] = _percentile(one)
    return found


def _percentile(one: Percentile) -> dict[str, float]:
    return {"p50": one.p50_s, "p95": one.p95_s, "p99": one.p99_s, "samples": one.values}


def _ended(ended: ClassGoodput) -> dict[str, Any]:
    return ended._asdict()


def _totals(counts: Counts, gauges: Gauges) -> dict[str, Any]:
    return {
        "offered": counts.offered,
        "finished": counts.finished,
        "refused": counts.refused,
        "cancelled": counts.cancelled,
        "in_flight": counts.in_flight,
        "held": counts.held,
        "backfill": counts.backfill,
        "held_b": counts.held_bytes,
        "retries": counts.retries,
        "hedging": counts.hedging,
        "hedges": counts.hedges,
        "hedges_won": counts.hedges_won,
        "preempted": counts.preempted,
        "demoted": counts.demoted,
        "ejections": counts.ejections,
        "refusals": {reason.value: count for reason, count in counts.refusals.items()},
        "prefix_tokens_predicted": counts.predicted_hit_tokens,
        "prefix_tokens_actual": counts.actual_hit_tokens,
        "client_connections": gauges.client_connections,
        "bodies_b": gauges.bodies_b,
        "bodies_limit_b": gauges.bodies_most_b,
    }


def _backend(view: BackendView, now: float) -> dict[str, Any]:
    """Moments become seconds from now: a monotonic clock means nothing elsewhere."""
    return {
        "pool": view.pool,
        "order": view.order,
        "state": view.state.value,
        "leaving": view.leaving,
        "ejected_for_s": None if view.ejected_until is None else max(0.0, view.ejected_until - now),
        "paused_for_s": None if view.paused_until is None else max(0.0, view.paused_until - now),
        "share": view.share,
        "in_flight": view.in_flight,
        "decoding": view.decoding,
        "foreign": view.foreign,
        "permits": view.permits,
        "quota_requests_left": view.requests_left,
        "quota_tokens_left": view.tokens_left,
        "places": view.places,
        "seats": view.seats,
        "kv_used_tokens": view.kv_used,
        "kv_tokens": view.kv_tokens,
        "backlog_s": view.backlog_s,
        "duty": view.duty,
        "prefill_tokens_per_s": view.prefill_rate,
        "learned_prefill_tokens_per_s": view.learned_prefill,
        "learned_tpot_s": view.learned_tpot_s,
        "service_s": view.service_s,
        "tightest_tpot_s": view.tightest_tpot_s,
        "slowness": view.slow,
        "decode_slowness": view.slow_decode,
        "ttft_samples": view.samples,
        "ttft_error": view.ttft_error,
        "ttft_coverage": view.ttft_coverage,
        "prefix_blocks": view.prefix_blocks,
        "failures_in_a_row": view.failures_in_a_row,
        "busy": view.busy,
        "misconfigured": view.misconfigured,
        "models": None if view.models is None else sorted(view.models)[:_MOST_MODELS],
        "asleep": view.asleep,
        "context_tokens": view.context,
        "engine": _engine(view),
    }


def _engine(view: BackendView) -> dict[str, Any]:
    """What is not known is null, texts included."""
    told = {name: None if value == "" else value for name, value in view.facts._asdict().items()}
    return {
        "kind": told.pop("engine"),
        **told,
        "running": view.engine_running,
        "waiting": view.engine_waiting,
        "kv_usage": view.engine_kv_usage,
        "unloaded": view.unloaded,
        "scraped_s_ago": view.scraped_s,
    }


def _pool(view: PoolView) -> dict[str, Any]:
    return {
        "enforces": view.enforces,
        "utilisation": view.utilisation,
        "predicted_wait_s": view.predicted_wait_s,
        "ttft_coverage": view.coverage,
        "ttft_error": view.error,
        "alarms": view.alarms,
        "shadow_refusals": {reason.value: count for reason, count in view.shadow.items()},
    }


def _of_store(view: BatchesView) -> dict[str, Any]:
    return {**view._asdict(), "batches": [one._asdict() for one in view.batches]}
