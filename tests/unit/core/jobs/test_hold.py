"""Bounds and order of held jobs."""

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.jobs.hold import Hold, Peers
from proxy.core.jobs.open_job import NOBODY, OpenJob
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings, HoldSettings
from proxy.model.request import Job


def open_job(number: int, body_bytes: int = 0, deadline: float | None = None) -> OpenJob:
    return OpenJob(Job(number, "m", body_bytes=body_bytes, deadline=deadline), number)


def _first(hold: Hold, backend: Backend) -> OpenJob | None:
    found = hold.first_for(backend, 1)
    return found[0] if found else None


def two() -> tuple[Candidates, list[Backend]]:
    backends = [Backend(BackendSpec(f"b{i}"), i, HealthSettings()) for i in range(2)]
    candidates = Candidates(backends)
    for backend in backends:
        backend.memberships = [candidates]
    return candidates, backends


@pytest.mark.parametrize(("held", "room"), [(2, True), (3, False)])
def test_always_so_many_jobs(held: int, room: bool) -> None:
    hold = Hold(HoldSettings(min_jobs=3, per_in_flight=0), Peers())
    candidates, _ = two()
    for number in range(held):
        hold.add(open_job(number), candidates, NOBODY, 0.0)
    assert hold.has_room(open_job(99), in_flight=1000) is room


@pytest.mark.parametrize(("in_flight", "room"), [(3, False), (4, True), (5, True)])
def test_so_many_jobs_per_job_in_flight(in_flight: int, room: bool) -> None:
    hold = Hold(HoldSettings(min_jobs=0, per_in_flight=1.5), Peers())
    candidates, _ = two()
    for number in range(5):
        hold.add(open_job(number), candidates, NOBODY, 0.0)
    assert hold.has_room(open_job(99), in_flight) is room


def test_it_says_how_full_it_is_by_whichever_bound_is_nearer() -> None:
    hold = Hold(HoldSettings(min_jobs=4, per_in_flight=2, bytes=100), Peers())
    candidates, _ = two()
    assert hold.fill(0) == 0.0
    for number in range(3):
        hold.add(open_job(number, body_bytes=5), candidates, NOBODY, 0.0)
    assert hold.fill(0) == 0.75
    assert hold.fill(10) == 0.15
    hold.add(open_job(9, body_bytes=75), candidates, NOBODY, 0.0)
    assert hold.fill(10) == 0.9


def test_where_nobody_may_wait_nothing_fills_up() -> None:
    """As a proxy with `min_jobs: 0` whenever nothing is in flight: no alert."""
    hold = Hold(HoldSettings(min_jobs=0, per_in_flight=2.0, bytes=0), Peers())
    assert hold.fill(0) == 0.0
    candidates, _ = two()
    hold.add(open_job(0), candidates, NOBODY, 0.0)
    assert hold.fill(0) == 1.0, "who is there is more than may be"


@pytest.mark.parametrize(("more", "room"), [(39, True), (40, True), (41, False)])
def test_so_many_bytes(more: int, room: bool) -> None:
    hold = Hold(HoldSettings(bytes=100), Peers())
    candidates, _ = two()
    first = open_job(1, body_bytes=60)
    hold.add(first, candidates, NOBODY, 0.0)
    assert hold.has_room(open_job(2, body_bytes=more), 0) is room
    hold.remove(first)
    assert hold.bytes == 0
    assert hold.has_room(open_job(2, body_bytes=100), 0)


@pytest.mark.parametrize(("deadline", "end"), [(None, 30.0), (29.0, 29.0), (31.0, 30.0)])
def test_so_long_or_until_the_deadline(deadline: float | None, end: float) -> None:
    hold = Hold(HoldSettings(max_wait=30.0), Peers())
    candidates, _ = two()
    one = open_job(1, deadline=deadline)
    hold.add(one, candidates, NOBODY, 0.0)
    assert hold.timers.next_at() == end
    assert hold.due(end - 0.001) == []
    assert hold.due(end) == [one]


