"""Jobs that wait for room: bounded in number, in bytes and in time.

Owns the order (higher priority first, then the soonest due) and the bounds. Who may go where is the candidates'
business, whether it fits the router's.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import replace
from heapq import merge
from itertools import islice
from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import MAX_RETRY_AFTER_S, Candidates
from proxy.core.jobs.open_job import OpenJob
from proxy.core.jobs.states import HOLDS, TAKEN, job_after
from proxy.core.timers import Timers
from proxy.model.limits import HoldSettings
from proxy.model.scheduling import BackfillSettings

_Place = tuple[int, float, int, OpenJob]
"""Priority, due, order of arrival (which is unique)."""


_BEHIND: Final = 1e9
"""Due after everybody else."""


class Line:
    """In order: the jobs that may go to the same backends and rather avoid the same ones."""

    __slots__ = ("avoid", "candidates", "look_at", "places", "work_s")

    def __init__(self, candidates: Candidates, avoid: frozenset[Backend]) -> None:
        self.candidates = candidates
        self.avoid = avoid
        self.places: list[_Place] = []
        self.work_s = 0.0
        """Seconds of an engine that all of it costs, where that is known."""
        self.look_at = -inf
        """When it is to be found out again who of it goes behind."""

    @property
    def head(self) -> OpenJob:
        """The first to go."""
        return self.places[0][3]

    def first(self, count: int, due: float = -inf) -> list[OpenJob]:
        """The first so many of those that are due at `due` or later."""
        return [place[3] for place in self.from_due(count, due)]

    def from_due(self, count: int, due: float) -> list[_Place]:
        """The same with their places; `due` is looked at among those of the highest priority."""
        places = self.places
        if due == -inf:
            return places[:count]
        start = bisect_left(places, (places[0][0], due, -1, places[0][3]))
        return places[start : start + count]

    def clears_in_s(self) -> float:
        """Until the bulk that waits here has gone, as fast as such gets away lately; 0 where nobody knows."""
        rate = self.candidates.drain.rate
        return min(MAX_RETRY_AFTER_S, self.work_s / rate) if 0.0 < rate < inf else 0.0

    def takes(self, backend: Backend) -> bool:
        """Whether a job of this line may go to `backend`, a member of its candidates."""
        if not self.candidates.includes(backend):
            return False
        return backend not in self.avoid or self.avoid.issuperset(self.candidates.open)


class Peers:
    """Those that wait anywhere, by the window that they are of: who may go in one call."""

    __slots__ = ("_by_window",)

    def __init__(self) -> None:
        self._by_window: dict[bytes, dict[int, OpenJob]] = {}

    def of(self, window: bytes) -> Iterable[OpenJob]:
        """In the order in which they began to wait."""
        return self._by_window.get(window, _NOBODY).values()

    def add(self, window: bytes, open_job: OpenJob) -> None:
        """It waits."""
        self._by_window.setdefault(window, {})[open_job.number] = open_job

    def remove(self, window: bytes, open_job: OpenJob) -> None:
        """It does no more."""
        waiting = self._by_window[window]
        del waiting[open_job.number]
        if not waiting:
            del self._by_window[window]


class Hold:
    """All held jobs."""

    def __init__(self, settings: HoldSettings, peers: Peers) -> None:
        self._settings = settings
        self._peers = peers
        self._lines: dict[Candidates, dict[frozenset[Backend], Line]] = {}
        """Lines with at least one job."""
        self._open_jobs: dict[int, OpenJob] = {}
        self.bytes = 0
        self.filled_at = 0.0
        """When somebody began to wait where nobody did."""
        self.timers = Timers()
        """Ends of holds, by job id."""

    def __len__(self) -> int:
        return len(self._open_jobs)

    @property
    def max_wait_s(self) -> float:
        """Longest hold."""
        return self._settings.max_wait

    def starts(self, candidates: Candidates) -> bool:
        """Whether these are waited for although none is there: somebody starts one."""
        return self._settings.starting > 0.0 and candidates.are_away

    def longest_s(self, candidates: Candidates) -> float:
        """Longest hold of who waits for these."""
        settings = self._settings
        return max(settings.max_wait, settings.starting) if self.starts(candidates) else settings.max_wait

    def configure(self, settings: HoldSettings) -> None:
        """Other bounds: nobody is sent away for them, and nobody waits for longer than they allow, those apart whose
        own promise bounds it."""
        self._settings = settings
        for open_job in self._open_jobs.values():
            if open_job.by_promise:
                continue
            assert open_job.held_at is not None
            assert open_job.line is not None
            until = open_job.held_at + self.longest_s(open_job.line.candidates)
            if until < self.timers.at(open_job.job.id):
                self.timers.set(open_job.job.id, until)

    def has_room(self, open_job: OpenJob, in_flight: int) -> bool:
        """Whether one more job keeps within the bounds."""
        return len(self._open_jobs) < self._most(in_flight) and self.has_bytes(open_job)

    def fill(self, in_flight: int) -> float:
        """How full it is, of jobs or of bytes, whichever is nearer to its bound; 1: no room. 0 where nobody waits,
        even if nobody may."""
        return max(_share(len(self._open_jobs), self._most(in_flight)), _share(self.bytes, self._settings.bytes))

    def _most(self, in_flight: int) -> int:
        """Jobs that it may have."""
        settings = self._settings
        return max(settings.min_jobs, int(settings.per_in_flight * in_flight))

    def has_bytes(self, open_job: OpenJob) -> bool:
        """Whether its body keeps within the bound of all of them."""
        return self.bytes + open_job.job.body_bytes <= self._settings.bytes

    def add(
        self,
        open_job: OpenJob,
        candidates: Candidates,
        avoid: frozenset[Backend],
        now: float,
        most_s: float = inf,
    ) -> None:
        """Hold a job, for as long as is allowed and of use: at most `most_s` seconds, and, where it does not wait by
        its promise, as long as anybody may."""
        if not self._open_jobs:
            self.filled_at = now
        until = now + (most_s if open_job.by_promise else min(self.longest_s(candidates), most_s))
        deadline = open_job.job.deadline
        self.timers.set(open_job.job.id, until if deadline is None else min(until, deadline))
        open_job.state = job_after(open_job.state, HOLDS)
        open_job.waits_in = self
        open_job.held_at = now
        self._open_jobs[open_job.job.id] = open_job
        self.bytes += open_job.job.body_bytes
        if open_job.job.window is not None:
            self._peers.add(open_job.job.window, open_job)
        self._line_up(open_job, candidates, avoid)

    def remove(self, open_job: OpenJob) -> None:
        """It goes, is refused or has left."""
        self._leave_line(open_job)
        open_job.state = job_after(open_job.state, TAKEN)
        open_job.waits_in = None
        del self._open_jobs[open_job.job.id]
        self.timers.clear(open_job.job.id)
        self.bytes -= open_job.job.body_bytes
        assert self.bytes >= 0
        if open_job.job.window is not None:
            self._peers.remove(open_job.job.window, open_job)

    def move(self, open_job: OpenJob, candidates: Candidates) -> None:
        """Its model is served by other backends now; its time goes on."""
        line = open_job.line
        assert line is not None
        self._leave_line(open_job)
        self._line_up(open_job, candidates, line.avoid)

    def put_behind(self, open_job: OpenJob, *, behind: bool) -> None:
        """It goes behind all others of its priority, the cheapest first, or in its turn again."""
        turn = _BEHIND + open_job.price_s if behind else 0.0
        line = open_job.line
        if line is None or turn == open_job.behind:
            return
        del line.places[bisect_left(line.places, _place(open_job))]
        open_job.behind = turn
        insort(line.places, _place(open_job))

    def lines_for(self, backend: Backend) -> list[Line]:
        """Every line that is not empty whose jobs may go to `backend`."""
        return [
            line
            for candidates in backend.memberships
            for line in self._lines.get(candidates, _NONE).values()
            if line.takes(backend)
        ]

    def due(self, now: float) -> list[OpenJob]:
        """Those whose time is over; still held."""
        return [self._open_jobs[job_id] for job_id in self.timers.due(now)]

    def open_jobs(self) -> list[OpenJob]:
        """All, oldest first."""
        return sorted(self._open_jobs.values(), key=_number)

    def lines(self) -> list[Line]:
        """Every line that is not empty, the one whose head goes first at the front."""
        lines = (line for by_avoided in self._lines.values() for line in by_avoided.values())
        return sorted(lines, key=_head_place)

    def first_for(self, backend: Backend, count: int, due: float = -inf) -> list[OpenJob]:
        """The first so many that may go to `backend` and are due at `due` or later."""
        places = [line.from_due(count, due) for line in self.lines_for(backend)]
        if len(places) > 1:
            return [place[3] for place in islice(merge(*places), count)]
        return [place[3] for place in places[0]] if places else []

    def ahead(self, candidates: Candidates) -> int:
        """Jobs held for the same backends."""
        return sum(len(line.places) for line in self._lines.get(candidates, _NONE).values())

    def _line_up(self, open_job: OpenJob, candidates: Candidates, avoid: frozenset[Backend]) -> None:
        lines = self._lines.setdefault(candidates, {})
        line = lines.get(avoid)
        if line is None:
            line = lines[avoid] = Line(candidates, avoid)
        insort(line.places, _place(open_job))
        line.work_s += open_job.cost_s
        open_job.line = line

    def _leave_line(self, open_job: OpenJob) -> None:
        line = open_job.line
        assert line is not None
        open_job.line = None
        del line.places[bisect_left(line.places, _place(open_job))]
        line.work_s = line.work_s - open_job.cost_s if line.places else 0.0
        if not line.places:
            lines = self._lines[line.candidates]
            del lines[line.avoid]
            if not lines:
                del self._lines[line.candidates]


class Holds:
    """All kinds of waiting."""

    __slots__ = ("backfill", "draining", "gathering", "hold", "peers")

    def __init__(self, hold: HoldSettings, backfill: BackfillSettings) -> None:
        self.peers = Peers()
        self.hold = Hold(hold, self.peers)
        """Those that may still be in time, or wait for a permit; short."""
        self.backfill = Hold(_bounds(backfill), self.peers)
        """Bulk, and what promises nothing about time; long."""
        self.gathering = Hold(replace(hold, min_jobs=max(hold.min_jobs, _MOST_GATHERING)), self.peers)
        """Those that could go and wait for others to go with them; a moment."""
        self.draining = False
        """Nobody may wait any more."""

    def configure(self, hold: HoldSettings, backfill: BackfillSettings) -> None:
        """Other bounds."""
        self.hold.configure(hold)
        self.gathering.configure(hold)
        self.backfill.configure(_bounds(backfill))

    def __len__(self) -> int:
        return len(self.hold) + len(self.backfill) + len(self.gathering)

    @property
    def bytes(self) -> int:
        """Of the bodies of all of them."""
        return self.hold.bytes + self.backfill.bytes + self.gathering.bytes

    def open_jobs(self) -> list[OpenJob]:
        """All, those in the hold first."""
        return [*self.hold.open_jobs(), *self.backfill.open_jobs(), *self.gathering.open_jobs()]


_MOST_GATHERING: Final = 4096
"""Jobs that wait for others, all windows together; what comes then goes at once."""
_NOBODY: dict[int, OpenJob] = {}
_NONE: dict[frozenset[Backend], Line] = {}


def turn_of(open_job: OpenJob) -> float:
    """By when it is due, or, behind the others, a time that never comes."""
    return open_job.behind or open_job.due


def _place(open_job: OpenJob) -> _Place:
    return -open_job.job.priority, turn_of(open_job), open_job.number, open_job


def _head_place(line: Line) -> _Place:
    return line.places[0]


def _number(open_job: OpenJob) -> int:
    return open_job.number


def _share(used: int, most: int) -> float:
    return used / most if most else float(used > 0)


def _bounds(backfill: BackfillSettings) -> HoldSettings:
    return HoldSettings(min_jobs=backfill.jobs, per_in_flight=0.0, bytes=backfill.bytes, max_wait=backfill.max_wait)
