"""The upper marks: they keep promises, they are above the baselines, and each is best at what it is for."""

from random import Random
from unittest.mock import patch

import pytest

from proxy.model.backend import BackendSpec
from proxy.model.outcome import Verdict
from proxy.report.report import report_of
from proxy.sim.engine.sequence import Reporting, SimRequest
from proxy.sim.engine.spec import MOONCAKE16
from proxy.sim.engine.static import build_engine
from proxy.sim.world.cluster import SimBackend, build_cluster, hashed_by, read_engines
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.oracle import outlook
from proxy.sim.world.placement import Placement
from proxy.sim.world.references import GreedyInformed, PricedInformed, play_reference, price_s
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival, Slo
from proxy.workload.generator import BLOCK_TOKENS, WORKLOADS, generate

CLUSTER = hashed_by(build_cluster(read_engines("1xlow_latency,1xhigh_throughput"), ()), BLOCK_TOKENS)
CHAT = parse_slo("interactive:ttft=300ms,tpot=40ms;bulk:e2e=60s")


REFERENCES = [GreedyInformed, PricedInformed]


def arrivals(rate: float) -> list[Arrival]:
    return promised(generate(WORKLOADS["mixed"].model_copy(update={"rate": rate, "duration": 60.0}), 4), CHAT)


@pytest.mark.parametrize("reference", REFERENCES)
def test_below_its_capacity_nearly_everything_is_good(reference: type[GreedyInformed]) -> None:
    jobs = SeenByProxy(1, BLOCK_TOKENS)
    report = report_of(play_reference(CLUSTER, arrivals(3.0), jobs, reference=reference()))
    assert report.total.goodput > 0.9


def test_above_it_it_refuses_and_what_it_admits_is_in_time() -> None:
    traffic = arrivals(25.0)
    report = report_of(play_reference(CLUSTER, traffic, SeenByProxy(1, BLOCK_TOKENS)))
    assert report.total.refused > 0
    assert report.total.good > 0.9 * report.total.served
    for policy in ("round_robin", "least_outstanding"):
        world = World(CLUSTER, build_scheduler(CLUSTER, policy, 1), jobs=SeenByProxy(1, BLOCK_TOKENS))
        other = report_of(world.play(traffic))
        assert report.total.good_tokens > other.total.good_tokens


@pytest.mark.parametrize("reference", REFERENCES)
def test_it_refuses_what_nobody_can_do_in_time_at_its_last_moment(reference: type[GreedyInformed]) -> None:
    one = [SimBackend(BackendSpec("a", any_model=True), MOONCAKE16)]
    impossible = [Arrival(0.0, 100_000, 10, slo=Slo(ttft_s=0.5)), Arrival(0.001, 10, 10, slo=Slo(ttft_s=0.5))]
    first, second = play_reference(one, impossible, reference=reference()).results
    assert first.outcome is not None
    assert second.outcome is not None
    assert (first.outcome.verdict, second.outcome.verdict) == (Verdict.SHED, Verdict.SERVED)
    assert first.done_at is not None
    assert 0.4 < first.done_at <= 0.7


def test_its_outlook_is_what_happens_when_nobody_else_comes() -> None:
    rng = Random(3)
    for _ in range(30):
        engine = build_engine(MOONCAKE16, Reporting.MILESTONES)
        for number in range(rng.randrange(5)):
            engine.submit(SimRequest(number, rng.randrange(10, 9000), rng.randrange(50, 400)), 0.0)
        engine.advance(1.0)
        newcomer = Arrival(1.0, rng.randrange(10, 9000), 50)
        expected = outlook(engine, newcomer, 1.0).ttft_s
        engine.submit(SimRequest(99, newcomer.prompt_tokens, 50), 1.0)
        first = None
        while first is None:
            at = engine.next_event_at()
            assert at is not None
            first = next((e.at for e in engine.advance(at) if e.id == 99), None)
        assert abs(first - 1.0 - expected) < 0.1 + 0.15 * expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_overload_the_priced_one_serves_more_and_refuses_dearer_ones(seed: int) -> None:
    """Lengths of every kind, twice of what two engines can take."""
    rng, traffic = Random(seed), []
    for number in range(1200):
        prompt, answer = rng.lognormvariate(5.7, 1.0), rng.lognormvariate(5.0, 1.0)
        traffic.append(Arrival(number * 0.02, 1 + int(prompt), 1 + int(answer), slo=Slo(2.0, 0.1)))
    cluster = [SimBackend(BackendSpec(name, any_model=True), MOONCAKE16) for name in "ab"]
    greedy, priced = (play_reference(cluster, traffic, reference=reference()) for reference in REFERENCES)
    assert report_of(priced).total.good > 1.05 * report_of(greedy).total.good
    refused = [price_s(r.arrival) for r in priced.results if r.outcome and r.outcome.verdict is Verdict.SHED]
    served = [price_s(r.arrival) for r in priced.results if r.outcome and r.outcome.verdict is Verdict.SERVED]
    assert sum(refused) / len(refused) > 1.5 * sum(served) / len(served)


@pytest.mark.parametrize("reference", REFERENCES)
def test_it_is_quick_in_overload(reference: type[GreedyInformed]) -> None:
    """It looks at few of those that wait, however many there are: ten times the traffic costs no more for each."""
    cluster = [SimBackend(BackendSpec(name, any_model=True), MOONCAKE16) for name in "abcd"]

    def looks(count: int, gap_s: float) -> float:
        traffic = [Arrival(n * gap_s, 1000, 50, slo=Slo(20.0, 0.1)) for n in range(count)]
        with patch.object(Placement, "best", autospec=True, side_effect=Placement.best) as best:
            play_reference(cluster, traffic, reference=reference())
        return best.call_count / count

    assert looks(2000, 0.002) < 2 * looks(200, 0.02) + 20
