"""The façade of the core: jobs and reports in, commands out.

Owns the order in which things are decided. Does no I/O, reads no clock, and leaves the choice of a backend to the
router, waiting and refusing to `waiting`, what becomes of attempts to `progress`, learning to `learning`, permits
to the attempts and health to the fleet.

    submit ──> router ──fits──> Dispatch ──> progress ──Finished──> done; whoever is held and fits now goes
                 │ nobody fits                    └─────Failed──> again? ──> Dispatch | held | Refuse
                 └──> waiting: held | backfill ──> Dispatch | Refuse
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from math import inf
from typing import Any, Final

from proxy.core.decide import Decider
from proxy.core.fleet.abilities import is_believable
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.decision import Judged, Shed
from proxy.core.jobs.learning import work_s
from proxy.core.jobs.open_job import OpenJob
from proxy.core.memento import Memento
from proxy.core.progress import Progress
from proxy.core.refusals import draining, short_of_memory
from proxy.core.retry.fallback import labelled
from proxy.core.retry.stalls import Stalls
from proxy.core.rng import Rng
from proxy.core.route.forecasting import foresee
from proxy.core.shown.explanation import Explanation, explain
from proxy.core.shown.lanes import LaneView, lanes
from proxy.core.shown.views import BackendView, Counts, PoolView, backend_view, pool_view
from proxy.core.state import State
from proxy.core.waiting import Waiting
from proxy.core.windows import Windows
from proxy.model.abilities import Lack
from proxy.model.backend import BackendSpec
from proxy.model.commands import (
    Command,
    Failed,
    Finished,
    FirstByte,
    FirstToken,
    Flowed,
    Identified,
    Load,
    Probed,
    Refused,
    Remaining,
    Report,
    Restarted,
)
from proxy.model.engine_facts import UNKNOWN, EngineFacts
from proxy.model.faults import Fault
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings, SchedulingSettings
from proxy.model.tenants import QuotaView

_UNPROMISED_S: Final = 30.0
"""Place in line of a job that promises nothing: as if it had to begin within so long."""


class Scheduler:
    """`now` is monotonic seconds and never goes back. The same calls with the same seed give the same commands."""

    def __init__(
        self,
        backends: Sequence[BackendSpec],
        *,
        retries: RetrySettings,
        hold: HoldSettings,
        health: HealthSettings,
        rng: Rng,
        policy: str | None = None,
        scheduling: SchedulingSettings | None = None,
    ) -> None:
        scheduling = scheduling or SchedulingSettings()
        if policy is not None:
            scheduling = replace(scheduling, policy=policy)
        settings = CoreSettings(retries=retries, hold=hold, health=health, scheduling=scheduling)
        self._state = state = State(backends, settings, rng)
        self._fleet, self._learning, self._quotas = state.fleet, state.learning, state.quotas
        self._attempts, self._held, self._router = state.attempts, state.holds, state.router
        self._budget, self._hedge_timers, self._outbox = state.budget, state.hedge_timers, state.outbox
        self.memento = Memento(state.fleet, state.learning, state.dials, state.quotas)
        """What is learned, to be kept for a later life."""
        self._windows = Windows(state.holds)
        self._decider = Decider(state, state.router, rng, self._windows)
        self._waiting = Waiting(state, self._decider, self._windows)
        self._progress = Progress(state, self._waiting)
        self._stalls = Stalls(state)
        self._ejections = state.fleet.timers
        self._pauses = state.fleet.pauses
        self._holds = state.holds.hold.timers
        self._backfills = state.holds.backfill.timers
        self._lates = state.hedge_timers.timers
        self._gathers = state.holds.gathering.timers
        self._timers = (self._holds, self._ejections, self._pauses, self._backfills, self._lates, self._gathers)

    # ---- the five methods

    def submit(self, job: Job, now: float) -> list[Command]:
        """A new job: it goes, is held or is refused."""
        attempts, tally = self._attempts, self._state.tally
        if job.id in attempts.open:
            raise ValueError(f"job {job.id} is already open")
        self._advance(now)
        tally.offered += 1
        open_job = OpenJob(job, tally.offered, now)
        attempts.begin(open_job)
        if open_job.fallbacks:
            self._decider.fallback.served(open_job)
        if job.window is not None:
            self._windows.came(job, now)
        self._outbox.extend(self._placed(open_job, now))
        return self._outbox.take()

    def adopt(self, job: Job, backend: str, now: float) -> None:
        """A job that another scheduler has sent there: it has its place in the books until `cancel`, and no command
        ever names it. Nothing is learned of it, and no quota of a tenant counts it again."""
        known = self._fleet.by_name.get(backend)
        if known is None or job.id in self._attempts.open:
            return
        self._state.tally.offered += 1
        open_job = OpenJob(job, self._state.tally.offered, now)
        self._attempts.begin(open_job)
        demand = self._learning.demand(open_job, now)
        foresee(known, demand)
        self._attempts.adopt(open_job, known, demand)

    def out(self) -> list[tuple[Job, str]]:
        """Every job that is out, and its backend; the first one of a job that has two."""
        opened = self._attempts.open.values()
        return [(open_job.job, open_job.attempts[0].backend.name) for open_job in opened if open_job.attempts]

    def cancel(self, job_id: int, now: float) -> list[Command]:
        """The client left; what comes back concerns other jobs."""
        open_job = self._attempts.open.get(job_id)
        if open_job is not None:  # before time goes on: what would become of it concerns nobody any more
            if open_job.waits_in is not None:
                open_job.waits_in.remove(open_job)
            self._attempts.leave(open_job)
            self._hedge_timers.forget(open_job)
        self._advance(now)
        if open_job is not None:
            self._progress.left(open_job, now)
        if self._fleet.leaving:
            self._forget_idle()
        return self._outbox.take()

    def observe(self, report: Report, now: float) -> list[Command]:
        """What became of an attempt, a probe or a scrape. A report on an attempt that is over is late, and changes
        nothing."""
        if now >= self._lates.soonest and isinstance(report, FirstByte | FirstToken | Finished | Failed):
            self._progress.in_time(report.attempt)
        self._advance(now)
        if isinstance(report, FirstToken):
            self._progress.first_token(report, now)
        elif isinstance(report, Finished):
            self._progress.finished(report, now)
        elif isinstance(report, Failed):
            self._progress.failed(report, now)
        elif isinstance(report, FirstByte):
            self._progress.began(report, now)
        elif isinstance(report, Refused):
            self._on_refused(report, now)
        elif isinstance(report, Remaining):
            self._on_remaining(report, now)
        else:
            self._on_news(report, now)
        if self._fleet.leaving:
            self._forget_idle()
        return self._outbox.take()

    def gives_up(
        self, attempt_id: int, silent_s: float, now: float, fits: Callable[[str], bool] | None, token_s: float = 0.0
    ) -> bool:
        """Whether a stream that brought no token for so long should be given up, for another backend that `fits` to go
        on with it (None: none does), or because its own is gone. `token_s`: its seconds per token until then. Decides
        nothing: what follows is a report that it failed."""
        attempt = self._attempts.out.get(attempt_id)
        return attempt is not None and self._stalls.gives_up(attempt, silent_s, now, fits, token_s)

    def sleeps_on(self, attempt_id: int) -> bool:
        """Whether the only attempt of a job is out to a backend that leaves it alone until somebody wakes it."""
        attempt = self._attempts.out.get(attempt_id)
        return attempt is not None and len(attempt.open_job.attempts) == 1 and attempt.backend.asleep

    def tick(self, now: float) -> list[Command]:
        """Time passed: holds and ejections end, limits clear."""
        self._advance(now)
        return self._outbox.take()

    def wakeup_at(self) -> float | None:
        """When `tick` has something to do; None: not before another call."""
        look_at, lates = self._waiting.look_at, self._lates
        if (
            self._holds.soonest == inf == self._ejections.soonest
            and self._pauses.soonest == inf
            and self._backfills.soonest == inf == look_at
            and lates.soonest == inf == self._gathers.soonest
        ):
            return None
        soonest = look_at
        for timers in self._timers:
            at = timers.next_at()
            if at is not None and at < soonest:
                soonest = at
        return None if soonest == inf else soonest

    def refuse_new(self) -> list[Command]:
        """Drain: held jobs and all to come are refused; those in flight go on, their retries included. Windows close at
        the next `tick`, which is due at once: who could have gone still may."""
        held = self._held
        held.draining = True
        for open_job in held.gathering.open_jobs():
            self._gathers.set(open_job.job.id, 0.0)
        waiting = [*held.hold.open_jobs(), *held.backfill.open_jobs()]
        return [self._refuse_held(open_job, draining()) for open_job in waiting]

    def shed_bulk(self) -> list[Command]:
        """Memory is short: bulk that waits is refused; what is on its way goes on."""
        return [
            self._refuse_held(open_job, short_of_memory())
            for open_job in self._held.open_jobs()
            if open_job.job.bulk or open_job.demoted
        ]

    def reconfigure(
        self, backends: Sequence[BackendSpec], settings: CoreSettings, now: float, heard: Sequence[Probed] = ()
    ) -> list[Command]:
        """Another configuration, without losing what is learned or anybody who is here. A backend is who has its name,
        as long as that is the same engine (`BackendSpec.is_same_engine`); one that is new starts slowly. One that is
        configured no more gets nothing new: what is out there ends as it would have, who waited for it finds another
        line, and with its last attempt it is forgotten. `heard`: what those that are new have answered already, before
        anybody who waits is told that nobody serves its model. Raises ValueError for two backends of one name and
        KeyError for a policy that there is not; nothing has changed then."""
        self._advance(now)
        for backend in self._state.reconfigure(backends, settings, now):
            if self.knows(backend.name) and backend not in self._fleet.backends:
                self.memento.forget(backend.name)  # it was of another engine
        for report in heard:
            self._hear(report, now)
        self._forget_idle()
        self._line_up_again(now)
        self._outbox.extend(self._waiting.go_elsewhere(now))
        self._outbox.extend(self._waiting.feed_all(now))
        return self._outbox.take()

    def explain(self, job: Job, now: float) -> Explanation:
        """What `submit` would answer, and why; nothing changes."""
        return explain(self._fleet, self._learning, self._router, self._decider, self._quotas, job, now)

    # ---- read-only views

    @property
    def version(self) -> int:
        """Grows whenever `models` or `upstream_model` may answer differently."""
        return self._fleet.catalogue.version

    def models(self) -> tuple[str, ...]:
        """Every name known to be served, aliases included, sorted."""
        return self._fleet.catalogue.models()

    def healthy(self, most: int) -> dict[str, int]:
        """Healthy backends of each of the first `most` names that are listed."""
        return self._fleet.catalogue.healthy(most)

    def serve_alike(self) -> bool:
        """Whether all backends that are known serve the same names."""
        return len(self._fleet.catalogue.candidates()) <= 1

    def models_with(self, label: str) -> tuple[tuple[str, ...], bool]:
        """The names that backends with this label serve, sorted, and whether all of these serve the same ones."""
        return self._fleet.catalogue.with_label(label)

    def upstream_model(self, backend: str, model: str) -> str:
        """The engine's own name for `model`; as it stands where the backend is known no more."""
        known = self._fleet.by_name.get(backend)
        return model if known is None else known.own_name(model)

    def knows(self, backend: str) -> bool:
        """Whether it is configured, or has attempts out still."""
        return backend in self._fleet.by_name

    def facts(self, backend: str, model: str = "") -> EngineFacts:
        """What is known of the engine there as it serves `model`; of none of its models in particular."""
        known = self._fleet.by_name.get(backend)
        return UNKNOWN if known is None else known.facts_for(model)

    def listed_as(self, model: str) -> str | None:
        """The listed name that `model` stands for; None: no list has it."""
        return self._fleet.catalogue.listed_as(model)

    def also(self, model: str) -> tuple[str, ...]:
        """Other spellings of `model`, where all that serve it take them for the same."""
        return self._fleet.catalogue.also(model)

    def backends(self, now: float) -> list[BackendView]:
        """Every backend, in the order of the configuration, and those that leave and have attempts out; not those whose
        name another engine has now."""
        return [
            *[backend_view(backend, now) for backend in self._fleet.backends],
            *[backend_view(b, now, leaving=True) for b in self._fleet.leaving if self._fleet.by_name[b.name] is b],
        ]

    def pools(self, now: float) -> list[PoolView]:
        """Every pool, in the order of the configuration."""
        return [pool_view(pool, self._router.mode, now) for pool in self._fleet.pools.values()]

    def lanes(self, now: float) -> dict[str, LaneView]:
        """Every traffic class that has an open job."""
        return lanes(self._attempts, self._held, now)

    def tenants(self, now: float) -> dict[str, float]:
        """Seconds of service lately, by tenant; those long gone are missing."""
        return self._learning.tenants.services(now)

    def quota(self, tenant: str, now: float) -> QuotaView | None:
        """What a tenant may still use; None: it has no limits."""
        return self._quotas.view(tenant, now) if self._quotas.limits_anybody else None

    def quota_for(self, job: Job, now: float) -> QuotaView | None:
        """What its tenant may still use for jobs like this one; None: it has no limits."""
        return self._quotas.view(job.tenant, now, job) if self._quotas.limits_anybody else None

    def tell_time(self, wall_s: float, now: float) -> None:
        """It is `wall_s` seconds since 1970, at `now`: days begin and end by that. To be told again and again."""
        self._quotas.days.tell(wall_s, now)

    def quotas(self, now: float) -> dict[str, QuotaView]:
        """The same of every tenant that the configuration names and limits."""
        return self._quotas.views(now)

    def counts(self, now: float) -> Counts:
        """What happened so far, and what is open."""
        tally, held = self._state.tally, self._held
        happened: dict[str, Any] = {counter.name: getattr(tally, counter.name) for counter in fields(tally)}
        happened["refusals"] = dict(tally.refusals)
        return Counts(
            **happened,
            in_flight=self._attempts.in_flight,
            hedging=self._attempts.hedging,
            held=len(held),
            held_bytes=held.bytes,
            backfill=len(held.backfill),
            hold_fill=held.hold.fill(self._attempts.in_flight),
            bulk_fill=held.backfill.fill(0),
            retry_budget_left=self._budget.left(now),
            ejections=self._fleet.ejections,
            followed=self._windows.followers.followed,
            followed_tokens=self._windows.followers.saved_tokens,
        )

    # ---- a new job

    def _placed(self, open_job: OpenJob, now: float) -> list[Command]:
        """Decided, noted, and done."""
        candidates = self._fleet.catalogue.find(open_job.job.model)
        judged = self._decider.new(open_job, candidates, now)
        if candidates is not None and not (judged.demand is None and isinstance(judged.decision, Shed)):
            self._note(open_job, judged, candidates, now)
        return self._waiting.carry_out(open_job, judged.decision, candidates, now)

    def _note(self, open_job: OpenJob, judged: Judged, candidates: Candidates, now: float) -> None:
        """What a job that came through the gates asks for."""
        demand, chosen = judged.demand or self._learning.demand(open_job, now), judged.chosen
        account = self._quotas.account(open_job.job.tenant, now) if self._quotas.limits_anybody else None
        if account is not None and not open_job.job.is_free:
            open_job.reserved = account.reserve(open_job.job, demand.prompt, demand.answer, now)
        self._budget.request(now)
        self._progress.hedging.arrived(open_job.job)
        open_job.due = _due(open_job, demand)
        if judged.demand is None:
            return
        usable = candidates.first or candidates.backends
        seen = chosen or usable[0]
        if chosen is None:
            self._learning.tenants.waits(open_job.job.tenant, demand.promised, now)
            foresee(seen, demand)
        seen.pool.arrived(work_s(seen, demand), now)
        if self._router.judges:
            self._router.asked(candidates, demand, chosen, usable)

    # ---- time

    def _advance(self, now: float) -> None:
        waiting, outbox = self._waiting, self._outbox
        if (
            now < self._holds.soonest
            and now < self._ejections.soonest
            and now < self._pauses.soonest
            and now < self._backfills.soonest
            and now < waiting.look_at
            and now < self._lates.soonest
            and now < self._gathers.soonest
        ):
            return
        due = [*self._held.hold.due(now), *self._held.backfill.due(now), *self._held.gathering.due(now)]
        late = [t for t in due if t.job.deadline is not None and now >= t.job.deadline]
        for open_job in late:
            if open_job.line is not None:  # or it went with another one
                outbox.extend(waiting.expire(open_job, now))
        if self._fleet.advance(now):
            outbox.extend(waiting.feed_all(now))
        if now >= waiting.look_at:
            outbox.extend(waiting.look(now))
        # a backend that came back in the same moment took what it could
        for open_job in due:
            if open_job.line is not None:
                outbox.extend(waiting.expire(open_job, now))
        for job_id in self._lates.due(now):
            self._progress.late(job_id, now)

    # ---- what is told of backends

    def _on_news(self, report: Probed | Load | Flowed | Identified | Restarted, now: float) -> None:
        backend = self._fleet.by_name.get(report.backend)
        if backend is None:  # it has left
            return
        if isinstance(report, Probed):
            self._on_probed(backend, report, now)
        elif isinstance(report, Load):
            woke = self._fleet.told(backend, report)
            self._learning.load(backend, report, now)
            is_other = report.facts is not None and backend.tells(report.facts)
            if report.precisions is not None:
                is_other |= backend.tells_precisions(report.precisions)
            if is_other:
                self._line_up_again(now)
                self._outbox.extend(self._waiting.feed_all(now))
            self._progress.go_on(backend, woke, now)
        elif isinstance(report, Flowed):
            self._learning.flowed(backend, report, now)
        elif isinstance(report, Identified):
            self.memento.identified(backend.name, report.engine, now)
        else:
            self._learning.restarted(backend)
            self._fleet.compare(backend)
            self._progress.go_on(backend, self._fleet.woke(backend), now)

    def _on_probed(self, backend: Backend, report: Probed, now: float) -> None:
        learnt = report.ok and self._fleet.learn(backend, report)
        if learnt:
            self._line_up_again(now)
        if not report.reached:  # whoever slept there is gone
            self._fleet.woke(backend)
        opened = self._fleet.probed(backend, report, now)
        if opened and backend.health.away:
            self._outbox.extend(self._waiting.go_elsewhere(now))
        if learnt or opened:
            self._outbox.extend(self._waiting.feed_all(now))

    def _hear(self, report: Probed, now: float) -> None:
        """Of a backend that nobody has been sent to yet."""
        backend = self._fleet.by_name.get(report.backend)
        if backend is not None and not backend.known:
            if report.ok:
                self._fleet.learn(backend, report)
            self._fleet.probed(backend, report, now)

    def _on_refused(self, report: Refused, now: float) -> None:
        attempt = self._attempts.out.get(report.attempt)
        if attempt is None or not is_believable(report.cannot, attempt.open_job.job):
            return
        open_job, backend = attempt.open_job, attempt.backend
        if report.cannot.lack is Lack.CONTEXT:
            open_job.too_short = max(open_job.too_short, report.cannot.limit or 0)
        prompt, name = self._learning.demand(open_job, now).prompt, backend.listed_name(open_job.job.model)
        backend.abilities.learn(open_job.job, name, report.cannot, prompt, now)
        self._fleet.compare(backend)

    def _on_remaining(self, report: Remaining, now: float) -> None:
        attempt = self._attempts.out.get(report.attempt)
        if attempt is not None:
            self._attempts.quotas.heard(attempt, report, now)
            self._progress.go_on(attempt.backend, False, now)

    def _forget_idle(self) -> None:
        for backend in self._fleet.forget_idle():
            if not self.knows(backend.name):
                self.memento.forget(backend.name)

    # ---- held jobs

    def _line_up_again(self, now: float) -> None:
        """Models are served by other backends now: every held job finds its line, another way, or its end."""
        for hold in (self._held.hold, self._held.backfill, self._held.gathering):
            for open_job in hold.open_jobs():
                candidates = labelled(self._fleet.catalogue, open_job.job)
                if candidates is not None:
                    hold.move(open_job, candidates)
                    continue
                hold.remove(open_job)
                decision = self._decider.nowhere(open_job, now)
                self._outbox.extend(self._waiting.carry_out(open_job, decision, None, now))

    # ---- refusals

    def _refuse_held(self, open_job: OpenJob, fault: Fault) -> Command:
        assert open_job.waits_in is not None
        open_job.waits_in.remove(open_job)
        return self._attempts.refuse(open_job, fault)


def _due(open_job: OpenJob, demand: Demand) -> float:
    """Earliest deadline first inside fair shares: whoever had more than its share is due later."""
    job = open_job.job
    promised_s = job.slo_ttft_s
    if promised_s is None:
        promised_s = _UNPROMISED_S if job.done_by is None else max(0.0, job.done_by - open_job.arrived)
    return open_job.arrived + promised_s * (1.0 + demand.over_share)
