"""Why a job would go where: the very choice of `submit`, made without chance and without leaving a trace.

Owns the frozen values that are shown. Decides nothing: it asks the router.
"""

from dataclasses import dataclass

from proxy.core.decide import Decider
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.jobs.decision import Decision, Gather, Join, Send, Shed, Wait
from proxy.core.jobs.hedge_timers import late_after_s
from proxy.core.jobs.learning import Learning
from proxy.core.jobs.open_job import OpenJob
from proxy.core.route.forecasting import foresee, predicted_tpot
from proxy.core.route.limits import judge
from proxy.core.route.router import Router, ablest
from proxy.core.tenancy.quotas import Quotas
from proxy.model.commands import Reason
from proxy.model.fallback import FallbackStep
from proxy.model.request import Job
from proxy.model.tenants import QuotaView


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One backend, as it looks to this job."""

    backend: str
    pool: str
    order: int
    """Whose turn it is: the lowest that can take the job."""
    removed_by: str | None
    """What keeps the job away: `away`, `asleep`, `ejected`, `full` (it says), `permits`, `labels`, `unable` (others are
    not), `speculative`, `order` (one before it takes the job), or the limit it would break; None: fits."""
    enforced: bool
    """Whether a broken limit counts there."""
    engine: str
    """Kind; empty: not known."""
    precision: str
    lacks: tuple[str, ...]
    """Labels that its rule requires and it has not."""
    prompt_tokens: float
    hit_tokens: float
    prefill_s: float
    backlog_s: float
    loading_s: float
    """Until its model is in memory."""
    ttft_s: float
    tpot_s: float
    score: float
    """Of the interactive rule of `goodput`: the lower the better."""
    in_flight: int
    samples: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision."""

    outcome: str
    """`dispatch`, `gather` (it waits for others to go with it), `join` (it gets the answer of an attempt that is out),
    `hold`, `backfill`, `demote`, `fallback`, `refuse` or `unserved`."""
    backend: str | None
    batch: int
    """Jobs in the call, or in the window that it would wait in, with itself."""
    waited_s: float
    """That the longest of the others has waited."""
    window_s: float
    """It would wait for others for so long at most."""
    fallback: str | None
    """The model or pool that serves it instead of being refused."""
    reason: Reason | None
    hedge_after_s: float | None
    """Without a first byte for so long it would be sent to a second backend too; None: never, or not known yet."""
    policy: str
    mode: str
    """Of admission."""
    traffic_class: str
    tenant_over_share: float
    ttft_left_s: float | None
    ttft_margin: float
    tpot_limit_s: float | None
    tpot_margin: float
    duty_limit: float
    answer_tokens: float
    quota: QuotaView | None
    """Of its tenant; None: no limits."""
    candidates: tuple[CandidateView, ...]


def explain(
    fleet: Fleet, learning: Learning, router: Router, decider: Decider, quotas: Quotas, job: Job, now: float
) -> Explanation:
    """What `submit` would do with `job` now."""
    rehearsed, open_job = decider.rehearsal(), OpenJob(job, 0, now)
    rehearsed.fallback.served(open_job)
    judged = rehearsed.new(open_job, fleet.catalogue.find(open_job.job.model), now)
    decision, demand = judged.decision, judged.demand or learning.demand(open_job, now)
    sent = decision if isinstance(decision, Send) else None
    way = open_job.way if sent is None or sent.detour is None else sent.detour.way
    account = quotas.account(job.tenant, now)
    all_of_it = fleet.catalogue.find(job.model)
    turn = _turn(decision, all_of_it)
    views = () if all_of_it is None else tuple(_view(b, all_of_it, demand, router, turn) for b in all_of_it.backends)
    company = list(decision.others or ()) if isinstance(decision, Send | Gather) else []
    return Explanation(
        outcome=_outcome(decision, way),
        backend=_backend(decision),
        batch=1 + len(company),
        waited_s=max([now - one.held_at for one in company if one.held_at is not None], default=0.0),
        window_s=decision.most_s if isinstance(decision, Gather) else 0.0,
        fallback=None if way is None else way.said,
        reason=decision.reason if isinstance(decision, Wait | Shed) else demand.reason,
        hedge_after_s=None if sent is None else _hedge_after_s(sent),
        policy=router.policy_name,
        mode=router.mode,
        traffic_class=job.traffic_class,
        tenant_over_share=demand.over_share,
        ttft_left_s=None if demand.bulk or job.slo_ttft_s is None else demand.ttft_left,
        ttft_margin=demand.ttft_margin,
        tpot_limit_s=demand.tpot_limit,
        tpot_margin=demand.tpot_margin,
        duty_limit=demand.duty_limit,
        answer_tokens=demand.answer,
        quota=None if account is None else account.view(now, job),
        candidates=views,
    )


