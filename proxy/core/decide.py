"""What becomes of a job, as one pure choice: made by `submit` and at the end of a hold, shown by `explain`.

    gates (draining, unserved, too late, unlabelled, over quota) ──> Shed
    a backend has room ──> Send
    nobody has ──> bulk that has not begun makes room ──> Send · it waits here ──> Wait · another way ──> Send · Shed

Owns that order. Reads the state of all and changes none of it; `Waiting` does what was decided.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import MAX_RETRY_AFTER_S, MIN_RETRY_AFTER_S, Candidates
from proxy.core.fleet.catalogue import shown_name
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.decision import Decision, Gather, Join, Judged, Send, Shed, Wait
from proxy.core.jobs.open_job import NOBODY, OpenJob
from proxy.core.refusals import (
    asked_to_wait,
    draining,
    hold_timeout,
    only_elsewhere,
    overloaded,
    queue_full,
    quota,
    unlabelled,
)
from proxy.core.retry.fallback import Fallback, cause_of_absence
from proxy.core.rng import NoChance, Rng
from proxy.core.route.forecasting import foresee, least_s
from proxy.core.route.limits import judge
from proxy.core.route.router import SAMPLED, Router
from proxy.core.state import State
from proxy.core.windows import Windows, spare_s
from proxy.model.commands import Reason
from proxy.model.faults import Fault
from proxy.model.request import Job
from proxy.model.rules import BACKEND_LABEL

_MIN_HOLD_S: Final = 0.02
"""A shorter wait is none."""
BRIEF: Final = 5
"""Times as many may wait for no longer than each may and still be in time: nobody knows better before."""
_JITTER: Final = 0.25
"""Advice on when to come back is longer by up to this share, so that not all come back at once."""
_ONSET_S: Final = 5.0
"""A burst is held as a whole as far as engines are seen to get to it in time; what goes on for longer is overload."""
_DETOUR: Final = 1.5
"""A follower goes to an engine that counts for so many times worse."""
_MOST_HELD: Final = 10_000
"""Jobs."""


class Decider:
    """One per scheduler."""

    def __init__(self, state: State, router: Router, rng: Rng, windows: Windows) -> None:
        self._state = state
        self._fleet = state.fleet
        self._books = state.learning
        self._attempts = state.attempts
        self._router = router
        self._quotas = state.quotas
        self._holds = state.holds
        self._dials = state.dials
        self._rng = rng
        self._windows = windows
        self.fallback = Fallback(state.fleet.catalogue, state.learning, router)

    def rehearsal(self) -> "Decider":
        """The same without chance, whose choices leave no trace."""
        return Decider(self._state, self._router.rehearsal(), NoChance(), self._windows)

    # ---- new jobs

    def new(self, open_job: OpenJob, candidates: Candidates | None, now: float) -> Judged:
        """A job that has just come; `candidates`: the backends of its model."""
        barred = self._barred(open_job.job, candidates, now)
        if barred is not None or candidates is None:
            return Judged(barred or Shed(self.unserved(open_job.job), unserved=True))
        demand = self._books.demand(open_job, now)
        over = self._over_quota(demand) if self._quotas.limits_anybody else None
        if over is not None:
            return Judged(over)
        if open_job.job.same is not None:
            attempt = self._attempts.alike(open_job.job)
            if attempt is not None:
                return Judged(Join(attempt))
        if open_job.fallbacks and not candidates.healthy:
            elsewhere = self.fallback.find(open_job, now, cause_of_absence(candidates))
            if elsewhere is not None:
                return Judged(elsewhere)
        chosen = self._router.pick(candidates, demand, NOBODY)
        rule = open_job.job.gather
        if rule is not None and not rule.adaptive and open_job.job.window is None:
            decision = self._windows.for_batch(open_job, rule, candidates, chosen, demand)
            if decision is not None:
                return Judged(decision, demand, chosen)
        if chosen is None:
            return Judged(self.without_room(open_job, candidates, demand), demand)
        if open_job.job.window is not None:
            return Judged(self._in_company(open_job, chosen, demand), demand, chosen)
        return Judged(self.follow(open_job, chosen, demand) or Send(chosen, demand), demand, chosen)

    def follow(self, open_job: OpenJob, chosen: Backend, demand: Demand) -> Gather | None:
        """A job may wait for one whose prompt begins as its own; None: there is none, or it is not worth it."""
        if not demand.depths or open_job.job.gather is None:
            return None
        home = chosen if chosen.leading.by_block else self._leads_elsewhere(chosen, demand)
        if home is None or home.batching.static:
            return None
        leader, most_s = self._windows.followers.leader(home, demand)
        if leader is None or not self._holds.gathering.has_room(open_job, 0):
            return None
        return Gather(most_s, [], leader, home)

    @staticmethod
    def _leads_elsewhere(chosen: Backend, demand: Demand) -> Backend | None:
        """Where its beginning is computed, if that is hardly worse: computed twice, it costs others their turn."""
        depths = demand.depths or {}
        for backend in demand.looked:
            if backend.leading.by_block and backend.record.mask in depths:
                return backend if backend.forecast.score <= _DETOUR * chosen.forecast.score else None
        return None

    def _in_company(self, open_job: OpenJob, chosen: Backend, demand: Demand) -> Decision:
        """A job that could go now may wait for others, or take those along that wait."""
        others = self._windows.others(open_job, chosen)
        closed = self._windows.closed_by(open_job, others, chosen, demand)
        if closed is not None:
            return Send(chosen, demand, others=others, closed=closed)
        rule = open_job.job.gather
        assert rule is not None
        return Gather(min(rule.max_wait_s, spare_s(chosen, demand)), others)

    def _barred(self, job: Job, candidates: Candidates | None, now: float) -> Shed | None:
        """The gates that ask nothing of the load, in order."""
        if self._holds.draining:
            return Shed(draining())
        if candidates is None:
            return Shed(self.unserved(job), unserved=True)
        if job.deadline is not None and now >= job.deadline:
            return Shed(hold_timeout(self.wait_s(candidates)), Reason.DEADLINE)
        if job.require and not any(job.require <= b.labels_for(job.model) for b in candidates.backends):
            missing = min((job.require - b.labels_for(job.model) for b in candidates.backends), key=len)
            return Shed(self._lacking(job, missing), unserved=True)
        return None

    def _lacking(self, job: Job, missing: frozenset[str]) -> Fault:
        """Nobody who serves its model has all that is required."""
        name = next((label.removeprefix(BACKEND_LABEL) for label in missing if label.startswith(BACKEND_LABEL)), "")
        wanted = self._fleet.by_name.get(name)
        if wanted is not None and wanted.known:
            return only_elsewhere(shown_name(job.model), name)
        return unlabelled(shown_name(job.model), missing)

    def _over_quota(self, demand: Demand) -> Shed | None:
        if demand.job.is_free:
            return None
        account = self._quotas.account(demand.job.tenant, demand.now)
        shortage = None if account is None else account.shortage(demand.job, demand.prompt, demand.answer, demand.now)
        return None if shortage is None else Shed(quota(shortage), Reason.QUOTA)

    # ---- nobody has room

    def without_room(self, open_job: OpenJob, candidates: Candidates, demand: Demand) -> Decision:
        lasting = demand.bulk and candidates.learns
        if self._holds.hold.starts(candidates):
            return self._for_permit(open_job, candidates, demand)
        if (
            demand.reason is None
            and not lasting
            and not (demand.promises and self._router.enforces_somewhere(candidates))
        ):
            return self._for_permit(open_job, candidates, demand)
        reason = demand.reason or Reason.SEATS
        if not demand.promises:
            return self._as_bulk(open_job, candidates, demand, reason)
        sent = self._instead_of_bulk(demand)
        if sent is not None:
            return sent
        looked = demand.looked or self._looked(candidates, demand)
        most_s = min(self._dials.max_hold_s, self._slack_s(demand, looked))
        if most_s > _MIN_HOLD_S and self._holds.hold.has_room(open_job, BRIEF * self._attempts.in_flight):
            return Wait(most_s, reason, work_s=min([b.forecast.usual_work_s for b in looked], default=0.0))
        return self.too_late(open_job, candidates, demand, reason)

    def _for_permit(self, open_job: OpenJob, candidates: Candidates, demand: Demand) -> Decision:
        hold, most_s = self._holds.hold, inf
        if not candidates.open:
            hopeless = candidates.hopeless()
            if hopeless is not None:
                return self.lost(open_job, hopeless, None, demand.now)
            pause_s = candidates.pause_s(demand.now)
            if pause_s > hold.max_wait_s:
                return self.lost(open_job, asked_to_wait(pause_s), Reason.QUEUE, demand.now)
        if open_job.fallbacks and demand.ttft_left < inf:  # in time for the fallback to keep the promise
            most_s = self._slack_s(demand, self._looked(candidates, demand))
        room = hold.has_room(open_job, self._attempts.in_flight) or self._begins_soon(open_job, candidates, demand.now)
        if most_s <= _MIN_HOLD_S or not room:
            return self.lost(open_job, queue_full(len(hold), self.wait_s(candidates)), Reason.QUEUE, demand.now)
        return Wait(most_s, None)

    def _begins_soon(self, open_job: OpenJob, candidates: Candidates, now: float) -> bool:
        """Whether it is of a burst, and engines that are seen to begin get to it in time, or nobody knows yet how fast
        they do."""
        hold = self._holds.hold
        if not candidates.learns or (len(hold) and now - hold.filled_at > _ONSET_S):
            return False
        if len(hold) >= _MOST_HELD or not hold.has_bytes(open_job):
            return False
        rate = sum([b.concurrency.rate(now) for b in candidates.open])
        return not rate or hold.ahead(candidates) < rate * hold.max_wait_s

    @staticmethod
    def _looked(candidates: Candidates, demand: Demand) -> Sequence[Backend]:
        """Nobody had room, so that nobody was looked at: what is in time depends on how fast they are."""
        looked = candidates.open[:SAMPLED]
        for backend in looked:
            foresee(backend, demand)
        return looked

    def _as_bulk(self, open_job: OpenJob, candidates: Candidates, demand: Demand, reason: Reason) -> Decision:
        backfill = self._holds.backfill
        if not backfill.has_room(open_job, 0):
            return self.lost(open_job, queue_full(len(backfill), self.wait_s(candidates)), Reason.QUEUE, demand.now)
        most_s = demand.rest_s - min([least_s(b, demand) for b in demand.looked], default=0.0)
        if most_s <= 0.0:
            return self.lost(open_job, self._overload(Reason.DEADLINE, demand), Reason.DEADLINE, demand.now)
        return Wait(most_s, reason, as_bulk=True)

    def too_late(self, open_job: OpenJob, candidates: Candidates, demand: Demand, reason: Reason) -> Decision:
        """It cannot be served in time: late rather than not at all where its class wants that, else another way, a
        probe, or refused."""
        if open_job.job.demotable and self._holds.backfill.has_room(open_job, 0):
            return Wait(inf, reason, as_bulk=True, demoted=True)
        if open_job.fallbacks:
            return self.lost(open_job, self._overload(reason, demand), reason, demand.now)
        probe = self._router.probe(candidates, demand)
        if probe is not None:
            return Send(probe, demand, probe=True)
        return Shed(self._overload(reason, demand), reason)

    def lost(self, open_job: OpenJob, fault: Fault, reason: Reason | None, now: float) -> Decision:
        """It would be refused, with `fault`: by another model or in another pool, if one has room, else so it is."""
        elsewhere = self.fallback.find(open_job, now) if open_job.fallbacks else None
        return elsewhere or Shed(fault, reason)

    def _instead_of_bulk(self, demand: Demand) -> Send | None:
        """Where bulk that has not begun would make room in time by going back."""
        for backend in demand.looked:
            ledger = backend.ledger
            if not ledger.pending_bulk_s or not self._router.enforces(backend):
                continue
            entries = [e for e in ledger.not_begun() if e.bulk and not e.began and not e.shared]
            if not entries or not _would_fit(backend, demand, sum(e.cost for e in entries)):
                continue
            victims = [self._attempts.open[e.job.id] for e in entries]
            if all(self._may_go_back(victim) for victim in victims):
                return Send(backend, demand, victims=victims)
        return None

    def _may_go_back(self, victim: OpenJob) -> bool:
        """Whether bulk may wait again: there is room, and somebody still serves it."""
        return self._holds.backfill.has_room(victim, 0) and self._fleet.catalogue.find(victim.job.model) is not None

    def _slack_s(self, demand: Demand, looked: Sequence[Backend]) -> float:
        """How long it may wait and still be in time on a backend without a backlog, by those looked at for it."""
        best = min([b.forecast.cost for b in looked], default=0.0)
        return demand.ttft_left - demand.ttft_margin * best

    # ---- words

    def _overload(self, reason: Reason, demand: Demand) -> Fault:
        """By what the last choice saw: to be asked before another one is made."""
        return overloaded(reason, self._router.retry_after_s(demand) * (1.0 + _JITTER * self._rng.random()))

    def nowhere(self, open_job: OpenJob, now: float) -> Decision:
        """A job that waited, and that nobody serves any more."""
        job = open_job.job
        fault = open_job.fault
        if fault is None:
            known = self._fleet.catalogue.find(job.model)
            fault = self.unserved(job) if known is None else unlabelled(shown_name(job.model))
        return Shed(fault) if open_job.started else self.lost(open_job, fault, None, now)

    def unserved(self, job: Job) -> Fault:
        """Nobody has its model."""
        retry_s = min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, self._dials.probe_interval_s))
        return self._fleet.catalogue.unserved(job.model, retry_s)

    def wait_s(self, candidates: Candidates) -> float:
        """Advice on when to come back."""
        return candidates.wait_s(self._holds.hold.ahead(candidates) + 1)


def _would_fit(backend: Backend, demand: Demand, freed_s: float) -> bool:
    foresee(backend, demand)
    reason = judge(backend, demand)
    if reason is not Reason.TTFT:
        return reason is None
    out = backend.forecast
    return demand.ttft_margin * (out.ttft - min(out.backlog, freed_s)) <= demand.ttft_left
