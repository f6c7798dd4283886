"""Who goes together to an engine that runs one batch at a time, and who goes first where it answers one after another.

    static   the most urgent that are in time, as many as keep what each of them was promised: a batch is computed as if
             all its prompts were as long as the longest, and lasts as long as its longest answer
    serial   the shortest by what is predicted; who waits is taken for shorter by and by

Owns that choice. That an engine is of such a kind is learned in `batching`.
"""

from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.learning import Learning
from proxy.core.jobs.open_job import OpenJob
from proxy.core.route.router import Router

_UNLIKE: Final = 4.0
"""Whose answer or prompt is so many times as long as that of the first goes with others of its kind."""
_STARTS: Final = 16
"""Of the most urgent so many are tried as the first of a batch."""
_LATER: Final = 0.5
"""What one that can wait for the next batch counts: that has other ones to save, too, and small batches waste the
engine."""
_AGEING: Final = 0.5
"""Seconds by which a job counts as shorter for each that it has waited: none is passed by for ever."""


class _Asked:
    """A job as it looks to the engine now."""

    __slots__ = ("cost", "demand", "left_s", "open_job")

    def __init__(self, open_job: OpenJob, demand: Demand, cost: float) -> None:
        self.open_job = open_job
        self.demand = demand
        self.cost = cost
        """Seconds of its prefill."""
        self.left_s = demand.ttft_left / demand.ttft_margin
        """Until its first token is due."""

    @property
    def is_late(self) -> bool:
        """Whatever goes with it."""
        return self.left_s < self.cost


class _Batch:
    """As it is made up."""

    __slots__ = ("_answer", "_backend", "_cost", "_kv", "_left_s", "_longest", "_tpot_limit", "members")

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.members: list[_Asked] = []
        self._longest = self._kv = 0.0
        """Seconds of its longest prefill, and tokens."""
        self._left_s = self._tpot_limit = inf
        self._cost = self._answer = 0.0
        """Of the first."""

    def takes(self, one: _Asked) -> bool:
        """One more, if it keeps nobody's promise from being kept and is not much longer than the first."""
        backend, demand, members = self._backend, one.demand, self.members
        longest, left_s = max(self._longest, one.cost), min(self._left_s, inf if one.is_late else one.left_s)
        tpot_limit, kv = self._tpot_limit, self._kv + demand.prompt + demand.answer
        if demand.tpot_limit is not None:
            tpot_limit = min(tpot_limit, demand.tpot_limit / demand.tpot_margin)
        if not members:
            self._cost, self._answer = one.cost, demand.answer
        elif (
            len(members) >= backend.batching.most
            or (len(members) + 1) * longest > left_s
            or self._step_s(len(members) + 1, kv) > tpot_limit
            or demand.answer > _UNLIKE * self._answer
            or one.cost > _UNLIKE * self._cost
            or (backend.kv_tokens is not None and kv > demand.kv_share * backend.kv_tokens)
        ):
            return False
        self._longest, self._left_s, self._tpot_limit, self._kv = longest, left_s, tpot_limit, kv
        members.append(one)
        return True

    def seconds(self) -> float:
        """Until its longest answer is over."""
        count = len(self.members)
        answer = max([one.demand.answer_high for one in self.members])
        return count * self._longest + answer * self._step_s(count, self._kv)

    def _step_s(self, count: int, kv: float) -> float:
        model = self._backend.model
        return model.step_s(float(count), kv) * model.slow_decode


class Batches:
    """One per scheduler."""

    def __init__(self, learning: Learning, router: Router) -> None:
        self._books = learning
        self._router = router

    def choose(self, open_jobs: list[OpenJob], backend: Backend, now: float) -> list[tuple[OpenJob, Demand]]:
        """Those of `open_jobs`, the most urgent first, that go to an idle engine now, each with its question."""
        asked: list[_Asked] = []
        for open_job in open_jobs:
            one = self._asked(open_job, backend, now)
            if one is not None:
                asked.append(one)
        if not asked:
            return []
        if backend.batching.serial:
            return [_shortest(asked, backend)]
        return [(one.open_job, one.demand) for one in self._most_in_time(asked, backend)]

    def _most_in_time(self, asked: list[_Asked], backend: Backend) -> list[_Asked]:
        """The batch with which the most are in time, those included that can still wait for its end. To save the very
        last chance of one may cost the others theirs."""
        late = [one for one in asked if one.is_late]
        in_time = [one for one in asked if not one.is_late]
        best, saved = _filled(in_time, backend), 0.0
        for start in range(min(_STARTS, len(in_time))):
            batch = _filled(in_time[start:], backend)
            ends_s = batch.seconds()
            members = set(batch.members)
            later = sum([one.left_s > ends_s + one.cost for one in in_time if one not in members])
            if len(members) + _LATER * later > saved:
                best, saved = batch, len(members) + _LATER * later
        if not in_time or not self._router.enforces(backend):  # else they are refused before they come so far
            for one in late:
                best.takes(one)
        return best.members

    def _asked(self, open_job: OpenJob, backend: Backend, now: float) -> _Asked | None:
        """None: it may not go there."""
        line = open_job.line
        if line is None or open_job.job.gather is None:
            return None
        demand = self._books.demand(open_job, now)
        if not self._router.fits(backend, line.candidates, demand, line.avoid):
            return None
        return _Asked(open_job, demand, backend.forecast.cost)


def _filled(asked: list[_Asked], backend: Backend) -> _Batch:
    batch = _Batch(backend)
    for one in asked:
        batch.takes(one)
    return batch


def _shortest(asked: list[_Asked], backend: Backend) -> tuple[OpenJob, Demand]:
    """Of those of the highest priority that are in time, or of all of them."""
    most = asked[0].open_job.job.priority
    first = [one for one in asked if one.open_job.job.priority == most]
    first = [one for one in first if not one.is_late] or first
    best, least_s = first[0], inf
    for one in first:
        demand = one.demand
        seconds = one.cost + demand.answer * backend.model.step_s(1.0, demand.prompt) - _AGEING * demand.waited
        if seconds < least_s:
            best, least_s = one, seconds
    return best.open_job, best.demand
