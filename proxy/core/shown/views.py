"""What the core shows of itself, as frozen values: for metrics, readiness and the start banner."""

from dataclasses import dataclass
from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.health import HealthState
from proxy.core.fleet.pool import Pool
from proxy.core.tally import Tally
from proxy.model.commands import Reason
from proxy.model.engine_facts import UNKNOWN, EngineFacts

TYPICAL_PROMPT: Final = 1000.0
"""Tokens for which a learned speed is told."""


@dataclass(frozen=True, slots=True)
class BackendView:
    """One backend at one moment."""

    name: str
    pool: str
    in_flight: int
    permits: int | None
    """None: no bound of ours."""
    state: HealthState
    ejected_until: float | None
    share: float
    """Slow start: the share of its usual traffic it gets."""
    failures_in_a_row: int
    busy: int
    """Answers so far that said "busy"."""
    models: frozenset[str] | None
    """Names served, aliases included; None: not known yet."""
    any_model: bool
    """Takes every name."""
    service_s: float | None
    """Smoothed seconds from dispatch to the last byte."""
    order: int = 0
    """It is taken only where none of a lower one can take a job."""
    backlog_s: float = 0.0
    """Predicted seconds of prefill outstanding."""
    duty: float = 0.0
    """Share of its time that goes into prefills."""
    places: int | None = None
    """Requests that fitted when it last said that it was full; None: no such bound now."""
    paused_until: float | None = None
    """It asked to be left alone, or its quota is used up; None: it takes requests."""
    requests_left: int | None = None
    """Of its quota, by what was last known; None: no limit is known."""
    tokens_left: int | None = None
    """The same."""
    misconfigured: int = 0
    """Answers so far that were the operator's fault."""
    prefill_rate: float = 0.0
    """Prompt tokens computed a second."""
    decoding: int = 0
    kv_used: float = 0.0
    """Tokens promised, expected answers included."""
    kv_tokens: float | None = None
    seats: float | None = None
    model_load_s: float | None = None
    """Loading a model takes, on the mean of those seen; None: none was."""
    model_loads: int = 0
    """Loads of models seen to their end."""
    foreign: float = 0.0
    """Requests of others that its metrics show."""
    tightest_tpot_s: float | None = None
    """Least time per token promised to anybody there."""
    slow: float = 1.0
    """Its last prefills took so many times what was predicted; 1: as predicted."""
    slow_decode: float = 1.0
    """The same for seconds per token, by what has ended and by what flows now."""
    samples: int = 0
    """First tokens seen."""
    ttft_coverage: float = 0.0
    """Share of first tokens within the .9 quantile of the prediction."""
    ttft_error: float = 0.0
    """Mean absolute error relative to the truth."""
    ttft_factors: tuple[float, ...] = ()
    """Quantiles .5, .9, .95 of truth ÷ prediction."""
    prefix_blocks: int = 0
    prefix_cap: int = 0
    prefix_trust: float = 1.0
    """Prefix tokens found per token predicted."""
    scrapes_ignored: int = 0
    """Metrics that were nonsense."""
    leaving: bool = False
    """It is configured no more, and has attempts out."""
    learned_prefill: float = 0.0
    """Prompt tokens a second of a prompt of `TYPICAL_PROMPT` that is computed alone, by what is learned,"""
    learned_tpot_s: float = 0.0
    """and seconds per output token for one more beside what is there. Both as slow as it is now."""
    facts: EngineFacts = UNKNOWN
    """What it says of itself, and its operator where it does not."""
    engine_running: float | None = None
    """Its own metrics, as they were last read."""
    engine_waiting: float | None = None
    engine_kv_usage: float | None = None
    """Share of its KV cache in use."""
    scraped_s: float | None = None
    """Seconds since it last told its load; None: it never did."""
    asleep: bool = False
    """It takes no requests until somebody wakes it."""
    unloaded: bool = False
    """Its model is out of memory since it was idle; the next request loads it."""
    context: int | None = None
    """Tokens of the longest context that it tells."""


@dataclass(frozen=True, slots=True)
class PoolView:
    """One pool at one moment."""

    name: str
    enforces: bool
    """Refuses for time."""
    samples: int
    coverage: float
    error: float
    utilisation: float
    """Load ÷ capacity: backend seconds asked for per backend and second."""
    predicted_wait_s: float
    probes: int
    probes_kept: int
    """Would-be refusals sent after all, and those that kept their promises; the ratio: false refusals."""
    alarms: int
    """Times refusals proved false, and stopped."""
    shadow: dict[Reason, int]
    """Would-be refusals while nothing was refused."""


