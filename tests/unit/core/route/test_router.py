"""Feasibility, slow start for every policy, and where a next attempt goes."""

import random
from collections import Counter

import pytest

from proxy.config.plain import read
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.jobs.open_job import NOBODY
from proxy.core.route.policies import POLICIES
from proxy.core.route.router import Router
from proxy.model.backend import BackendSpec
from proxy.model.commands import Probed
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings

JOB = Job(1, "m")


def fleet_of(count: int, permits: int | None = None) -> tuple[Fleet, Candidates]:
    specs = [BackendSpec(f"b{i}", models=frozenset({"m"}), max_concurrency=permits) for i in range(count)]
    fleet = Fleet(specs, HealthSettings(slow_start=10.0))
    candidates = fleet.catalogue.find("m")
    assert candidates is not None
    return fleet, candidates


def router(fleet: Fleet, policy: str = "round_robin") -> Router:
    return Router(fleet, read(SchedulingSettings, {"policy": policy, "explore": 0}), random.Random(7))


def at(now: float) -> Demand:
    return Demand(JOB, now, now)


@pytest.mark.parametrize("count", [1, 3])
def test_nobody_when_all_permits_are_out(count: int) -> None:
    fleet, candidates = fleet_of(count, permits=2)
    pick = router(fleet).pick
    for backend in fleet.backends:
        backend.in_flight = 2
    assert pick(candidates, at(0.0), NOBODY) is None
    fleet.backends[-1].in_flight = 1
    assert pick(candidates, at(0.0), NOBODY) is fleet.backends[-1]


def test_avoided_ones_are_left_out_while_another_is_open() -> None:
    fleet, candidates = fleet_of(3, permits=1)
    a, b, c = fleet.backends
    pick = router(fleet).pick
    assert pick(candidates, at(0.0), frozenset({a, b})) is c
    c.in_flight = 1
    assert pick(candidates, at(0.0), frozenset({a, b})) is None
    assert pick(candidates, at(0.0), frozenset({a, b, c})) in {a, b}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("after_s", "share"), [(0.0, 0.1), (5.0, 0.55)])
def test_slow_start_thins_every_policy(policy: str, after_s: float, share: float) -> None:
    fleet, candidates = fleet_of(4)
    slow = fleet.backends[0]
    slow.health.eject(90.0)
    slow.health.start_probation()
    fleet.probed(slow, Probed(slow.name, ok=True), 100.0)
    pick = router(fleet, policy).pick
    seen: Counter[Backend | None] = Counter(pick(candidates, at(100.0 + after_s), NOBODY) for _ in range(8000))
    # of what each of the others gets; a draw among all gives a little less than turns do
    assert 0.65 * share < seen[slow] / seen[fleet.backends[1]] < 1.15 * share
    assert sum(seen.values()) == 8000


@pytest.mark.parametrize("policy", POLICIES)
def test_all_in_slow_start_is_no_reason_to_wait(policy: str) -> None:
    fleet, candidates = fleet_of(2)
    for backend in fleet.backends:
        backend.health.readmit(0.0)
        fleet.ramping.append(backend)
    pick = router(fleet, policy).pick
    assert all(pick(candidates, at(0.0), NOBODY) for _ in range(200))


def test_slow_starts_end() -> None:
    fleet, candidates = fleet_of(2)
    backend = fleet.backends[0]
    backend.health.eject(90.0)
    backend.health.start_probation()
    fleet.probed(backend, Probed(backend.name, ok=True), 100.0)
    assert (fleet.ramping, backend.share) == ([backend], 0.1)
    router(fleet).pick(candidates, at(110.0), NOBODY)
    assert (fleet.ramping, backend.share) == ([], 1.0)


# ---- backends with an order


def ordered_fleet(*orders: int, permits: int = 1) -> tuple[Fleet, Candidates]:
    specs = [
        BackendSpec(f"b{i}", models=frozenset({"m"}), max_concurrency=permits, order=order)
        for i, order in enumerate(orders)
    ]
    fleet = Fleet(specs, HealthSettings(slow_start=10.0))
    candidates = fleet.catalogue.find("m")
    assert candidates is not None
    return fleet, candidates


@pytest.mark.parametrize("policy", POLICIES)
def test_the_next_order_is_taken_when_the_one_before_is_full(policy: str) -> None:
    fleet, candidates = ordered_fleet(1, 0, 2, 0)
    pick = router(fleet, policy).pick
    taken = []
    while (backend := pick(candidates, at(0.0), NOBODY)) is not None:
        backend.in_flight += 1
        taken.append(backend.spec.order)
    assert taken == [0, 0, 1, 2]


def test_a_next_attempt_goes_to_another_of_its_order_first() -> None:
    fleet, candidates = ordered_fleet(0, 0, 1)
    a, b, c = fleet.backends
    pick = router(fleet).pick
    assert pick(candidates, at(0.0), frozenset({a})) is b
    assert pick(candidates, at(0.0), frozenset({a, b})) is c


def test_one_that_starts_slowly_is_not_passed_for_a_later_order() -> None:
    fleet, candidates = ordered_fleet(0, 1, permits=9)
    first = fleet.backends[0]
    first.health.eject(90.0)
    first.health.start_probation()
    fleet.probed(first, Probed(first.name, ok=True), 100.0)
    pick = router(fleet).pick
    assert {pick(candidates, at(100.0), NOBODY) for _ in range(50)} == {first}


def test_of_many_those_of_the_first_order_are_looked_at() -> None:
    fleet, candidates = ordered_fleet(*[1] * 60, *[0] * 40, *[1] * 60)
    pick = router(fleet, "least_outstanding").pick
    for _ in range(40):
        backend = pick(candidates, at(0.0), NOBODY)
        assert backend is not None
        assert backend.spec.order == 0
        backend.in_flight += 1
    backend = pick(candidates, at(0.0), NOBODY)
    assert backend is not None
    assert backend.spec.order == 1


def test_a_held_job_goes_to_whose_turn_it_is() -> None:
    fleet, candidates = ordered_fleet(0, 1)
    first, later = fleet.backends
    chooser = router(fleet)
    assert chooser.place(later, candidates, at(0.0), NOBODY) is first
    assert not chooser.fits(later, candidates, at(0.0), NOBODY)
    assert chooser.fits(later, candidates, at(0.0), frozenset({first})), "it was tried there"
    first.in_flight = 1
    assert chooser.place(later, candidates, at(0.0), NOBODY) is later
    assert chooser.fits(later, candidates, at(0.0), NOBODY)


def test_of_a_thousand_a_job_is_shown_other_ones_each_time_and_each_of_them_sooner_or_later() -> None:
    fleet, candidates = fleet_of(1000)
    for backend in candidates.backends:
        backend.in_flight = 1
    chooses, seen = router(fleet), set()
    for number in range(2000):
        looked = chooses.free(candidates, at(1.0 + number), NOBODY)
        assert 12 <= len(looked) == len(set(looked)) <= 24
        seen.update(looked)
    assert len(seen) == 1000
