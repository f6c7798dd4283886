"""Jobs that cannot go at once: which of the two holds they wait in, when they are looked at again, and how it ends.

    hold       may still be in time, or waits for a permit; short
    backfill   bulk, and what promises nothing about time; long

Owns that choice, the order nobody may skip (held before backfill), demotion, probes and pre-emption of bulk.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

from proxy.core.attempts import Attempts
from proxy.core.backend import Backend
from proxy.core.books import Books
from proxy.core.candidates import Candidates
from proxy.core.fallback import Fallback, cause_of_absence
from proxy.core.fleet import Fleet
from proxy.core.foresight import Ask, foresee, judge, least_s
from proxy.core.hold import Hold, Line
from proxy.core.refusals import asked_to_wait, hold_timeout, overloaded, queue_full, unreachable
from proxy.core.rng import Rng
from proxy.core.router import SAMPLED, Router
from proxy.core.ticket import NOBODY, Ticket
from proxy.model.commands import Command, Reason, Refuse
from proxy.model.faults import Fault
from proxy.model.limits import HoldSettings
from proxy.model.scheduling import BackfillSettings, SchedulingSettings

LOOK_S: Final = 0.25
"""Limits clear as time goes by, without an event: held jobs are looked at so often."""
_LOOKS: Final = 8
"""Jobs looked at per line and event: one that does not fit must not stop smaller ones behind it for ever."""
_MIN_HOLD_S: Final = 0.02
_JITTER: Final = 0.25


class Waiting:
    """Both holds."""

    def __init__(
        self,
        fleet: Fleet,
        books: Books,
        attempts: Attempts,
        router: Router,
        fallback: Fallback,
        hold: HoldSettings,
        settings: SchedulingSettings,
        rng: Rng,
    ) -> None:
        self._fleet = fleet
        self._books = books
        self._attempts = attempts
        self._router = router
        self._fallback = fallback
        self._rng = rng
        self._max_hold_s = settings.admission.max_hold
        self._backfill_s = settings.backfill.max_wait
        self.hold = Hold(hold)
        self.backfill = Hold(_hold_settings(settings.backfill))
        self.look_at = inf
        self.demoted = 0
        self.draining = False
        """Nobody may wait any more."""

    def __len__(self) -> int:
        return len(self.hold) + len(self.backfill)

    # ---- in

    def place(self, ticket: Ticket, candidates: Candidates, ask: Ask) -> list[Command]:
        """Nobody fits a job now."""
        self._books.tenants.waits(ticket.job.tenant, ask.promised, ask.now)
        reason = ask.reason
        if reason is None and not (ask.promises and self._router.enforces_somewhere(candidates)):
            return self._hold_for_permit(ticket, candidates, NOBODY, ask)
        ticket.reason = reason or Reason.SEATS
        if not ask.promises:
            return self._into_backfill(ticket, candidates, ask)
        commands = self._preempt_bulk(ticket, candidates, ask)
        if commands:
            return commands
        patience_s = min(self._max_hold_s, self._slack_s(ask, ask.looked))
        if patience_s > _MIN_HOLD_S and self.hold.has_room(ticket, self._attempts.in_flight):
            self._add(self.hold, ticket, candidates, NOBODY, ask.now, patience_s)
            return []
        return self._too_late(ticket, candidates, ask)

    def again(self, ticket: Ticket, candidates: Candidates, now: float) -> bool:
        """A next attempt waits, as long as it may since the first one brought no answer; False: it may not."""
        if ticket.held_until is None:
            ticket.held_until = now + self.hold.max_wait_s
        most_s = ticket.held_until - now
        if self.draining or most_s <= _MIN_HOLD_S or not self.hold.has_room(ticket, self._attempts.in_flight):
            return False
        self._add(self.hold, ticket, candidates, ticket.tried, now, most_s)
        return True

    def _hold_for_permit(
        self, ticket: Ticket, candidates: Candidates, avoid: frozenset[Backend], ask: Ask
    ) -> list[Command]:
        hold, most_s = self.hold, inf
        if not candidates.open:
            hopeless = candidates.hopeless()
            if hopeless is not None:
                return [self.give_up(ticket, hopeless, None, ask.now)]
            pause_s = candidates.pause_s(ask.now)
            if pause_s > hold.max_wait_s:
                return [self.give_up(ticket, asked_to_wait(pause_s), Reason.QUEUE, ask.now)]
        if ticket.ways and ask.ttft_left < inf:  # in time for the fallback to keep the promise
            looked = candidates.open[:SAMPLED]
            for backend in looked:
                foresee(backend, ask)
            most_s = self._slack_s(ask, looked)
        if most_s <= _MIN_HOLD_S or not hold.has_room(ticket, self._attempts.in_flight):
            return [self.give_up(ticket, queue_full(len(hold), self.wait_s(candidates)), Reason.QUEUE, ask.now)]
        self._add(hold, ticket, candidates, avoid, ask.now, most_s)
        return []

    def _into_backfill(self, ticket: Ticket, candidates: Candidates, ask: Ask) -> list[Command]:
        if not self.backfill.has_room(ticket, 0):
            full = queue_full(len(self.backfill), self.wait_s(candidates))
            return [self.give_up(ticket, full, Reason.QUEUE, ask.now)]
        most_s = ask.rest_s - min([least_s(b, ask) for b in ask.looked], default=0.0)
        if most_s <= 0.0:
            ticket.reason = Reason.DEADLINE
            return [self.give_up(ticket, self._overload(Reason.DEADLINE, ask), Reason.DEADLINE, ask.now)]
        self._add(self.backfill, ticket, candidates, NOBODY, ask.now, most_s)
        return []

    def _add(
        self,
        hold: Hold,
        ticket: Ticket,
        candidates: Candidates,
        avoid: frozenset[Backend],
        now: float,
        most_s: float = inf,
    ) -> None:
        hold.add(ticket, candidates, avoid, now, most_s)
        if ticket.reason is not None:
            self.look_at = min(self.look_at, now + LOOK_S)

    def _slack_s(self, ask: Ask, looked: Sequence[Backend]) -> float:
        """How long it may wait and still be in time on a backend without a backlog, by those looked at for it."""
        best = min([b.outlook.cost for b in looked], default=0.0)
        return ask.ttft_left - ask.ttft_margin * best

    # ---- out

    def feed(self, backend: Backend, now: float) -> list[Command]:
        """Something cleared on `backend`: whoever fits goes, those held first."""
        commands: list[Command] = []
        for hold in (self.hold, self.backfill):
            if not len(hold):
                continue
            for ticket in hold.first_for(backend, _LOOKS):
                if backend.in_flight >= backend.limit:
                    return commands
                ask = self._books.ask(ticket, now)
                assert ticket.line is not None
                if self._router.fits(backend, ticket.line.candidates, ask):
                    hold.remove(ticket)
                    commands.append(self._attempts.dispatch(ticket, backend, ask))
                elif hold is self.backfill and backend.outlook.reason is not Reason.DEADLINE:
                    break
            if hold.first_for(backend, 1):
                break
        return commands

    def feed_all(self, now: float) -> list[Command]:
        """Backends were opened, or time went by: send whoever fits, in order."""
        commands: list[Command] = []
        for hold in (self.hold, self.backfill):
            while (sent := self._send_first(hold, now)) is not None:
                commands.append(sent)
        return commands

    def look(self, now: float) -> list[Command]:
        """Time to look again."""
        commands = self.feed_all(now)
        self.look_at = now + LOOK_S if len(self) else inf
        return commands

    def _send_first(self, hold: Hold, now: float) -> Command | None:
        for line in hold.lines():
            for ticket in line.first(_LOOKS if ticket_may_be_passed(line) else 1):
                ask = self._books.ask(ticket, now)
                backend = self._router.pick(line.candidates, ask, line.avoid)
                if backend is not None:
                    hold.remove(ticket)
                    return self._attempts.dispatch(ticket, backend, ask)
        return None

    # ---- the end of waiting

    def expire(self, ticket: Ticket, now: float) -> list[Command]:
        """Its time is over."""
        line, hold = ticket.line, ticket.waits_in
        assert line is not None
        assert hold is not None
        candidates = line.candidates
        in_time = ticket.job.deadline is None or now < ticket.job.deadline
        if hold is self.backfill and ticket.job.done_by is not None and ticket.held_at is not None:
            in_time = now - ticket.held_at >= self._backfill_s  # else it was its last chance to be complete in time
        hold.remove(ticket)
        if hold is self.hold and ticket.reason is not None and in_time and ticket.fault is None:
            ask = self._books.ask(ticket, now)
            backend = self._router.pick(candidates, ask, NOBODY)
            if backend is not None:
                return [self._attempts.dispatch(ticket, backend, ask)]
            ticket.reason = ask.reason or ticket.reason
            return self._too_late(ticket, candidates, ask)
        nobody_there = not candidates.open and any(b.health.away for b in candidates.backends)
        timeout = ticket.fault or (unreachable() if nobody_there else hold_timeout(self.wait_s(candidates)))
        if ticket.started or not in_time:
            return [self._attempts.refuse(ticket, timeout, ticket.reason if in_time else Reason.DEADLINE)]
        return [self.give_up(ticket, timeout, ticket.reason, now)]

    def go_elsewhere(self, now: float) -> list[Command]:
        """Backends went away: who waits for nobody and may be served otherwise is, where there is room."""
        commands: list[Command] = []
        for ticket in self.hold.tickets():
            line = ticket.line
            if line is None or not ticket.ways or ticket.started or line.candidates.healthy:
                continue
            sent = self._fallback.take(ticket, now, cause_of_absence(line.candidates))
            if sent is not None:
                self.hold.remove(ticket)
                commands.append(sent)
        return commands

    def _too_late(self, ticket: Ticket, candidates: Candidates, ask: Ask) -> list[Command]:
        """It cannot be served in time: late rather than not at all where its class wants that, else refused."""
        if ticket.job.demotable and self.backfill.has_room(ticket, 0):
            ticket.demoted = True
            self.demoted += 1
            self._add(self.backfill, ticket, candidates, NOBODY, ask.now)
            return []
        if ticket.ways:
            reason = ticket.reason or Reason.SEATS
            return [self.give_up(ticket, self._overload(reason, ask), reason, ask.now)]
        probe = self._router.probe(candidates, ask)
        if probe is not None:
            ticket.probe = True
            return [self._attempts.dispatch(ticket, probe, ask)]
        return [self._overloaded(ticket, ask)]

    def _overloaded(self, ticket: Ticket, ask: Ask) -> Refuse:
        reason = ticket.reason or Reason.SEATS
        return self._attempts.refuse(ticket, self._overload(reason, ask), reason)

    def _overload(self, reason: Reason, ask: Ask) -> Fault:
        """By what the last choice saw: to be asked before another one is made."""
        return overloaded(reason, self._router.retry_after_s(ask) * (1.0 + _JITTER * self._rng.random()))

    def give_up(self, ticket: Ticket, fault: Fault, reason: Reason | None, now: float) -> Command:
        """It would be refused, with `fault`: by another model or in another pool, if one has room, else so it is."""
        sent = self._fallback.take(ticket, now) if ticket.ways else None
        return sent or self._attempts.refuse(ticket, fault, reason)

    # ---- pre-emption

    def _preempt_bulk(self, ticket: Ticket, candidates: Candidates, ask: Ask) -> list[Command]:
        """Send bulk back that has not begun, where that makes room in time for this job."""
        for backend in ask.looked:
            ledger = backend.ledger
            if not ledger.pending_bulk_s or not self._router.enforces(backend):
                continue
            victims = [e.ticket for e in ledger.not_begun() if e.bulk and not e.ticket.started]
            if not victims or not self._would_fit(backend, ask, sum(v.attempts[0].entry.cost for v in victims)):
                continue
            if not all(self.backfill.has_room(victim, 0) for victim in victims):
                continue
            commands: list[Command] = []
            for victim in victims:
                commands.append(self._attempts.preempt(victim, ask.now))
                theirs = self._fleet.catalogue.find(victim.job.model) or candidates
                self._add(self.backfill, victim, theirs, NOBODY, ask.now)
            foresee(backend, ask)
            judge(backend, ask)
            return [*commands, self._attempts.dispatch(ticket, backend, ask)]
        return []

    def _would_fit(self, backend: Backend, ask: Ask, freed_s: float) -> bool:
        foresee(backend, ask)
        reason = judge(backend, ask)
        if reason is not Reason.TTFT:
            return reason is None
        out = backend.outlook
        return ask.ttft_margin * (out.ttft - min(out.backlog, freed_s)) <= ask.ttft_left

    # ---- views

    def wait_s(self, candidates: Candidates) -> float:
        """Advice on when to come back."""
        return candidates.wait_s(self.hold.ahead(candidates) + 1)


def _hold_settings(backfill: BackfillSettings) -> HoldSettings:
    wait = f"{backfill.max_wait}s"
    return HoldSettings(min_jobs=backfill.jobs, per_in_flight=0, bytes=f"{backfill.bytes}B", max_wait=wait)


def ticket_may_be_passed(line: Line) -> bool:
    """Whether those behind the first may fit where it does not: when more than a permit keeps it waiting."""
    return line.head.reason is not None or bool(line.head.job.require)
