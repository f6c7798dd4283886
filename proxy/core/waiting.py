"""Jobs that cannot go at once: when those that wait are looked at again, and how waiting ends.

    hold       may still be in time, or waits for a permit; short
    backfill   bulk, and what promises nothing about time; long

Owns the order nobody may skip (held before backfill), and carries out what `decide` decided.
"""

from math import inf, nextafter
from typing import Final

from proxy.core.batches import Batches
from proxy.core.decide import Decider
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.decision import Decision, Gather, Join, Send, Shed, Wait
from proxy.core.jobs.hold import Hold, Line, turn_of
from proxy.core.jobs.open_job import NOBODY, OpenJob
from proxy.core.jobs.passing import Passing
from proxy.core.jobs.triage import sort_out, weigh
from proxy.core.refusals import draining, hold_timeout, unreachable
from proxy.core.retry.fallback import cause_of_absence, ways_left
from proxy.core.route.forecasting import foresee, in_all_s
from proxy.core.state import State
from proxy.core.windows import Windows
from proxy.model.commands import Command, Dispatch, Reason
from proxy.model.fallback import Cause
from proxy.model.windows import Closed, Gathered

LOOK_S: Final = 0.25
"""Limits clear as time goes by, without an event: held jobs are looked at so often."""
_LOOKS: Final = 8
"""Jobs looked at per line and event: one that does not fit must not stop smaller ones behind it for ever."""
_MOST_LOOKS: Final = 16
"""The same of those that are held, where others are passed over because of what was seen…"""
_SEEN: Final = 512
"""…among so many."""
_MIN_HOLD_S: Final = 0.02
"""A shorter wait is none."""
_HAIR_S: Final = 1e-6
"""Sums of times differ by so much."""


