"""The forecast of one job on one backend: predicted prefix hit, prefill, backlog, TTFT and TPOT. The one place that
combines ledger, cost model and prefix record; limits, routing and `explain` read it.

Owns the formulas. Runs for every candidate of every decision, so it allocates nothing: results are left in the
backend's `Forecast`, valid until the next job is looked at.
"""

from math import inf, sqrt
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.learn.cost_model import significant
from proxy.core.learn.entry import Entry

KAPPA: Final = 2.0
"""Own prefill counts so many times: what it costs others too."""
_LEAST_SHARE: Final = 0.1
"""Of the time is always left for decoding."""
_NEW: Final = 0.25
"""Predictions of a backend without samples are multiplied by 1 + this, less with every sample."""
_PREFER_COST: Final = 1.0
"""Prefill times of the request by which a preferred label is worth going elsewhere."""
_GROSSLY_SLOW: Final = 2.0
"""A backend that decodes so many times slower than it did is ill, and what that adds to an answer counts as delay; less
is left to the limits, since all engines become slower when they are full."""
_FULL: Final = 4.0
"""A newcomer counts a backend for so many times worse when sessions that would be late without it hold all of its
memory: its own will be there. The others cost a prefill at most, and are worth no detour to a slower engine."""
_PRESSED: Final = 5.0
"""Bulk is pressed that has no more time left than so many times what it takes alone."""
_STILL_THERE: Final = 0.5
"""A session has its place as long as so much of its prompt is in the cache."""


def foresee(backend: Backend, demand: Demand) -> None:
    """Prefill, backlog, time to first token and the score of the interactive rule."""
    out, ledger, model, now = backend.forecast, backend.ledger, backend.model, demand.now
    prompt = demand.prompt
    hit = 0.0
    record, session = backend.record, demand.session
    if demand.chain:
        depth = record.match(demand.chain) if demand.depths is None else demand.depths.get(record.mask)
        if depth:
            hit = depth * demand.block_tokens
            if session is not None and session.place is backend.kept and session.prompt and depth >= session.blocks:
                hit = max(hit, session.prompt + record.answers * session.answer)
            hit = min(prompt - 1.0, hit) * record.trust
    fresh = prompt - hit
    samples = model.samples
    if model.pool.prefill.samples >= model.stale_at:
        model.refresh()
    base = model.base_s()
    work = model.work_s(fresh, prompt * prompt - hit * hit)
    cost = base + work + model.beside_s(fresh, ledger.decoding)
    cost = max(max(cost, 1e-3), 0.5 * work)  # in pairs: compiled, a maximum of three is a call
    backlog, slow = 0.0, model.slow
    if ledger.pending:
        backlog, head_s, spent = ledger.backlog(now)
        if spent > head_s > 0.0:
            slow = max(slow, significant(model.prefill_drift.ratio(head_s, spent)))
    waiting = float(backend.in_flight)
    if ledger.has_foreign:
        running, queued = ledger.foreign(now)
        backlog += queued * max(cost, base)
        waiting += running + queued
    factor = slow * (1.0 + _NEW / (samples + 1))
    out.hit = hit
    out.fresh = fresh
    out.work = max(0.0, work) * slow
    out.raw = cost
    out.cost = cost = cost * factor
    out.backlog = backlog = backlog * factor
    if backend.seats is not None and waiting >= backend.seats:
        backlog += seat_wait_s(backend, waiting)
    loads = backend.loads
    out.loading = loading = 0.0 if loads.loaded is None else loads.wait_s(backend.own_name(demand.job.model), now)
    out.ttft = loading + backlog + cost
    weight = KAPPA
    if backend.spec.bias:
        weight += backend.spec.bias.get(demand.job.traffic_class, 0.0)
    if demand.job.prefer and not demand.job.prefer <= backend.labels_for(demand.job.model):
        weight += _PREFER_COST
    out.score = (loading + backlog + weight * cost) * sqrt(1.0 + waiting) * model.slow_decode
    if model.slow_decode > _GROSSLY_SLOW:
        out.score += (model.slow_decode - _GROSSLY_SLOW) * demand.answer * model.bare_step_s()
    if (
        backend.kept.fragile
        and backend.kv_tokens is not None
        and (session is None or session.place is not backend.kept)
    ):
        full = (backend.kept.fragile + ledger.kv) / backend.kv_tokens
        out.score *= 1.0 + _FULL * full * full


