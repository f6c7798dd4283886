"""Bulk that is due, more of it than can be complete in time: as much as can be is, and where all can be, all is."""

from math import exp
from random import Random
from statistics import fmean

import pytest

from proxy.core.tenancy.classify import Classifier
from proxy.model.classes import ClassSettings, SloSettings, with_built_in
from proxy.model.scheduling import AdmissionSettings, SchedulingSettings
from proxy.report.report import Group, report_of
from proxy.sim.world.cluster import build_cluster, read_engines
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival, Slo
from tests.benchmarks.simulate.bulk_bursts import arrivals_at, play

ENGINES = "2xhigh_throughput"
DUE_S = 30.0


def burst(count: int, seed: int, at: float = 5.0) -> list[Arrival]:
    """Jobs within a second, whose prompts are of very unlike lengths; before it a few that teach how fast engines
    are."""
    rng, due = Random(seed), Slo(e2e_s=DUE_S)
    made = [Arrival(0.3 * number, 1000, 100, slo=due, traffic_class="bulk") for number in range(10)]
    for _ in range(count):
        prompt = round(min(16_000.0, 3000 * exp(rng.gauss(0.0, 1.0))))
        made.append(Arrival(at + rng.random(), prompt, 200, slo=due, traffic_class="bulk"))
    return sorted(made, key=lambda one: one.at)


def in_time(arrivals: list[Arrival], seed: int) -> Group:
    backends = build_cluster(read_engines(ENGINES), ())
    classes = with_built_in((ClassSettings(name="bulk", slo=SloSettings(deadline=DUE_S)),))
    jobs = SeenByProxy(seed, 512, Classifier(classes, (), None))
    settings = SchedulingSettings(admission=AdmissionSettings(mode="enforce"))
    scheduler = build_scheduler(backends, None, seed, scheduling=settings)
    return report_of(World(backends, scheduler, jobs=jobs).play(arrivals)).total


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_costs_most_gives_way_where_not_all_can_be_in_time(seed: int) -> None:
    """By their deadlines alone a quarter of them was in time."""
    assert in_time(burst(400, seed), seed).goodput >= 0.45


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_large_ones_are_not_left_where_all_can_be_in_time(seed: int) -> None:
    total = in_time(burst(50, seed), seed)
    assert total.refused == 0
    assert total.goodput == 1.0


def test_bursts_that_are_due_soon_are_not_left_waiting_for_chats_that_may_come() -> None:
    """Nearly all of it can be in time, and fast engines were kept for chats while it waited: 71 % of it was."""
    played = [report_of(play("goodput", arrivals_at(1.0, seed), seed, 15.0)).by_class for seed in (3, 4, 5)]
    assert fmean(one["bulk"].goodput for one in played) >= 0.75
    assert fmean(one["interactive"].goodput for one in played) >= 0.85