class Waiting:
    """Whoever waits, in both holds."""

    def __init__(self, state: State, decider: Decider, windows: Windows) -> None:
        self._windows, self._followers = windows, windows.followers
        self._batches = Batches(state.learning, state.router)
        self._fleet = state.fleet
        self._books = state.learning
        self._attempts = state.attempts
        self._router = state.router
        self._holds = state.holds
        self._dials = state.dials
        self._decider = decider
        self.look_at = inf
        self._tally = state.tally

    @property
    def somebody(self) -> bool:
        """Whether anybody waits."""
        return len(self._holds) > 0

    @property
    def max_wait_s(self) -> float:
        """Longest wait for a permit or a next attempt."""
        return self._holds.hold.max_wait_s

    # ---- in

    def carry_out(
        self, open_job: OpenJob, decision: Decision, candidates: Candidates | None, now: float
    ) -> list[Command]:
        """Do what was decided on a job of these candidates (None: of nobody's, so that it cannot wait)."""
        if isinstance(decision, Send):
            return self._send(open_job, decision)
        if isinstance(decision, Gather):
            assert candidates is not None
            self._gather(open_job, decision, candidates, now)
            return []
        if isinstance(decision, Join):
            return [self._attempts.join(open_job, decision.attempt, now)]
        if isinstance(decision, Wait):
            assert candidates is not None
            self._wait(open_job, decision, candidates, now)
            return []
        return [self._attempts.refuse(open_job, decision.fault, decision.reason)]

    def _send(self, open_job: OpenJob, send: Send) -> list[Command]:
        backend, demand, detour = send.backend, send.demand, send.detour
        commands = [] if send.victims is None else self._sent_back(send.victims, demand.now)
        if detour is not None:
            open_job.job, open_job.way, open_job.fallbacks = detour.job, detour.way, detour.left
        if detour is not None or commands:  # it was looked at for others since, or others were there
            foresee(backend, demand)
        if send.others and open_job.job.window is None:
            return self._side_by_side([open_job, *send.others], backend, demand.now)
        if send.others:
            return [self._with(open_job, send.others, backend, send.closed, demand.now)]
        open_job.probe = send.probe
        commands.append(self._attempts.dispatch(open_job, backend, demand))
        return commands

    def _gather(self, open_job: OpenJob, gather: Gather, candidates: Candidates, now: float) -> None:
        open_job.by_promise = False
        self._holds.gathering.add(open_job, candidates, NOBODY, now, gather.most_s)
        if gather.leader is not None and gather.backend is not None:
            self._followers.add(open_job, gather.leader, gather.backend)

    def _go(self, hold: Hold, open_job: OpenJob, backend: Backend, demand: Demand) -> Dispatch:
        """It leaves the line for `backend`, with those that wait and may go in the same call."""
        job = open_job.job
        if hold is self._holds.backfill and open_job.line is not None:
            open_job.line.candidates.drain.went(open_job.cost_s)
        hold.remove(open_job)
        if job.same is not None and not open_job.started:
            out = self._attempts.alike(job)
            if out is not None:
                return self._attempts.join(open_job, out, demand.now)
        if job.window is not None:
            others = self._windows.others(open_job, backend)
            if others:
                return self._with(open_job, others, backend, Closed.IDLE, demand.now)
        return self._attempts.dispatch(open_job, backend, demand)

    def _with(self, open_job: OpenJob, others: list[OpenJob], backend: Backend, closed: Closed, now: float) -> Dispatch:
        """Several go as one call, in the order in which they came."""
        for other in others:
            assert other.waits_in is not None
            other.waits_in.remove(other)
        together = sorted([open_job, *others], key=_number)
        waits_s = tuple([0.0 if one.held_at is None else now - one.held_at for one in together])
        demand = self._books.demand_of_all(together, now)
        foresee(backend, demand)
        return self._attempts.dispatch_all(together, backend, demand, Gathered(closed, waits_s))

    def _wait(self, open_job: OpenJob, wait: Wait, candidates: Candidates, now: float) -> None:
        if wait.reason is not None:
            open_job.reason = wait.reason
        open_job.work_s = wait.work_s
        open_job.by_promise = wait.reason is not None and not wait.as_bulk
        if wait.demoted:
            open_job.demoted = True
            self._tally.demoted += 1
        if wait.as_bulk:
            weigh(open_job, (candidates.open or candidates.backends)[-1], self._books.demand(open_job, now))
        self._add(
            self._holds.backfill if wait.as_bulk else self._holds.hold, open_job, candidates, NOBODY, now, wait.most_s
        )

    def _sent_back(self, victims: list[OpenJob], now: float) -> list[Command]:
        """Bulk that has not begun, back to where it waited."""
        commands: list[Command] = []
        for victim in victims:
            commands.append(self._attempts.preempt(victim, now))
            candidates = self._fleet.catalogue.find(victim.job.model)
            assert candidates is not None
            self._add(self._holds.backfill, victim, candidates, NOBODY, now)
        return commands

    def elsewhere(self, open_job: OpenJob, now: float, cause: Cause | None = None) -> Dispatch | None:
        """Send a job whose first choice failed another way, if one has room."""
        found = self._decider.fallback.find(open_job, now, cause)
        if found is None:
            open_job.fallbacks = ways_left(open_job.fallbacks, cause)
            return None
        (sent,) = self._send(open_job, found)
        assert isinstance(sent, Dispatch)
        return sent

    def again(self, open_job: OpenJob, candidates: Candidates, now: float) -> bool:
        """A next attempt waits, as long as it may since the first one brought no answer; False: it may not."""
        if open_job.held_until is None:
            open_job.held_until = now + self._holds.hold.longest_s(candidates)
        most_s = open_job.held_until - now
        if (
            self._holds.draining
            or most_s <= _MIN_HOLD_S
            or not self._holds.hold.has_room(open_job, self._attempts.in_flight)
        ):
            return False
        open_job.by_promise = False
        self._add(self._holds.hold, open_job, candidates, open_job.tried, now, most_s)
        return True

    def _add(
        self,
        hold: Hold,
        open_job: OpenJob,
        candidates: Candidates,
        avoid: frozenset[Backend],
        now: float,
        most_s: float = inf,
    ) -> None:
        hold.add(open_job, candidates, avoid, now, most_s)
        if open_job.reason is not None:
            self.look_at = min(self.look_at, now + LOOK_S)

    # ---- out

    def feed(self, backend: Backend, now: float) -> list[Command]:
        """Something cleared on `backend`: whoever fits goes, those held first."""
        commands: list[Command] = []
        if self._followers:
            self._let_follow(commands, now)
        if backend.batching.is_closed and not backend.in_flight:
            commands += self._release(backend, now)
        for hold in (self._holds.hold, self._holds.backfill):
            if not len(hold):
                continue
            if hold is self._holds.backfill:
                self._fill(backend, commands, now)
                continue
            self._feed_held(backend, commands, now)
            if hold.first_for(backend, 1):
                break
        if len(self._holds.gathering):
            self._close_idle(backend, commands, now)
        return commands

    def _let_follow(self, commands: list[Command], now: float) -> None:
        """Prompts were computed, or never will be: who has the same beginning goes there, or as any other."""
        for leader, backend, open_jobs in self._followers.due():
            for place, open_job in enumerate(open_jobs):
                line = open_job.line
                if line is None or open_job.follows is not leader or open_job.waits_in is not self._holds.gathering:
                    continue
                computed = leader.first_at is not None and backend in line.candidates.open
                if computed and not backend.has_room(open_job.job, bulk=open_job.job.bulk or open_job.demoted):
                    self._followers.keep(leader, open_jobs[place:])  # in a moment: to go elsewhere costs more
                    break
                open_job.follows = None
                demand = self._books.demand(open_job, now)
                there = computed and self._router.fits(backend, line.candidates, demand, line.avoid)
                self._holds.gathering.remove(open_job)
                if there:
                    self._followers.went(leader, backend, demand)
                    commands.append(self._attempts.dispatch(open_job, backend, demand))
                else:
                    commands += self._anew(open_job, line.candidates, now)
            else:
                self._followers.keep(leader, [])

    def _anew(self, open_job: OpenJob, candidates: Candidates, now: float) -> list[Command]:
        """Nobody is waited for any more: decided as if it had just come, gates and windows apart."""
        demand = self._books.demand(open_job, now)
        backend = self._router.pick(candidates, demand, NOBODY)
        decision: Decision
        if backend is None:
            decision = self._decider.without_room(open_job, candidates, demand)
        else:
            decision = self._decider.follow(open_job, backend, demand) or Send(backend, demand)
        if self._holds.draining and not isinstance(decision, Send):
            decision = Shed(draining())
        return self.carry_out(open_job, decision, candidates, now)

    def _release(self, backend: Backend, now: float) -> list[Command]:
        """A batch has ended on an engine that lets nobody join: the next one, in time or else late."""
        for hold in (self._holds.hold, self._holds.backfill):
            if not len(hold):
                continue
            count = _LOOKS * backend.batching.most if backend.batching.serial else 2 * backend.batching.most
            open_jobs = hold.first_for(backend, count, now)
            known = set(open_jobs)
            open_jobs += [one for one in hold.first_for(backend, count) if one not in known]
            batch = self._batches.choose(open_jobs, backend, now)
            if batch:
                return [self._released(open_job, backend, demand) for open_job, demand in batch]
        return []

    def _released(self, open_job: OpenJob, backend: Backend, demand: Demand) -> Command:
        foresee(backend, demand)  # others were looked at since
        if open_job.waits_in is not None:
            open_job.waits_in.remove(open_job)
        return self._attempts.dispatch(open_job, backend, demand)

    def _side_by_side(self, open_jobs: list[OpenJob], backend: Backend, now: float) -> list[Command]:
        """Each by itself, and all at once: one batch of an engine that runs one at a time; else only the first goes
        there, and each of the others wherever it would have gone."""
        if backend.batching.is_closed:
            batch = open_jobs[: backend.batching.most]
            return [self._released(one, backend, self._books.demand(one, now)) for one in batch]
        commands = [self._released(open_jobs[0], backend, self._books.demand(open_jobs[0], now))]
        for one in open_jobs[1:]:
            assert one.line is not None
            candidates = one.line.candidates
            self._holds.gathering.remove(one)
            commands += self._anew(one, candidates, now)
        return commands

    def _close_idle(self, backend: Backend, commands: list[Command], now: float) -> None:
        """A call has ended: who waits for others goes without more of them."""
        gathering = self._holds.gathering
        for open_job in gathering.first_for(backend, 4 * _LOOKS):
            line, rule = open_job.line, open_job.job.gather
            if open_job.job.window is None:
                continue  # it waits for something else
            if line is None or rule is None or not rule.adaptive or not self._windows.is_idle(open_job.job, backend):
                continue
            demand = self._books.demand(open_job, now)
            place = self._router.place(backend, line.candidates, demand, line.avoid)
            if place is not None:
                commands.append(self._go(gathering, open_job, place, demand))

    def _feed_held(self, backend: Backend, commands: list[Command], now: float) -> None:
        """Send whoever fits; those of whom it is known that they do not are passed over."""
        hold, looks, passing = self._holds.hold, 0, Passing(now)
        for open_job in hold.first_for(backend, _SEEN):
            if open_job.line is None or passing.over(open_job):  # it went with another one, or does not fit
                continue
            looks += 1
            if looks > _MOST_LOOKS or not backend.has_room(open_job.job, bulk=open_job.job.bulk or open_job.demoted):
                return
            demand = self._books.demand(open_job, now)
            place = self._router.place(backend, open_job.line.candidates, demand, open_job.line.avoid)
            if place is not None:
                commands.append(self._go(hold, open_job, place, demand))
            else:
                passing.kept_out(demand, backend.forecast)

    def _fill(self, backend: Backend, commands: list[Command], now: float) -> None:
        """Bulk, in the order of its deadlines; what would be late here is passed, however much of it waits."""
        due, hold = -inf, self._holds.backfill
        for line in hold.lines_for(backend):
            sort_out(hold, line, now)
        for _ in range(_LOOKS):
            open_jobs = hold.first_for(backend, 1, due)
            if not open_jobs or not backend.has_room(open_jobs[0].job, bulk=True):
                return
            [open_job] = open_jobs
            demand = self._books.demand(open_job, now)
            assert open_job.line is not None
            place = self._router.place(backend, open_job.line.candidates, demand, open_job.line.avoid)
            if place is not None:
                commands.append(self._go(hold, open_job, place, demand))
            elif backend.forecast.reason is Reason.DEADLINE:
                due = max(nextafter(turn_of(open_job), inf), now + in_all_s(backend, demand))
            elif backend.forecast.reason is Reason.YIELD:
                due = nextafter(turn_of(open_job), inf)
            else:
                return

    def feed_all(self, now: float) -> list[Command]:
        """Backends were opened, or time went by: send whoever fits, in order."""
        commands: list[Command] = []
        if self._followers:
            self._let_follow(commands, now)
        for hold in (self._holds.hold, self._holds.backfill):
            while sent := self._send_first(hold, now):
                commands += sent
        return commands

    def look(self, now: float) -> list[Command]:
        """Time to look again."""
        commands = self.feed_all(now)
        self.look_at = now + LOOK_S if self.somebody else inf
        return commands

    def _send_first(self, hold: Hold, now: float) -> list[Command]:
        for line in hold.lines():
            if hold is self._holds.backfill:
                sort_out(hold, line, now)
            for open_job in line.first(_LOOKS if may_be_passed(line) else 1):
                demand = self._books.demand(open_job, now)
                backend = self._router.pick(line.candidates, demand, line.avoid)
                if backend is None:
                    continue
                if backend.batching.is_closed and not backend.in_flight:
                    released = self._release(backend, now)
                    if released:
                        return released
                    foresee(backend, demand)
                return [self._go(hold, open_job, backend, demand)]
        return []

    # ---- the end of waiting

    def expire(self, open_job: OpenJob, now: float) -> list[Command]:
        """Its time is over."""
        line, hold = open_job.line, open_job.waits_in
        assert line is not None
        assert hold is not None
        candidates = line.candidates
        if hold is self._holds.gathering:
            hold.remove(open_job)
            return self._closes(open_job, candidates, now)
        in_time = open_job.job.deadline is None or now < open_job.job.deadline
        if hold is self._holds.backfill and open_job.job.done_by is not None and open_job.held_at is not None:
            # else it was its last chance to be complete in time
            in_time = now - open_job.held_at >= self._dials.bulk_wait_s
        back_s = max(line.clears_in_s(), self._decider.wait_s(candidates))
        hold.remove(open_job)
        return self.carry_out(
            open_job, self._at_the_end(open_job, candidates, hold, now, back_s, in_time=in_time), candidates, now
        )

    def _closes(self, open_job: OpenJob, candidates: Candidates, now: float) -> list[Command]:
        """The window of a job is over: it goes with whoever waits for the same, or waits as any other."""
        job, rule = open_job.job, open_job.job.gather
        if job.deadline is not None and now >= job.deadline:
            late = Shed(hold_timeout(self._decider.wait_s(candidates)), Reason.DEADLINE)
            return self.carry_out(open_job, late, candidates, now)
        demand = self._books.demand(open_job, now)
        backend = self._router.pick(candidates, demand, NOBODY)
        if backend is None:
            waits = self._decider.without_room(open_job, candidates, demand)
            if self._holds.draining and isinstance(waits, Wait):
                waits = Shed(draining())
            return self.carry_out(open_job, waits, candidates, now)
        aged = rule is not None and open_job.held_at is not None and now - open_job.held_at >= rule.max_wait_s - _HAIR_S
        if job.window is None:
            alone = rule is None or rule.adaptive  # it followed somebody
            most = 0 if rule is None or alone else rule.max_jobs - 1
            others = [] if alone else self._windows.beside(backend, most)
            return self._side_by_side([open_job, *others], backend, now)
        others = self._windows.others(open_job, backend)
        return [self._with(open_job, others, backend, Closed.AGE if aged else Closed.DEADLINE, now)]

    def _at_the_end(
        self, open_job: OpenJob, candidates: Candidates, hold: Hold, now: float, back_s: float, *, in_time: bool
    ) -> Decision:
        """`back_s`: advice on when to come back."""
        if hold is self._holds.hold and open_job.reason is not None and in_time and open_job.fault is None:
            demand = self._books.demand(open_job, now)
            backend = self._router.pick(candidates, demand, NOBODY)
            reason = demand.reason or open_job.reason
            if backend is None and not self.somebody and not open_job.fallbacks:  # late by itself, in nobody's way
                demand.ttft_left = inf
                backend = self._router.pick(candidates, demand, NOBODY)
            if backend is not None:
                return Send(backend, demand)
            return self._decider.too_late(open_job, candidates, demand, reason)
        nobody_there = not candidates.open and any(b.health.away for b in candidates.backends)
        timeout = open_job.fault or (unreachable() if nobody_there else hold_timeout(back_s))
        if open_job.started or not in_time:
            return Shed(timeout, open_job.reason if in_time else Reason.DEADLINE)
        return self._decider.lost(open_job, timeout, open_job.reason, now)

    def go_elsewhere(self, now: float) -> list[Command]:
        """Backends went away: who waits for nobody and may be served otherwise is, where there is room."""
        commands: list[Command] = []
        for open_job in self._holds.hold.open_jobs():
            line = open_job.line
            if line is None or not open_job.fallbacks or open_job.started or line.candidates.healthy:
                continue
            sent = self.elsewhere(open_job, now, cause_of_absence(line.candidates))
            if sent is not None:
                self._holds.hold.remove(open_job)
                commands.append(sent)
        return commands


def _number(open_job: OpenJob) -> int:
    return open_job.number


def may_be_passed(line: Line) -> bool:
    """Whether those behind the first may fit where it does not: when more than a permit keeps it waiting."""
    return line.head.reason is not None or bool(line.head.job.require)