def _backend(decision: Decision) -> str | None:
    if isinstance(decision, Join):
        return decision.attempt.backend.name
    return decision.backend.name if isinstance(decision, Send) else None


def _hedge_after_s(sent: Send) -> float | None:
    demand, chosen = sent.demand, sent.backend
    rule = demand.job.hedge
    if rule is None or demand.bulk:
        return None
    foresee(chosen, demand)
    first_byte_s = chosen.forecast.ttft
    if not demand.job.stream:
        first_byte_s += demand.answer * predicted_tpot(chosen, demand)
    return late_after_s(rule, chosen.pool.first_byte_times, demand.prompt, demand.job.stream, first_byte_s)


def _outcome(decision: Decision, way: FallbackStep | None) -> str:
    if isinstance(decision, Send):
        return "dispatch" if way is None else "fallback"
    if isinstance(decision, Join):
        return "join"
    if isinstance(decision, Gather):
        return "gather"
    if isinstance(decision, Wait):
        return "demote" if decision.demoted else "backfill" if decision.as_bulk else "hold"
    return "unserved" if decision.unserved else "refuse"


def _turn(decision: Decision, candidates: Candidates | None) -> int | None:
    """The order of the backend that takes the job; None: nobody's turn keeps others from it."""
    if not isinstance(decision, Send) or candidates is None or decision.backend not in candidates.backends:
        return None
    return decision.backend.spec.order


def _view(backend: Backend, candidates: Candidates, demand: Demand, router: Router, turn: int | None) -> CandidateView:
    foresee(backend, demand)
    broken = judge(backend, demand)
    out = backend.forecast
    removed_by = _removed_by(backend, candidates, demand, broken if router.judges else None)
    if removed_by is None and turn is not None and backend.spec.order > turn:
        removed_by = "order"
    return CandidateView(
        backend=backend.name,
        pool=backend.spec.pool,
        order=backend.spec.order,
        removed_by=removed_by,
        enforced=removed_by == "order" or router.bars(backend, demand),
        engine=backend.facts.engine,
        precision=backend.facts_for(demand.job.model).precision,
        lacks=tuple(sorted(demand.job.require - backend.labels_for(demand.job.model))),
        prompt_tokens=demand.prompt,
        hit_tokens=out.hit,
        prefill_s=out.cost,
        backlog_s=out.backlog,
        loading_s=out.loading,
        ttft_s=out.ttft,
        tpot_s=out.tpot,
        score=out.score,
        in_flight=backend.in_flight,
        samples=backend.model.samples,
    )


def _removed_by(backend: Backend, candidates: Candidates, demand: Demand, broken: Reason | None) -> str | None:
    if backend.health.away:
        return "away"
    if backend.asleep:
        return "asleep"
    quota = backend.quota
    if quota is not None and not quota.fits(demand.prompt + demand.answer_high):
        return "quota"
    if not backend.is_paused and not candidates.includes(backend):
        return "ejected"
    if backend.pressure.paused or not backend.has_room(demand.job, bulk=demand.bulk):
        return "full" if backend.pressure.is_bound else "permits"
    if not demand.job.require <= backend.labels_for(demand.job.model):
        return "labels"
    if candidates.unlike and backend not in ablest(candidates.open, demand):
        return "unable"
    if demand.job.constrained and backend.speculative and not all(b.speculative for b in candidates.open):
        return "speculative"
    return None if broken is None else broken.value
