"""What becomes of attempts that are out: first bytes and tokens, ends, failures and the next attempt.

Owns the order in which attempts, books, fleet and those who wait hear of it, the choice between trying again and
answering with the failure, and which of two attempts at once goes on.
"""

from proxy.core.attempts import Attempts
from proxy.core.backend import Backend
from proxy.core.books import Books
from proxy.core.fallback import Fallback
from proxy.core.fleet import Fleet
from proxy.core.hedging import Hedging
from proxy.core.lateness import Lateness
from proxy.core.retry_budget import RetryBudget
from proxy.core.router import Router, to_avoid
from proxy.core.ticket import Ticket
from proxy.core.waiting import Waiting
from proxy.model.commands import Abort, Command, Failed, Finished, FirstByte, FirstToken
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
        opened = self._fleet.served(backend, ticket.era, now)
        return self.go_on(backend, opened, commands, now)

    def failed(self, report: Failed, commands: list[Command], now: float) -> list[Command]:
        ticket = self._attempts.out(report.job_id, report.backend)
        if ticket is None:
            return commands
        if ticket.second is not None:
            return self._lost_one(ticket, report, commands, now)
        backend = self._attempts.lost(ticket, now)
        opened = self._fleet.failed(backend, ticket.era, report.fault, now)
        ticket.remember(backend, report.fault)
        if not (report.repeatable and (self._again(ticket, commands, now) or self._other(ticket, commands, now))):
            commands.append(self._attempts.refuse(ticket, report.fault))
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
        opened = self._fleet.failed(backend, era, report.fault, now)
        ticket.remember(backend, report.fault)
        self._lateness.watch(ticket, now)
        return self.go_on(backend, opened, commands, now)

    # ---- next attempts

    def _again(self, ticket: Ticket, commands: list[Command], now: float) -> bool:
        """Try the next attempt, now or held; False when the failure is the end."""
        job, waiting = ticket.job, self._waiting
        candidates = self._fleet.catalogue.find(job.model)
        late = job.deadline is not None and now >= job.deadline
        if candidates is None or late or ticket.attempt >= self._tries:
            return False
        avoid = to_avoid(ticket, candidates)
        if avoid is None:
            return False
        ask = self._books.ask(ticket, now)
        backend = self._router.pick(candidates, ask, avoid)
        if backend is None and (self._waiting.draining or not waiting.hold.has_room(ticket, self._attempts.in_flight)):
            return False
        if not self.budget.take(now):
            return False
        self.retried += 1
        if backend is None:
            waiting.again(ticket, candidates, avoid, now)
        else:
            commands.append(self._attempts.dispatch(ticket, backend, ask))
        return True

    def _other(self, ticket: Ticket, commands: list[Command], now: float) -> bool:
        """Try another model or pool, unless the client has seen something of this one; False: that is the end."""
        late = ticket.job.deadline is not None and now >= ticket.job.deadline
        if not ticket.ways or ticket.started or late or ticket.attempt >= self._tries or not self.budget.take(now):
            return False
        sent = self._fallback.take(ticket, now)
        if sent is None:
            return False
        self.retried += 1
        commands.append(sent)
        return True
