"""Who of the bulk that waits goes behind: the dearest of those that cannot all be complete in time."""

import random

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.jobs.hold import Hold, Line, Peers
from proxy.core.jobs.open_job import NOBODY, OpenJob
from proxy.core.jobs.triage import sort_out
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings, HoldSettings
from proxy.model.request import Job

NOW = 100.0


class Waiting:
    """One line of bulk of which so many seconds of work get away by the second."""

    def __init__(self, rate: float) -> None:
        self.backend = Backend(BackendSpec("a"), 0, HealthSettings())
        self.candidates = Candidates([self.backend])
        self.backend.memberships = [self.candidates]
        self.hold = Hold(HoldSettings(), Peers())
        now = NOW - 20.0
        while now < NOW:
            self.candidates.drain.looks(now)
            self.candidates.drain.went(rate * 0.25)
            now += 0.25

    def add(
        self, number: int, work_s: float, left_s: float | None, *, tokens: float = 100.0, priority: int = 0
    ) -> None:
        done_by = None if left_s is None else NOW + left_s
        open_job = OpenJob(Job(id=number, model="m", bulk=True, done_by=done_by, priority=priority), number, NOW)
        open_job.due = NOW + 30.0 if done_by is None else done_by
        open_job.cost_s, open_job.price_s = work_s, work_s / tokens
        self.hold.add(open_job, self.candidates, NOBODY, NOW)

    @property
    def line(self) -> Line:
        return self.hold.lines()[0]

    def order(self, at: float = NOW) -> list[int]:
        sort_out(self.hold, self.line, at)
        return [o.number for o in self.hold.first_for(self.backend, 100)]

    def behind(self) -> set[int]:
        return {o.number for o in self.hold.open_jobs() if o.behind}


def test_where_all_can_be_in_time_the_soonest_due_goes_first() -> None:
    waiting = Waiting(rate=2.0)
    for number, left_s in ((1, 30.0), (2, 10.0), (3, 20.0)):
        waiting.add(number, 1.0, left_s)
    assert waiting.order() == [2, 3, 1]
    assert not waiting.behind()


def test_where_not_all_can_be_the_dearest_goes_behind() -> None:
    waiting = Waiting(rate=1.0)
    waiting.add(1, 6.0, 10.0)
    for number in (2, 3, 4):
        waiting.add(number, 1.5, 10.0)
    assert waiting.order() == [2, 3, 4, 1]


def test_dear_is_what_costs_much_for_each_token() -> None:
    waiting = Waiting(rate=1.0)
    waiting.add(1, 4.0, 10.0, tokens=1000.0)
    waiting.add(2, 3.0, 10.0, tokens=100.0)
    assert waiting.order() == [1, 2]
    assert waiting.behind() == {2}


def test_only_those_that_are_due_by_then_have_to_give_way() -> None:
    waiting = Waiting(rate=1.0)
    for number in (1, 2, 3):
        waiting.add(number, 3.0, 8.0, tokens=100.0 - number)
    waiting.add(4, 5.0, 60.0)
    assert waiting.behind() == set()
    assert waiting.order() == [1, 4, 2, 3], "the later one has time, however dear it is"


def test_what_has_no_deadline_stays_where_it_is() -> None:
    waiting = Waiting(rate=0.1)
    for number in (1, 2, 3):
        waiting.add(number, 50.0, None)
    waiting.order()
    assert not waiting.behind()


def test_a_lower_priority_gives_way_first_whatever_it_costs() -> None:
    waiting = Waiting(rate=1.0)
    waiting.add(1, 5.0, 10.0, priority=1)
    waiting.add(2, 3.0, 10.0)
    assert waiting.order() == [1, 2]
    assert waiting.behind() == {2}


def test_whoever_is_behind_comes_to_its_turn_again_when_others_have_gone() -> None:
    waiting = Waiting(rate=1.0)
    waiting.add(1, 4.0, 9.0)
    waiting.add(2, 3.0, 10.0)
    assert waiting.order() == [2, 1]
    waiting.hold.remove(next(o for o in waiting.hold.open_jobs() if o.number == 2))
    waiting.order(NOW + 0.1)
    assert not waiting.behind()


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 8.0), (4.0, 2.0), (0.01, 60.0)])
def test_the_line_clears_as_fast_as_work_gets_away(rate: float, seconds: float) -> None:
    waiting = Waiting(rate)
    assert Waiting(rate).hold.lines() == []
    for number in range(4):
        waiting.add(number, 2.0, 100.0)
    waiting.add(9, 5.0, 100.0)
    waiting.hold.remove(next(o for o in waiting.hold.open_jobs() if o.number == 9))
    assert waiting.line.clears_in_s() == pytest.approx(seconds, rel=0.1)


def test_a_long_line_is_looked_at_more_seldom() -> None:
    waiting = Waiting(rate=1.0)
    for number in range(4000):
        waiting.add(number, 1.0, 20.0)
    waiting.order()
    assert waiting.line.look_at >= NOW + 1.0


def test_as_many_are_kept_in_time_as_can_be() -> None:
    """Against all subsets, with tokens alike."""
    rng = random.Random(1)
    for _ in range(50):
        waiting = Waiting(rate=1.0)
        jobs = [(rng.uniform(0.5, 4.0), rng.uniform(1.0, 12.0)) for _ in range(8)]
        for number, (work_s, left_s) in enumerate(jobs):
            waiting.add(number, work_s, left_s)
        waiting.order()
        pace = 0.6 * waiting.candidates.drain.rate
        assert len(jobs) - len(waiting.behind()) == most_in_time(jobs, pace)


def most_in_time(jobs: list[tuple[float, float]], pace: float) -> int:
    best = 0
    for chosen in range(1 << len(jobs)):
        some = sorted((left_s, work_s) for i, (work_s, left_s) in enumerate(jobs) if chosen >> i & 1)
        done_s, fits = 0.0, True
        for left_s, work_s in some:
            done_s += work_s / pace
            fits = fits and done_s <= left_s
        best = max(best, len(some) if fits else 0)
    return best
