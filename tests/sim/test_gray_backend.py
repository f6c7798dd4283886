"""One backend of eight becomes five times slower and says nothing: its traffic goes elsewhere within seconds, it is not
taken for dead, and nearly everybody is spared what it would have cost them."""

from collections import Counter
from dataclasses import replace

import pytest

from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.core.tenancy.classify import Classifier
from proxy.model.backend import BackendSpec
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.commands import Abort, Dispatch
from proxy.model.outcome import SERVED
from proxy.report.report import group_of
from proxy.report.run import SimulatedRun
from proxy.sim.engine.spec import HIGH_THROUGHPUT
from proxy.sim.world.cluster import SimBackend, hashed_by
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.generator import BLOCK_TOKENS, WORKLOADS, generate

SLOW_FROM_S = 40.0
GRAY = "b7"
ARRIVALS = promised(
    generate(WORKLOADS["chat"].model_copy(update={"rate": 20.0, "duration": 100.0}), 1),
    parse_slo("interactive:ttft=2s,tpot=200ms"),
)
BUDGET = 0.05


def play(hedge: str, stream: bool = True) -> tuple[SimulatedRun, Scheduler, World]:
    backends = [SimBackend(BackendSpec(f"b{n}", models=frozenset({"sim"})), HIGH_THROUGHPUT) for n in range(8)]
    backends[-1] = replace(backends[-1], slower=5.0, slower_from_s=SLOW_FROM_S)
    backends = hashed_by(backends, BLOCK_TOKENS)
    scheduler = build_scheduler(backends, "goodput", 1)
    classes = with_built_in((read(ClassSettings, {"name": "interactive", "hedge": hedge}),))
    world = World(backends, scheduler, jobs=SeenByProxy(1, BLOCK_TOKENS, Classifier(classes, (), None)))
    return world.play([replace(arrival, stream=stream) for arrival in ARRIVALS]), scheduler, world


@pytest.fixture(scope="module")
def plain() -> tuple[SimulatedRun, Scheduler, World]:
    return play("off")


@pytest.fixture(scope="module")
def hedged() -> tuple[SimulatedRun, Scheduler, World]:
    return play("p95")


def share(played: SimulatedRun, start: float, end: float) -> float:
    sent = Counter(c.backend for at, c in played.log if start <= at < end and isinstance(c, Dispatch))
    return sent[GRAY] / sum(sent.values())


def test_it_loses_its_traffic_within_seconds_and_is_not_taken_for_dead(plain) -> None:
    played, scheduler, _ = plain
    before = share(played, SLOW_FROM_S - 30, SLOW_FROM_S)
    assert before > 0.08, "it had its share"
    assert share(played, SLOW_FROM_S + 5, SLOW_FROM_S + 35) < before / 5
    assert scheduler.counts(played.ended_at).ejections == 0
    assert all(view.state.value == "healthy" for view in scheduler.backends(played.ended_at))


def test_neither_do_answers_in_one_piece_go_there_any_more() -> None:
    played, _, _ = play("off", stream=False)
    before = share(played, SLOW_FROM_S - 30, SLOW_FROM_S)
    assert before > 0.08, "it had its share"
    assert share(played, SLOW_FROM_S + 5, SLOW_FROM_S + 35) < before / 2


def test_nearly_every_promise_is_kept_hedged_or_not(plain, hedged) -> None:
    """Slow decoding shows while it lasts, so that few are caught; whom a hedge moves is spared it too."""
    groups = [
        group_of([r for r in played.results if r.arrival.at >= SLOW_FROM_S - 5]) for played in (plain[0], hedged[0])
    ]
    for group in groups:
        assert group.good >= 0.995 * group.requests
        assert group.tpot.p99 < 0.15, "of 0.2 s promised"
    assert groups[1].tpot.p99 < groups[0].tpot.p99


def test_every_job_of_a_race_has_one_outcome_and_every_permit_comes_back(hedged) -> None:
    played, scheduler, world = hedged
    assert all(result.outcome is SERVED for result in played.results)
    counts = scheduler.counts(played.ended_at)
    assert counts.finished == counts.offered == len(ARRIVALS)
    assert (counts.in_flight, counts.hedging) == (0, 0)
    assert all(view.in_flight == 0 for view in scheduler.backends(played.ended_at))
    assert not any(server.jobs for server in world.servers.values()), "a loser stayed on its engine"
    dispatched = [c for _, c in played.log if isinstance(c, Dispatch)]
    hedges = [c for c in dispatched if c.hedge]
    aborts = [c for _, c in played.log if isinstance(c, Abort)]
    assert 10 < len(hedges) <= 1 + BUDGET * len(ARRIVALS)
    assert len(aborts) == len(hedges) == counts.hedges, "each race has one loser"
    assert sum(result.hedged for result in played.results) == len({c.jobs for c in hedges})
    assert 0 < counts.hedges_won < counts.hedges


def test_the_same_hedges_again(hedged) -> None:
    assert play("p95")[0].log_bytes() == hedged[0].log_bytes()
