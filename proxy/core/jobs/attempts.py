"""Open jobs and their permits: what is out, where, and how it ended.

Owns the counts and the one place where a permit is taken and given back. Decides nothing.
"""

from collections.abc import Sequence

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.fleet.health import HealthState
from proxy.core.jobs.attempt import Attempt
from proxy.core.jobs.backend_quotas import BackendQuotas
from proxy.core.jobs.hedge_timers import HedgeTimers
from proxy.core.jobs.learning import Learning
from proxy.core.jobs.open_job import OpenJob
from proxy.core.jobs.states import ANSWERING, BEGAN, CLOSED, END, RETURNED, SENT, attempt_after, job_after
from proxy.core.learn.calls import kind_of
from proxy.core.learn.entry import Entry
from proxy.core.refusals import unreachable
from proxy.core.tally import Tally
from proxy.core.tenancy.quotas import Reservation
from proxy.model.commands import Abort, Dispatch, Finished, Part, Reason, Refuse
from proxy.model.faults import NOT_REACHED, Fault, Kind
from proxy.model.request import Job
from proxy.model.windows import Gathered


class Attempts:
    """Every open job is either held or has a permit, or two."""

    def __init__(self, fleet: Fleet, learning: Learning, hedge_timers: HedgeTimers, tally: Tally) -> None:
        self._tally = tally
        self._fleet = fleet
        self._books = learning
        self._lateness = hedge_timers
        self.quotas = BackendQuotas(fleet)
        self.open: dict[int, OpenJob] = {}
        """By job."""
        self.out: dict[int, Attempt] = {}
        """By its own id: what is not in here is over, and nothing said of it counts."""
        self._alike: dict[tuple[str, bytes | None], Attempt] = {}
        """Attempts whose answer is also that of whoever of the tenant asks the same, by the question: of those out."""
        self._last_id = 0
        self.in_flight = 0
        self.hedging = 0
        """Jobs with two attempts out."""

    def begin(self, open_job: OpenJob) -> None:
        """A new job."""
        self.open[open_job.job.id] = open_job

    def dispatch(self, open_job: OpenJob, backend: Backend, demand: Demand) -> Dispatch:
        """Take the permit; `backend` was looked at for this very `demand`."""
        attempt = self._send(open_job, backend, self._books.open(open_job, backend, demand))
        if backend.quota is not None:
            self.quotas.sent(attempt, backend.quota, demand)
        self.in_flight += 1
        if backend.health.state is not HealthState.HEALTHY:
            self._fleet.trial_began(backend)
        if (
            open_job.job.hedge is not None and not open_job.started
        ):  # who goes on with an answer is the only one who can
            self._lateness.watch(open_job, demand.now)
        if open_job.job.window is not None:
            attempt.inputs = open_job.job.items
            backend.calls.of(kind_of(open_job.job)).out += 1
        if open_job.job.same is not None and not open_job.started:
            self._alike.setdefault(_question(open_job.job), attempt)
        open_job.started = False
        held_s = 0.0 if open_job.held_at is None else demand.now - open_job.held_at
        open_job.held_at = None
        command = Dispatch((open_job.job.id,), backend.name, attempt.id, open_job.sent, held_s=held_s, way=open_job.way)
        command.in_flight, command.ttft_s = backend.in_flight, attempt.entry.ttft
        return command

    def adopt(self, open_job: OpenJob, backend: Backend, demand: Demand) -> None:
        """Take the permit of what is out already, even beyond the limit."""
        self._send(open_job, backend, self._books.open(open_job, backend, demand), beyond=True)
        self.in_flight += 1

    def dispatch_all(
        self, open_jobs: Sequence[OpenJob], backend: Backend, demand: Demand, gathered: Gathered | None = None
    ) -> Dispatch:
        """The same for several jobs in one call: one permit; `demand` is that of all of them."""
        leader, others = open_jobs[0], tuple(open_jobs[1:])
        command = self.dispatch(leader, backend, demand)
        command.gathered = gathered
        if others:
            attempt = leader.attempts[0]
            self._is_shared(attempt)
            self._alike.pop(_question(leader.job), None)
            attempt.others = others
            for other in others:
                attempt.inputs += other.job.items
                self._rides(other, attempt)
            command.jobs = tuple([one.job.id for one in open_jobs])
            self._books.share(open_jobs, backend, demand)
        return command

    def tell_again(self, backends: Sequence[Backend], now: float) -> None:
        """What is out on these is told to what learns anew there how many they take."""
        for attempt in self.out.values():
            if attempt.backend in backends:
                concurrency = attempt.backend.concurrency
                concurrency.sent(attempt.entry, now)
                if attempt.entry.began:
                    concurrency.began(attempt.entry, now)

    def alike(self, job: Job) -> Attempt | None:
        """An attempt that is out for the same question, and whose answer is anybody's of this tenant."""
        return self._alike.get(_question(job))

    def join(self, open_job: OpenJob, attempt: Attempt, now: float) -> Dispatch:
        """It gets the answer of an attempt that is out."""
        held_s = 0.0 if open_job.held_at is None else now - open_job.held_at
        self._is_shared(attempt)
        attempt.others += (open_job,)
        self._rides(open_job, attempt)
        open_job.started = attempt.state == ANSWERING
        self._tally.joined += 1
        way, backend = attempt.open_job.way, attempt.backend
        command = Dispatch((open_job.job.id,), backend.name, attempt.id, open_job.sent, held_s=held_s, way=way)
        command.in_flight, command.ttft_s = backend.in_flight, attempt.entry.ttft
        return command

    def gets_off(self, open_job: OpenJob, attempt: Attempt) -> bool:
        """One of several jobs is out of an attempt, which goes on for the others; False: it has no others."""
        others = attempt.others
        if not others:
            return False
        if open_job is attempt.open_job:
            attempt.open_job, attempt.others = others[0], others[1:]
        else:
            attempt.others = tuple([one for one in others if one is not open_job])
        self._returns(open_job, attempt)
        return True

    def hedge(self, open_job: OpenJob, backend: Backend, demand: Demand) -> Dispatch:
        """Take a second permit beside the first; `backend` was looked at for this very `demand`."""
        assert len(open_job.attempts) == 1
        attempt = self._send(open_job, backend, self._books.open_beside(open_job, backend, demand))
        if backend.quota is not None:
            self.quotas.sent(attempt, backend.quota, demand)
        self.hedging += 1
        self._tally.hedges += 1
        command = Dispatch((open_job.job.id,), backend.name, attempt.id, open_job.sent, hedge=True, way=open_job.way)
        command.in_flight, command.ttft_s = backend.in_flight, attempt.entry.ttft
        return command

    def began(self, attempt: Attempt, now: float) -> Attempt | None:
        """It has its first byte. The attempt beside it, if there was one, has lost, and its permit comes back."""
        attempt.state = attempt_after(attempt.state, BEGAN)
        attempt.entry.began = True
        attempts = attempt.open_job.attempts
        if len(attempts) < 2:
            return None
        loser = attempts[0]
        if loser is attempt:
            loser = attempts[1]
        else:
            self._tally.hedges_won += 1
        self._tally.hedge_tokens += loser.entry.fresh
        self.lost(loser, now)
        return loser

    def served(self, attempt: Attempt, report: Finished, now: float) -> None:
        """Answered to the last byte: its jobs are over."""
        open_job, backend, entry = attempt.open_job, attempt.backend, attempt.entry
        self._give_back(attempt)
        if attempt.spending is not None:
            self.quotas.served(attempt, report, now)
        self._close(open_job)
        self._tally.finished += 1
        if attempt.others:
            self._served_others(attempt, report, now)
        elif open_job.reserved is not None:
            _settle(open_job.reserved, report.ok, report.prompt_tokens, report.output_tokens, now)
        if attempt.inputs and report.ok:
            kind = kind_of(open_job.job)
            if report.calls == 1:
                backend.calls.of(kind).learn(attempt.inputs, now - entry.dispatched)
                backend.calls.caps.took(kind, attempt.inputs)
            elif report.refused:
                backend.calls.caps.refused(kind, report.refused)
        self._books.finished(entry, backend, report, now)
        backend.took(now - entry.dispatched, None if entry.first_at is None else now - entry.first_at)

    def lost(self, attempt: Attempt, now: float, fault: Fault | None = None) -> None:
        """It ended otherwise; the job is still open, perhaps with another attempt, or its client left."""
        self._give_back(attempt)
        if attempt.spending is not None:
            self.quotas.lost(attempt, fault, now)
        self._books.lost(attempt.entry, attempt.backend, now)

    def preempt(self, open_job: OpenJob, now: float) -> Abort:
        """Take the permit away; the attempt does not count."""
        (attempt,) = open_job.attempts
        backend = attempt.backend
        self._give_back(attempt)
        if attempt.spending is not None:
            self.quotas.lost(attempt, None, now)
        self._books.withdrawn(attempt.entry, backend, now)
        backend.concurrency.left(attempt.entry, now)
        self._fleet.withdrawn(backend, attempt.era)
        open_job.sent -= 1
        self._tally.preempted += 1
        return Abort((open_job.job.id,), attempt.id, backend.name)

    def refuse(self, open_job: OpenJob, fault: Fault, reason: Reason | None = None) -> Refuse:
        """The job is over. Who was not reached did not fail: the client may come back."""
        self._close(open_job)
        self._tally.refused += 1
        _free_quota(open_job)
        if reason is not None:
            refusals = self._tally.refusals
            refusals[reason] = refusals.get(reason, 0) + 1
        if fault.kind in NOT_REACHED and fault.kind is not Kind.TLS:
            fault = unreachable(fault.message)
        return Refuse(open_job.job.id, fault, reason)

    def leave(self, open_job: OpenJob) -> None:
        """The client left; what is out has to be given back by the caller."""
        self._close(open_job)
        self._tally.cancelled += 1
        _free_quota(open_job, out=bool(open_job.attempts))

    def _send(self, open_job: OpenJob, backend: Backend, entry: Entry, *, beyond: bool = False) -> Attempt:
        if open_job.job.is_free:
            backend.readers += 1
        else:
            assert beyond or backend.in_flight < backend.limit
            backend.in_flight += 1
        self._last_id += 1
        attempt = self.out[self._last_id] = Attempt(self._last_id, open_job, backend, entry)
        open_job.attempts.append(attempt)
        open_job.sent += 1
        open_job.state = job_after(open_job.state, SENT)
        return attempt

    def _served_others(self, attempt: Attempt, report: Finished, now: float) -> None:
        """Each by its own tokens; who shared the answer to the same question has used none."""
        for other in attempt.others:
            self._close(other)
            self._tally.finished += 1
        parts = report.parts or (
            Part(attempt.open_job.job.id, report.prompt_tokens, report.output_tokens),
            *[Part(other.job.id, 0, 0) for other in attempt.others],
        )
        by_id = {part.job_id: part for part in parts}
        for open_job in attempt.open_jobs:
            part = by_id.get(open_job.job.id, Part(open_job.job.id))
            if report.parts and report.ok:
                self._books.lengths.learn(open_job.job, part.prompt_tokens, part.output_tokens)
            if open_job.reserved is not None:
                _settle(open_job.reserved, report.ok, part.prompt_tokens, part.output_tokens, now)

    def _is_shared(self, attempt: Attempt) -> None:
        """From now on it is for several: nobody asks a second backend for it, nobody sends it back."""
        attempt.entry.shared = True
        self._lateness.forget(attempt.open_job)

    def _rides(self, open_job: OpenJob, attempt: Attempt) -> None:
        """It is out with an attempt that has its permit."""
        open_job.attempts.append(attempt)
        open_job.sent += 1
        open_job.state = job_after(open_job.state, SENT)
        open_job.started = False
        open_job.held_at = None
        self.in_flight += 1

    def _give_back(self, attempt: Attempt) -> None:
        """The permit."""
        backend = attempt.backend
        attempt.state = attempt_after(attempt.state, END)
        del self.out[attempt.id]
        if attempt.open_job.job.is_free:
            backend.readers -= 1
        else:
            backend.in_flight -= 1
            assert backend.in_flight >= 0
        if attempt.inputs:
            backend.calls.of(kind_of(attempt.open_job.job)).out -= 1
        if attempt.open_job.job.same is not None:
            question = _question(attempt.open_job.job)
            if self._alike.get(question) is attempt:
                del self._alike[question]
        self._returns(attempt.open_job, attempt)
        for other in attempt.others:
            self._returns(other, attempt)

    def _returns(self, open_job: OpenJob, attempt: Attempt) -> None:
        """It is out with this attempt no more."""
        open_job.attempts.remove(attempt)
        if open_job.attempts:
            self.hedging -= 1
            return
        open_job.state = job_after(open_job.state, RETURNED)
        self._lateness.forget(open_job)
        self.in_flight -= 1
        assert self.in_flight >= 0

    def _close(self, open_job: OpenJob) -> None:
        open_job.state = job_after(open_job.state, CLOSED)
        del self.open[open_job.job.id]


def _free_quota(open_job: OpenJob, *, out: bool = False) -> None:
    """All of it, unless an answer had begun, or a client left while an engine was at it (`out`): then the prompt, and
    what of the answer was counted, is used."""
    if open_job.reserved is not None:
        if open_job.started or out:
            metered = open_job.job.metered
            open_job.reserved.cut(None if metered is None else float(metered))
        else:
            open_job.reserved.unused()


def _settle(reserved: Reservation, ok: bool, prompt: int | None, output: int | None, now: float) -> None:
    """By the usage that the engine told, if it did. An answer that was an error used none."""
    if not ok:
        reserved.used(0.0, 0.0, now)
    else:
        reserved.used(None if prompt is None else float(prompt), None if output is None else float(output), now)


def _question(job: Job) -> tuple[str, bytes | None]:
    return job.tenant, job.same
