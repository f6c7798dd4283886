"""Why a job would go where: the very choice of `submit`, made without chance and without leaving a trace.

Owns the frozen values that are shown. Decides nothing: it asks the router.
"""

from dataclasses import dataclass

from proxy.core.backend import Backend
from proxy.core.books import Books
from proxy.core.candidates import Candidates
from proxy.core.fleet import Fleet
from proxy.core.foresight import Ask, foresee, judge
from proxy.core.router import Router
from proxy.core.ticket import NOBODY, Ticket
from proxy.model.commands import Reason
from proxy.model.request import Job


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One backend, as it looks to this job."""

    backend: str
    pool: str
    removed_by: str | None
    """What keeps the job away: `ejected`, `permits`, `labels`, `speculative`, or the limit it would break; None: fits.
    """
    enforced: bool
    """Whether a broken limit counts there."""
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
    """`dispatch`, `hold`, `backfill`, `demote`, `refuse` or `unserved`."""
    backend: str | None
    reason: Reason | None
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
    candidates: tuple[CandidateView, ...]


def explain(fleet: Fleet, books: Books, router: Router, job: Job, now: float) -> Explanation:
    """What `submit` would do with `job` now."""
    candidates = fleet.catalogue.find(job.model)
    ticket = Ticket(job, 0, now)
    ask = books.ask(ticket, now)
    chosen = None if candidates is None else router.rehearsal().pick(candidates, ask, NOBODY)
    views = () if candidates is None else tuple(_view(b, candidates, ask, router) for b in candidates.backends)
    return Explanation(
        outcome=_outcome(candidates, chosen, ask),
        backend=None if chosen is None else chosen.name,
        reason=ask.reason,
        policy=router.policy_name,
        mode=router.mode,
        traffic_class=job.traffic_class,
        tenant_over_share=ask.over_share,
        ttft_left_s=None if ask.bulk or job.slo_ttft_s is None else ask.ttft_left,
        ttft_margin=ask.ttft_margin,
        tpot_limit_s=ask.tpot_limit,
        tpot_margin=ask.tpot_margin,
        duty_limit=ask.duty_limit,
        answer_tokens=ask.answer,
        candidates=views,
    )


def _outcome(candidates: Candidates | None, chosen: Backend | None, ask: Ask) -> str:
    if candidates is None:
        return "unserved"
    if chosen is not None:
        return "dispatch"
    if ask.reason is None:
        return "hold"
    if not ask.promises:
        return "backfill"
    if ask.ttft_left > ask.ttft_margin * min((b.outlook.cost for b in candidates.open), default=0.0):
        return "hold"
    return "demote" if ask.job.demotable else "refuse"


def _view(backend: Backend, candidates: Candidates, ask: Ask, router: Router) -> CandidateView:
    foresee(backend, ask)
    broken = judge(backend, ask)
    out = backend.outlook
    return CandidateView(
        backend=backend.name,
        pool=backend.spec.pool,
        removed_by=_removed_by(backend, candidates, ask, broken if router.judges else None),
        enforced=router.enforces(backend),
        prompt_tokens=ask.prompt,
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


def _removed_by(backend: Backend, candidates: Candidates, ask: Ask, broken: Reason | None) -> str | None:
    if not candidates.includes(backend):
        return "ejected"
    if backend.in_flight >= backend.limit:
        return "permits"
    if not ask.job.require <= backend.spec.labels:
        return "labels"
    if ask.job.constrained and backend.spec.speculative and not all(b.spec.speculative for b in candidates.open):
        return "speculative"
    return None if broken is None else broken.value
