"""Windows: jobs that wait a moment, to go as one call with others that come meanwhile; who goes with whom, and when.

    a job comes ──> a place is free, or waiting does not pay ──> it goes, with whoever waits (`idle`)
                ──> all places are taken ──> it waits ──> full · tokens · age · deadline · a call ended (`idle`)

Owns that choice. Where jobs wait, how long at most and in which order is the hold's business; what a call costs is
learned in `calls`. Changes nothing: `Waiting` does what was decided.
"""

from itertools import islice
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.demand import Demand
from proxy.core.followers import Followers
from proxy.core.jobs.decision import Decision, Gather, Send
from proxy.core.jobs.hold import Holds
from proxy.core.jobs.open_job import OpenJob
from proxy.core.learn.calls import IN_FLIGHT, kind_of
from proxy.core.learn.decaying import Decaying
from proxy.model.request import Job
from proxy.model.windows import Closed, Window

_RATE_S: Final = 2.0
"""Memory of how many jobs of a kind come in a second."""
_LOOKS: Final = 4
"""Of those that wait, so many times as many as one call may hold are looked at."""
_MOST_KINDS: Final = 1024
_BYTES_PER_TOKEN: Final = 4
"""Where nobody has estimated the tokens."""
_SHARE: Final = 0.25
"""Of the time that a job has to spare may be spent on waiting for others."""
_LEAST_WAIT_S: Final = 1e-4
"""A shorter wait is none: a timer is no finer."""


class Windows:
    """One per scheduler."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self.followers = Followers()
        self._arrivals: dict[str, Decaying] = {}

    def came(self, job: Job, now: float) -> None:
        """A job that may go with others."""
        kind = kind_of(job)
        known = self._arrivals.get(kind)
        if known is None:
            if len(self._arrivals) >= _MOST_KINDS:
                del self._arrivals[next(iter(self._arrivals))]
            known = self._arrivals[kind] = Decaying(_RATE_S)
        known.add(1.0 / _RATE_S, now)

    def closed_by(self, open_job: OpenJob, others: list[OpenJob], backend: Backend, demand: Demand) -> Closed | None:
        """Why a job that could go to `backend` goes now, with those `others`; None: it rather waits for more."""
        job, rule = open_job.job, open_job.job.gather
        if rule is None:
            return Closed.IDLE
        if len(others) + 1 >= rule.max_jobs or _inputs(job, others) >= most_of(open_job, backend):
            return Closed.FULL
        if _tokens(job) + sum([_tokens(one.job) for one in others]) >= rule.max_tokens:
            return Closed.TOKENS
        if job.priority > 0 or min(rule.max_wait_s, spare_s(backend, demand)) <= _LEAST_WAIT_S:
            return Closed.DEADLINE
        if rule.adaptive and (self.is_idle(job, backend) or not self._pays(job, rule, backend, demand.now)):
            return Closed.IDLE
        return None if self._holds.gathering.has_room(open_job, 0) else Closed.FULL

    def for_batch(
        self, open_job: OpenJob, rule: Window, candidates: Candidates, chosen: Backend | None, demand: Demand
    ) -> Decision | None:
        """A fixed window of what cannot be merged: before an engine that runs one batch at a time, whether it is at one
        or not, and before any other that has room; None: it is over already."""
        engine = chosen if chosen is not None else next((b for b in candidates.open if b.batching.is_closed), None)
        if engine is None:
            return None
        most = min(rule.max_jobs, engine.batching.most) if engine.batching.is_closed else rule.max_jobs
        others = self.beside(engine, most - 1)
        wait_s = min(rule.max_wait_s, _SHARE * min(demand.ttft_left, demand.rest_s))
        if wait_s > _LEAST_WAIT_S and len(others) + 1 < most and self._holds.gathering.has_room(open_job, 0):
            return Gather(wait_s, others)
        return None if chosen is None else Send(chosen, demand, others=others, closed=Closed.FULL)

    def beside(self, backend: Backend, most: int) -> list[OpenJob]:
        """Those that wait in a window and could go to `backend`, each by itself."""
        waiting = self._holds.gathering.first_for(backend, _LOOKS * most)
        return [one for one in waiting if one.job.window is None and one.follows is None][:most]

    def is_idle(self, job: Job, backend: Backend) -> bool:
        """Whether a backend has few enough calls of the kind to be sent another one."""
        return backend.calls.of(kind_of(job)).out < IN_FLIGHT

    def others(self, open_job: OpenJob, backend: Backend) -> list[OpenJob]:
        """Those that wait and go with a job to `backend`: as many as fit, in the order in which they came."""
        job, rule = open_job.job, open_job.job.gather
        waiting = self._holds.peers.of(job.window) if job.window is not None else ()
        if rule is None or not waiting or not is_mergeable(open_job):
            return []
        items, tokens, most = job.items, _tokens(job), most_of(open_job, backend)
        found: list[OpenJob] = []
        for other in islice(waiting, _LOOKS * rule.max_jobs):
            if other is open_job or not _go_together(open_job, other) or backend in other.tried:
                continue
            if len(found) + 2 > rule.max_jobs:
                break
            if items + other.job.items <= most and tokens + _tokens(other.job) <= rule.max_tokens:
                items += other.job.items
                tokens += _tokens(other.job)
                found.append(other)
        return found

    def _pays(self, job: Job, rule: Window, backend: Backend, now: float) -> bool:
        """Whether what one call instead of several saves is more than what all of them wait for it."""
        known = backend.calls.of(kind_of(job))
        fixed_s = known.fixed_s()
        if fixed_s is None:
            return True  # only waiting tells
        wait_s = min(rule.max_wait_s, known.seconds / IN_FLIGHT)
        arrivals = self._arrivals.get(kind_of(job))
        rate = 0.0 if arrivals is None else arrivals.at(now)
        jobs = min(1.0 + rate * wait_s, float(rule.max_jobs))
        return (jobs - 1.0) * fixed_s > jobs * wait_s / 2.0


def spare_s(backend: Backend, demand: Demand) -> float:
    """Seconds that a job may wait for others, after `foresee`: a part of what it has left when it goes now, since a
    call with others in it takes longer, too."""
    out, deadline = backend.forecast, demand.job.deadline
    left_s = min(demand.ttft_left - demand.ttft_margin * out.ttft, demand.rest_s - out.ttft)
    if deadline is not None:
        left_s = min(left_s, deadline - demand.now - out.ttft)
    return _SHARE * left_s


def is_mergeable(open_job: OpenJob) -> bool:
    """Whether it may still go with others."""
    return open_job.job.window is not None and not open_job.alone and not open_job.started


def most_of(open_job: OpenJob, backend: Backend) -> int:
    """Inputs in one call to `backend` at most."""
    job = open_job.job
    return 1 if job.endpoint in backend.traits.no_arrays else backend.calls.most(kind_of(job))


def _inputs(job: Job, others: list[OpenJob]) -> int:
    return job.items + sum([one.job.items for one in others])


def _tokens(job: Job) -> int:
    return job.prompt_tokens or job.body_bytes // _BYTES_PER_TOKEN


def _go_together(one: OpenJob, other: OpenJob) -> bool:
    """Those of one window may, unless one waits as bulk, is served otherwise or goes alone."""
    return (
        is_mergeable(other) and one.demoted == other.demoted and one.job.bulk == other.job.bulk and one.way is other.way
    )