@dataclass(slots=True)
class Counts(Tally):
    """`offered = finished + refused + cancelled + in_flight + held`. What happened, and what is now."""

    in_flight: int = 0
    hedging: int = 0
    """Jobs with two attempts out: `in_flight` counts them once."""
    held: int = 0
    held_bytes: int = 0
    backfill: int = 0
    """Of `held`: bulk."""
    hold_fill: float = 0.0
    """Of those that wait to be in time or for a permit: the share of their bound that they take;"""
    bulk_fill: float = 0.0
    """and of bulk. 1: no room."""
    retry_budget_left: int = 0
    ejections: int = 0
    followed: int = 0
    """Jobs that waited until a prompt that begins as theirs was computed, and went there,"""
    followed_tokens: float = 0.0
    """and the prompt tokens that they did not have computed again."""


def backend_view(backend: Backend, now: float, *, leaving: bool = False) -> BackendView:
    """The view of `backend` at `now`."""
    health, model, load = backend.health, backend.model, backend.last_load
    prefill_s = model.prefill_s(TYPICAL_PROMPT)
    return BackendView(
        name=backend.name,
        pool=backend.spec.pool,
        order=backend.spec.order,
        in_flight=backend.in_flight,
        permits=backend.spec.max_concurrency,
        state=health.shown,
        ejected_until=health.ejected_until,
        share=health.share_at(now),
        failures_in_a_row=health.failures_in_a_row,
        busy=backend.busy,
        models=backend.names if backend.known else None,
        any_model=backend.takes_any,
        service_s=backend.service_s,
        backlog_s=backend.ledger.backlog(now)[0] * backend.model.slow,
        duty=backend.ledger.duty.at(now),
        places=backend.limit if backend.pressure.is_bound else None,
        paused_until=backend.paused_until if backend.is_paused else None,
        requests_left=_left(None if backend.quota is None else backend.quota.requests_left),
        tokens_left=_left(None if backend.quota is None else backend.quota.tokens_left),
        misconfigured=backend.misconfigured,
        prefill_rate=backend.ledger.rate.at(now),
        decoding=backend.ledger.decoding,
        kv_used=backend.ledger.kv,
        kv_tokens=backend.kv_tokens,
        seats=backend.seats,
        model_load_s=backend.loads.typical_s if backend.loads.seen else None,
        model_loads=backend.loads.seen,
        foreign=sum(backend.ledger.foreign(now)),
        tightest_tpot_s=backend.ledger.tightest,
        slow=backend.model.slow,
        slow_decode=backend.model.slow_decode,
        samples=backend.model.samples,
        ttft_coverage=backend.model.calibration.coverage,
        ttft_error=backend.model.calibration.error,
        ttft_factors=tuple(backend.model.calibration.factors),
        prefix_blocks=len(backend.record.blocks),
        prefix_cap=backend.record.cap,
        prefix_trust=backend.record.trust,
        scrapes_ignored=backend.ledger.scrapes_ignored,
        leaving=leaving,
        learned_prefill=TYPICAL_PROMPT / prefill_s if prefill_s > 0.0 else 0.0,
        learned_tpot_s=model.step_s(backend.ledger.decoding + 1.0, backend.ledger.kv) * model.slow_decode,
        facts=backend.facts,
        engine_running=None if load is None else load.running,
        engine_waiting=None if load is None else load.waiting,
        engine_kv_usage=None if load is None else load.kv_usage,
        scraped_s=None if backend.scraped_at is None else now - backend.scraped_at,
        asleep=backend.asleep,
        unloaded=load is not None and load.unloaded is True,
        context=backend.abilities.longest,
    )


def _left(amount: float | None) -> int | None:
    return None if amount is None or amount == inf else max(0, int(amount))


def pool_view(pool: Pool, mode: str, now: float) -> PoolView:
    """The view of `pool` at `now`."""
    calibration = pool.model.calibration
    return PoolView(
        name=pool.name,
        enforces=mode == "enforce" or (mode == "auto" and pool.trusted),
        samples=calibration.samples,
        coverage=calibration.coverage,
        error=calibration.error,
        utilisation=pool.utilisation(now),
        predicted_wait_s=pool.predicted_wait_s(now),
        probes=pool.probes,
        probes_kept=pool.probes_good,
        alarms=pool.alarms,
        shadow=dict(pool.shadow),
    )