def disturbs(backend: Backend, demand: Demand) -> bool:
    """Whether bulk on a backend that is kept for others would make them wait for a first token or for a seat. What is
    pressed is as good as lost if it waits until nobody may come: it goes by what is promised to those who are there."""
    if not backend.in_flight and demand.waited > demand.patience_s:
        return False
    if demand.rest_s < inf and demand.rest_s < _PRESSED * least_s(backend, demand):
        return False
    out, seats = backend.forecast, backend.seats
    return out.backlog + out.cost > demand.kept_slack_s or (seats is not None and 2 * backend.in_flight >= seats)


def displaces(backend: Backend, demand: Demand) -> bool:
    """Whether a newcomer takes memory there that a session which is away needs to be in time with its next turn."""
    budget, session = backend.kv_tokens, demand.session
    if not backend.kept.fragile or budget is None:
        return False
    if session is not None and session.place is backend.kept and backend.forecast.hit > _STILL_THERE * demand.prompt:
        return False
    needs = max(demand.prompt + demand.answer_high, demand.becomes)
    return backend.ledger.kv + backend.kept.fragile + needs > demand.kv_share * budget


def predicted_tpot(backend: Backend, demand: Demand) -> float:
    """Seconds per output token beside what is there: a step, and the prefills that are computed between its tokens."""
    ledger, model = backend.ledger, backend.model
    return step_s(backend, demand) / max(_LEAST_SHARE, 1.0 - model.stretch() * ledger.prefilling(demand.now))


def in_all_s(backend: Backend, demand: Demand) -> float:
    """Seconds for the whole answer beside what is there, after `predicted_tpot`."""
    out = backend.forecast
    return out.ttft + demand.answer_mean * out.tpot


def least_s(backend: Backend, demand: Demand) -> float:
    """Seconds for the whole answer if nobody else were there, after `foresee`."""
    model = backend.model
    return backend.forecast.cost + demand.answer * model.step_s(1.0, demand.prompt) * model.slow_decode


def step_s(backend: Backend, demand: Demand) -> float:
    """Seconds of a decode step with the job among those that are there, prompts that are still computed included: they
    will decode beside it."""
    ledger, model = backend.ledger, backend.model
    decoding = ledger.decoding + len(ledger.pending) + 1.0
    if ledger.has_foreign:
        decoding += ledger.foreign(demand.now)[0]
    return model.step_s(decoding, ledger.kv + demand.prompt) * max(model.slow_decode, backend.flow.behind)


def has_seat(backend: Backend, now: float) -> bool:
    """Whether the engine can begin with one more at once, as far as seats go."""
    if backend.seats is None:
        return True
    running, queued = backend.ledger.foreign(now) if backend.ledger.has_foreign else (0.0, 0.0)
    return backend.in_flight + running + queued < backend.seats


def seat_wait_s(backend: Backend, waiting: float) -> float:
    """Until a seat of the engine comes free for one more."""
    seats = backend.seats or 1
    return (waiting - seats + 1) * (backend.residence_s or 1.0) / seats


def open_entry(entry: Entry, backend: Backend, demand: Demand) -> None:
    """Write the forecast into the entry of an attempt that goes to `backend`."""
    out = backend.forecast
    entry.prompt = demand.prompt
    entry.hit, entry.fresh = out.hit, out.fresh
    entry.answer = demand.answer
    entry.cost, entry.ahead = out.raw, out.backlog
    entry.loading = out.loading
    entry.work = out.work
    entry.kv = demand.prompt + demand.answer
    entry.ttft, entry.tpot = out.ttft, predicted_tpot(backend, demand)
    entry.tpot_limit = demand.tpot_limit
    entry.bulk = demand.bulk
    entry.yields = demand.yields
    entry.beside = float(backend.ledger.decoding)
