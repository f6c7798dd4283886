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
