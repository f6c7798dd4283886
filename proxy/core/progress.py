"""What becomes of attempts that are out: first bytes and tokens, ends, failures and the next attempt.

Owns the order in which attempts, books, fleet and those who wait hear of it, the choice between trying again and
answering with the failure, and which of two attempts at once goes on.
"""

from proxy.core.attempts import Attempts
from proxy.core.backend import Backend
from proxy.core.books import Books
from proxy.core.candidates import Candidates
from proxy.core.fallback import Fallback, cause_of
from proxy.core.fleet import Fleet
from proxy.core.hedging import Hedging
from proxy.core.lateness import Lateness
from proxy.core.retry_budget import RetryBudget
from proxy.core.router import Router
from proxy.core.ticket import Ticket
from proxy.core.waiting import Waiting
from proxy.model.commands import Abort, Command, Failed, Finished, FirstByte, FirstToken
from proxy.model.faults import DECLINED, NOT_REACHED, Blame, Fault, Kind
from proxy.model.limits import RetrySettings


class Progress:
    """One per scheduler. Commands are added to those that are already due."""

    def __init__(
        self,
        fleet: Fleet,
        books: Books,
        attempts: Attempts,
        lateness: Lateness,
        router: Router,
        fallback: Fallback,
        waiting: Waiting,
        retries: RetrySettings,
    ) -> None:
        self._fleet = fleet
        self._books = books
        self._attempts = attempts
        self._lateness = lateness
        self._router = router
        self._fallback = fallback
        self._waiting = waiting
        self._tries = retries.attempts
        self.budget = RetryBudget(retries)
        self.hedging = Hedging(fleet, books, router)
        self.retried = 0

    # ---- reports

    def first_token(self, report: FirstToken, commands: list[Command], now: float) -> list[Command]:
        ticket = self.began(report.job_id, report.backend, commands, now)
        if ticket is None or ticket.backend is None or ticket.entry is None:
            return commands
        backend = ticket.backend
        self._books.first_token(ticket.entry, backend, now)
        return self.go_on(backend, False, commands, now)

    def finished(self, report: Finished, commands: list[Command], now: float) -> list[Command]:
        ticket = self.began(report.job_id, report.backend, commands, now)
        if ticket is None:
            return commands
        backend = self._attempts.served(ticket, report, now)
        if report.ok:
            opened = self._fleet.served(backend, ticket.era, now)
            self._convict(ticket, commands, now)
        else:  # an answer to a mistake of the client: it neither accuses nor acquits
            opened = self._fleet.withdrawn(backend, ticket.era)
        return self.go_on(backend, opened, commands, now)

    def failed(self, report: Failed, commands: list[Command], now: float) -> list[Command]:
        ticket = self._attempts.out(report.job_id, report.backend)
        if ticket is None:
            return commands
        if ticket.second is not None:
            return self._lost_one(ticket, report, commands, now)
        backend = self._attempts.lost(ticket, now)
        opened = self._blame(ticket, backend, ticket.era, report.fault, now)
        ticket.remember(backend, report.fault)
        if not (report.repeatable and self._goes_on(ticket, commands, now)):
            self._convict(ticket, commands, now, alone=True)
            commands.append(self._attempts.refuse(ticket, report.fault))
        if opened and backend.health.away:
            commands += self._waiting.go_elsewhere(now)
        return self.go_on(backend, opened, commands, now)

    def began(self, job_id: int, backend: str, commands: list[Command], now: float) -> Ticket | None:
        """An attempt has its first byte, and the job no other attempt any more. None: it is none of the job's."""
        ticket = self._attempts.out(job_id, backend)
        if ticket is None:
            return None
        if ticket.second is not None:
            loser, era = self._attempts.outrun(ticket, backend, now)
            commands.append(Abort(job_id, loser.name))
            self.go_on(loser, self._fleet.withdrawn(loser, era), commands, now)
        if not ticket.started and ticket.backend is not None and self._fleet.began(ticket.backend):
            self.go_on(ticket.backend, False, commands, now)
        ticket.started = True
        self._lateness.forget(ticket)
        return ticket

    def left(self, ticket: Ticket, commands: list[Command], now: float) -> list[Command]:
        """The client left while an attempt was out."""
        if ticket.second is not None:
            self._without(ticket, ticket.second.backend, commands, now)
        backend = self._attempts.lost(ticket, now)
        opened = self._fleet.withdrawn(backend, ticket.era)
        return self.go_on(backend, opened, commands, now)

    def go_on(self, backend: Backend, opened: bool, commands: list[Command], now: float) -> list[Command]:
        """Something of `backend` came free, and perhaps more opened: let held jobs go."""
        if len(self._waiting):
            commands += self._waiting.feed_all(now) if opened else self._waiting.feed(backend, now)
        return commands

    # ---- two attempts at once

    def in_time(self, report: FirstByte | FirstToken | Finished | Failed) -> None:
        """What is reported in the moment in which it would be late is not late."""
        ticket = self._attempts.out(report.job_id, report.backend)
        if ticket is not None:
            self._lateness.forget(ticket)

    def late(self, job_id: int, now: float) -> list[Command]:
        """An attempt is late: another one beside it, now or perhaps later."""
        ticket = self._attempts.out(job_id)
        assert ticket is not None
        found = self.hedging.second(ticket, now)
        if found is None:
            self._lateness.again(ticket, now)
            return []
        return [self._attempts.hedge(ticket, *found)]

    def _without(self, ticket: Ticket, backend: Backend, commands: list[Command], now: float) -> None:
        """One of two attempts is over, the other one goes on; nothing is to be said of the backend."""
        era = self._attempts.drop(ticket, backend, now)
        self.go_on(backend, self._fleet.withdrawn(backend, era), commands, now)

    def _lost_one(self, ticket: Ticket, report: Failed, commands: list[Command], now: float) -> list[Command]:
        """One of two attempts failed: the other one may still be late, and is watched again."""
        backend = self._fleet.by_name[report.backend]
        era = self._attempts.drop(ticket, backend, now)
        opened = self._blame(ticket, backend, era, report.fault, now)
        ticket.remember(backend, report.fault)
        self._lateness.watch(ticket, now)
        return self.go_on(backend, opened, commands, now)

    # ---- whose fault it was

    def _blame(self, ticket: Ticket, backend: Backend, era: int, fault: Fault, now: float) -> bool:
        """Hold a fault against its backend, or wait for what another one says of the same body; returns whether a
        backend was opened."""
        if fault.blame is Blame.CERTAIN:
            return self._fleet.failed(backend, era, fault, now)
        if ticket.accused:
            ticket.accused.clear()
            ticket.acquits = True
        elif not ticket.acquits:
            ticket.accused.append((backend, era, fault))
        return self._fleet.withdrawn(backend, era)

    def _convict(self, ticket: Ticket, commands: list[Command], now: float, *, alone: bool = False) -> None:
        """The body was served, so that whoever failed on it is to blame; `alone`: nobody else has looked at it."""
        for backend, era, fault in ticket.accused:
            if fault.blame is Blame.UNPROVEN and alone:
                continue
            if fault.kind is Kind.MISCONFIGURED:
                opened = self._fleet.misconfigured(backend, era, now)
            else:
                opened = self._fleet.failed(backend, era, fault, now)
            if opened:
                self.go_on(backend, True, commands, now)
        ticket.accused.clear()

    # ---- next attempts

    def _goes_on(self, ticket: Ticket, commands: list[Command], now: float) -> bool:
        """The next attempt: now on another backend, now another way, or held; False when the failure is the end."""
        job, fault = ticket.job, ticket.fault
        assert fault is not None
        if (job.deadline is not None and now >= job.deadline) or ticket.is_declined_too_often:
            return False
        candidates = self._fleet.catalogue.find(job.model)
        if candidates is None or not self._may_again(ticket, fault, now):
            return self._other(ticket, commands, now)
        ask = self._books.ask(ticket, now)
        somebody = self._router.may_come_free(candidates, ask, ticket.tried, able=fault.kind is Kind.CANNOT)
        backend = self._router.pick(candidates, ask, ticket.tried) if somebody else None
        if backend is not None:
            self._pay(fault, now)
            commands.append(self._attempts.dispatch(ticket, backend, ask))
            return True
        if self._other(ticket, commands, now):
            return True
        if not (somebody or self._comes_back(ticket, candidates, fault, now)):
            return False
        if not self._waiting.again(ticket, candidates, now):
            return False
        self._pay(fault, now)
        return True

    def _comes_back(self, ticket: Ticket, candidates: Candidates, fault: Fault, now: float) -> bool:
        """Whether a backend that takes nothing now will again, in time: one that is not there, or that is full of our
        own requests and has said when to come back."""
        if fault.kind in NOT_REACHED:
            return candidates.hopeless() is None
        last = ticket.last
        if fault.kind is not Kind.BUSY or last is None or not last.in_flight:
            return False
        return last.pressure.paused and last.shut_until - now < self._waiting.hold.max_wait_s

    def _may_again(self, ticket: Ticket, fault: Fault, now: float) -> bool:
        """Whether it may be tried again: what no engine worked at costs nothing."""
        if fault.kind in NOT_REACHED or fault.kind in DECLINED:
            return True
        return ticket.tries < self._tries and self.budget.left(now) >= 1

    def _pay(self, fault: Fault, now: float) -> None:
        if fault.kind not in NOT_REACHED and fault.kind not in DECLINED:
            self.budget.take(now)
            self.retried += 1

    def _other(self, ticket: Ticket, commands: list[Command], now: float) -> bool:
        """Try another model or pool, unless the client has seen something of this one; False: there is none."""
        if not ticket.ways or ticket.started:
            return False
        assert ticket.fault is not None
        sent = self._fallback.take(ticket, now, cause_of(ticket.fault))
        if sent is None:
            return False
        commands.append(sent)
        return True