def test_longer_while_all_are_away_until_it_is_configured_otherwise() -> None:
    hold = Hold(HoldSettings(max_wait=30.0, starting=100.0), Peers())
    candidates, backends = two()
    hold.add(open_job(1), candidates, NOBODY, 0.0)
    assert (hold.starts(candidates), hold.timers.next_at()) == (False, 30.0)
    for backend in backends:
        backend.asleep = True
    hold.add(open_job(2), candidates, NOBODY, 0.0)
    assert (hold.starts(candidates), hold.timers.at(2)) == (True, 100.0)
    hold.configure(HoldSettings(max_wait=30.0, starting=50.0))
    assert hold.timers.at(2) == 50.0
    hold.configure(HoldSettings(max_wait=20.0))
    assert (hold.timers.at(1), hold.timers.at(2)) == (20.0, 20.0)
    assert Hold(HoldSettings(max_wait=30.0, starting=5.0), Peers()).longest_s(candidates) == 30.0


def test_oldest_first_across_lines() -> None:
    hold = Hold(HoldSettings(), Peers())
    candidates, (a, b) = two()
    young, old, picky = open_job(3), open_job(2), open_job(1)
    hold.add(picky, candidates, frozenset({a}), 0.0)
    hold.add(old, candidates, NOBODY, 0.0)
    hold.add(young, candidates, NOBODY, 0.0)
    assert _first(hold, a) is old
    assert _first(hold, b) is picky
    assert [line.head.number for line in hold.lines()] == [1, 2]
    assert hold.ahead(candidates) == len(hold) == 3
    assert [t.number for t in hold.open_jobs()] == [1, 2, 3]


def test_the_avoided_one_will_do_when_nobody_else_is_open() -> None:
    hold = Hold(HoldSettings(), Peers())
    candidates, (a, b) = two()
    picky = open_job(1)
    hold.add(picky, candidates, frozenset({a}), 0.0)
    assert _first(hold, a) is None
    b.health.eject(0.0)
    candidates.reopen(0.5)
    assert _first(hold, a) is picky
    assert _first(hold, b) is None


def test_an_ejected_backend_gets_no_held_job() -> None:
    hold = Hold(HoldSettings(), Peers())
    candidates, (a, b) = two()
    hold.add(open_job(1), candidates, NOBODY, 0.0)
    a.health.eject(0.0)
    candidates.reopen(0.5)
    assert _first(hold, a) is None
    assert _first(hold, b) is not None


def test_moving_to_other_candidates_keeps_the_time_and_the_bytes() -> None:
    hold = Hold(HoldSettings(max_wait=30.0), Peers())
    candidates, (a, _) = two()
    one = open_job(1, body_bytes=7)
    hold.add(one, candidates, NOBODY, 0.0)
    other = Candidates([a])
    hold.move(one, other)
    assert (hold.ahead(candidates), hold.ahead(other), hold.bytes) == (0, 1, 7)
    assert hold.timers.next_at() == 30.0
    hold.remove(one)
    assert (len(hold), hold.lines(), hold.timers.next_at()) == (0, [], None)


def test_priority_first_then_the_soonest_due() -> None:
    hold = Hold(HoldSettings(), Peers())
    candidates, (a, _) = two()
    for number, priority, due in ((1, 0, 9.0), (2, 0, 3.0), (3, 1, 99.0), (4, 0, 3.0)):
        one = OpenJob(Job(number, "m", priority=priority), number)
        one.due = due
        hold.add(one, candidates, NOBODY, 0.0)
    assert [t.number for t in hold.first_for(a, 9)] == [3, 2, 4, 1]
    assert [t.number for t in hold.first_for(a, 2)] == [3, 2]


def test_a_job_may_have_less_time_than_all() -> None:
    hold = Hold(HoldSettings(max_wait=30.0), Peers())
    hold.add(open_job(1), two()[0], NOBODY, 10.0, most_s=0.5)
    assert hold.timers.next_at() == 10.5


def test_those_who_are_late_already_can_be_passed_over() -> None:
    hold = Hold(HoldSettings(), Peers())
    candidates, (one, _) = two()
    for number in range(20):
        late = open_job(number)
        late.due = 10.0 + 0.1 * number
        hold.add(late, candidates, NOBODY, 0.0)
    assert [t.number for t in hold.first_for(one, 2)] == [0, 1]
    assert [t.number for t in hold.first_for(one, 2, 10.75)] == [8, 9]
    assert hold.first_for(one, 2, 99.0) == []
