"""The façade of the core: jobs and reports in, commands out.

Owns the open jobs, their permits and the order in which things are decided. Does no I/O, reads no clock, and leaves
the choice of a backend to the router, health to the fleet, waiting to the hold and restraint to the retry budget.

    submit ──> router ──permit──> Dispatch ──Finished──────────────> done; the permit goes to the oldest held job
                 │ none free                 └─Failed──> again? ──> Dispatch | held | Refuse
                 └──> hold ──> Dispatch | Refuse
"""

from collections.abc import Sequence
from math import inf

from proxy.core.backend import Backend
from proxy.core.candidates import MAX_RETRY_AFTER_S, MIN_RETRY_AFTER_S, Candidates
from proxy.core.fleet import Fleet
from proxy.core.health import State
from proxy.core.hold import Hold
from proxy.core.policies import POLICIES
from proxy.core.refusals import draining, hold_timeout, queue_full
from proxy.core.retry_budget import RetryBudget
from proxy.core.rng import Rng
from proxy.core.router import Router, to_avoid
from proxy.core.ticket import NOBODY, Ticket
from proxy.core.views import BackendView, Counts, backend_view
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Failed, Finished, Probed, Refuse, Report
from proxy.model.faults import Fault
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job


class Scheduler:
    """`now` is monotonic seconds and never goes back. The same calls with the same seed give the same commands."""

    def __init__(
        self,
        backends: Sequence[BackendSpec],
        *,
        policy: str,
        retries: RetrySettings,
        hold: HoldSettings,
        health: HealthSettings,
        rng: Rng,
    ) -> None:
        self._fleet = Fleet(backends, health)
        self._router = Router(self._fleet, POLICIES[policy](), rng)
        self._ejections = self._fleet.timers
        self._hold = Hold(hold)
        self._holds = self._hold.timers
        self._budget = RetryBudget(retries)
        self._attempts = retries.attempts
        self._unknown_retry_s = min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, health.probe_interval))
        self._open: dict[int, Ticket] = {}
        self._in_flight = 0
        self._draining = False
        self._offered = self._finished = self._refused = self._cancelled = self._retried = 0

    # ---- the five methods

    def submit(self, job: Job, now: float) -> list[Command]:
        """A new job: it goes, is held or is refused."""
        if job.id in self._open:
            raise ValueError(f"job {job.id} is already open")
        commands = self._advance(now)
        self._offered += 1
        ticket = self._open[job.id] = Ticket(job, self._offered)
        candidates = self._fleet.catalogue.find(job.model)
        if candidates is None or self._draining or (job.deadline is not None and now >= job.deadline):
            commands.append(self._refuse(ticket, self._why_not(ticket, candidates)))
            return commands
        self._budget.request(now)
        backend = self._router.pick(candidates, job, NOBODY, now)
        if backend is not None:
            commands.append(self._dispatch(ticket, backend, now))
        elif self._hold.has_room(ticket, self._in_flight):
            self._hold.add(ticket, candidates, NOBODY, now)
        else:
            commands.append(self._refuse(ticket, queue_full(len(self._hold), self._wait_s(candidates))))
        return commands

    def cancel(self, job_id: int, now: float) -> list[Command]:
        """The client left; what comes back concerns other jobs."""
        ticket = self._open.pop(job_id, None)
        if ticket is None:
            return self._advance(now)
        self._cancelled += 1
        backend = ticket.backend
        if backend is None:
            self._hold.remove(ticket)  # before time goes on: the end of its hold concerns nobody any more
            return self._advance(now)
        commands = self._advance(now)
        self._release(ticket, backend)
        opened = self._fleet.withdrawn(backend, ticket.era)
        return self._go_on(backend, opened, commands, now)

    def observe(self, report: Report, now: float) -> list[Command]:
        """What became of an attempt or a probe. A report on a job that is over is late, and changes nothing."""
        commands = self._advance(now)
        if isinstance(report, Finished):
            return self._on_finished(report, commands, now)
        if isinstance(report, Failed):
            return self._on_failed(report, commands, now)
        if isinstance(report, Probed):
            return self._on_probed(report, commands, now)
        return commands  # FirstByte: no decision hangs on it as long as no backlog of prefills is kept

    def tick(self, now: float) -> list[Command]:
        """Time passed: holds and ejections end."""
        return self._advance(now)

    def wakeup_at(self) -> float | None:
        """When `tick` has something to do; None: not before another call."""
        if self._holds.soonest == inf == self._ejections.soonest:
            return None
        ends = [at for at in (self._holds.next_at(), self._ejections.next_at()) if at is not None]
        return min(ends, default=None)

    def refuse_new(self) -> list[Command]:
        """Drain: held jobs and all to come are refused; those in flight go on, their retries included."""
        self._draining = True
        return [self._refuse_held(ticket, draining()) for ticket in self._hold.tickets()]

    # ---- read-only views

    @property
    def version(self) -> int:
        """Grows whenever `models` or `upstream_model` may answer differently."""
        return self._fleet.catalogue.version

    def models(self) -> tuple[str, ...]:
        """Every name known to be served, aliases included, sorted."""
        return self._fleet.catalogue.models()

    def upstream_model(self, backend: str, model: str) -> str:
        """The engine's own name for `model`."""
        return self._fleet.by_name[backend].spec.aliases.get(model, model)

    def backends(self, now: float) -> list[BackendView]:
        """Every backend, in the order of the configuration."""
        return [backend_view(b, now) for b in self._fleet.backends]

    def counts(self, now: float) -> Counts:
        """What happened so far, and what is open."""
        return Counts(
            offered=self._offered,
            finished=self._finished,
            refused=self._refused,
            cancelled=self._cancelled,
            in_flight=self._in_flight,
            held=len(self._hold),
            held_bytes=self._hold.bytes,
            retries=self._retried,
            retry_budget_left=self._budget.left(now),
            ejections=self._fleet.ejections,
        )

    # ---- time

    def _advance(self, now: float) -> list[Command]:
        commands: list[Command] = []
        if now < self._holds.soonest and now < self._ejections.soonest:
            return commands
        due = self._hold.due(now)
        late = [t for t in due if t.job.deadline is not None and now >= t.job.deadline]
        commands += [self._expire(ticket) for ticket in late]
        if self._fleet.advance(now):
            self._refill(commands, now)
        # a backend that came back in the same moment took what it could
        commands += [self._expire(ticket) for ticket in due if ticket.line is not None]
        return commands

    def _expire(self, ticket: Ticket) -> Command:
        line = ticket.line
        assert line is not None
        return self._refuse_held(ticket, ticket.fault or hold_timeout(self._wait_s(line.candidates)))

    # ---- reports

    def _on_finished(self, report: Finished, commands: list[Command], now: float) -> list[Command]:
        ticket = self._open.get(report.job_id)
        if ticket is None or ticket.backend is None:
            return commands
        backend = ticket.backend
        del self._open[report.job_id]
        self._finished += 1
        self._release(ticket, backend)
        backend.took(now - ticket.since)
        opened = self._fleet.served(backend, ticket.era, now)
        return self._go_on(backend, opened, commands, now)

    def _on_failed(self, report: Failed, commands: list[Command], now: float) -> list[Command]:
        ticket = self._open.get(report.job_id)
        if ticket is None or ticket.backend is None:
            return commands
        backend = ticket.backend
        self._release(ticket, backend)
        opened = self._fleet.failed(backend, ticket.era, report.fault, now)
        ticket.remember(backend, report.fault)
        if not (report.repeatable and self._again(ticket, commands, now)):
            commands.append(self._refuse(ticket, report.fault))
        return self._go_on(backend, opened, commands, now)

    def _on_probed(self, report: Probed, commands: list[Command], now: float) -> list[Command]:
        backend = self._fleet.by_name[report.backend]
        learnt = report.ok and self._fleet.learn(backend, report.models)
        if learnt:
            self._line_up_again(commands)
        opened = self._fleet.probed(backend, report.ok, now)
        if learnt or opened:
            self._refill(commands, now)
        return commands

    # ---- attempts

    def _again(self, ticket: Ticket, commands: list[Command], now: float) -> bool:
        """Try the next attempt, now or held; False when the failure is the end."""
        job = ticket.job
        candidates = self._fleet.catalogue.find(job.model)
        late = job.deadline is not None and now >= job.deadline
        if candidates is None or late or ticket.attempt >= self._attempts:
            return False
        avoid = to_avoid(ticket, candidates)
        if avoid is None:
            return False
        backend = self._router.pick(candidates, job, avoid, now)
        if backend is None and (self._draining or not self._hold.has_room(ticket, self._in_flight)):
            return False
        if not self._budget.take(now):
            return False
        self._retried += 1
        if backend is None:
            self._hold.add(ticket, candidates, avoid, now)
        else:
            commands.append(self._dispatch(ticket, backend, now))
        return True

    def _dispatch(self, ticket: Ticket, backend: Backend, now: float) -> Dispatch:
        """Take the permit."""
        assert backend.in_flight < backend.limit
        backend.in_flight += 1
        self._in_flight += 1
        health = backend.health
        ticket.backend = backend
        ticket.era = health.era
        ticket.since = now
        ticket.attempt += 1
        if health.state is not State.HEALTHY:
            self._fleet.trial_began(backend)
        return Dispatch(ticket.job.id, backend.name, ticket.attempt)

    def _release(self, ticket: Ticket, backend: Backend) -> None:
        """Give the permit back."""
        ticket.backend = None
        backend.in_flight -= 1
        self._in_flight -= 1
        assert backend.in_flight >= 0
        assert self._in_flight >= 0

    # ---- held jobs

    def _go_on(self, backend: Backend, opened: bool, commands: list[Command], now: float) -> list[Command]:
        """A permit of `backend` came free, and perhaps more opened: let held jobs go."""
        if not len(self._hold):
            return commands
        if opened:
            self._refill(commands, now)
        elif backend.in_flight < backend.limit and (ticket := self._hold.oldest_for(backend)) is not None:
            self._hold.remove(ticket)
            commands.append(self._dispatch(ticket, backend, now))
        return commands

    def _refill(self, commands: list[Command], now: float) -> None:
        """Backends were opened: send held jobs, oldest first, as long as any fits."""
        while self._send_oldest(commands, now):
            pass

    def _send_oldest(self, commands: list[Command], now: float) -> bool:
        for line in self._hold.lines():
            ticket = line.head
            backend = self._router.pick(line.candidates, ticket.job, line.avoid, now)
            if backend is not None:
                self._hold.remove(ticket)
                commands.append(self._dispatch(ticket, backend, now))
                return True
        return False

    def _line_up_again(self, commands: list[Command]) -> None:
        """Models are served by other backends now: every held job finds its line, or its end."""
        for ticket in self._hold.tickets():
            candidates = self._fleet.catalogue.find(ticket.job.model)
            if candidates is None:
                commands.append(self._refuse_held(ticket, ticket.fault or self._why_not(ticket, None)))
            else:
                self._hold.move(ticket, candidates)

    # ---- refusals

    def _refuse(self, ticket: Ticket, fault: Fault) -> Refuse:
        del self._open[ticket.job.id]
        self._refused += 1
        return Refuse(ticket.job.id, fault)

    def _refuse_held(self, ticket: Ticket, fault: Fault) -> Refuse:
        self._hold.remove(ticket)
        return self._refuse(ticket, fault)

    def _why_not(self, ticket: Ticket, candidates: Candidates | None) -> Fault:
        if self._draining:
            return draining()
        if candidates is None:
            return self._fleet.catalogue.unserved(ticket.job.model, self._unknown_retry_s)
        return hold_timeout(self._wait_s(candidates))

    def _wait_s(self, candidates: Candidates) -> float:
        return candidates.wait_s(self._hold.ahead(candidates) + 1)
