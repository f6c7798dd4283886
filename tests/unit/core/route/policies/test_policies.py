"""What each policy prefers."""

import random
from collections import Counter

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.route.policies import POLICIES, Policy
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings
from proxy.model.request import Job

JOB = Job(1, "m")


def asked(job: Job) -> Demand:
    return Demand(job, 0.0, 0.0)


def backends(*in_flight: int) -> list[Backend]:
    made = [Backend(BackendSpec(f"b{i}"), i, HealthSettings()) for i in range(len(in_flight))]
    for backend, busy in zip(made, in_flight, strict=True):
        backend.in_flight = busy
    return made


def picks(policy: Policy, candidates: list[Backend], times: int, job: Job = JOB) -> list[int]:
    rng = random.Random(3)
    return [policy(candidates, asked(job), rng).index for _ in range(times)]


@pytest.mark.parametrize("name", POLICIES)
def test_same_seed_same_choices_and_only_candidates(name: str) -> None:
    candidates = backends(0, 1, 0, 5)
    first, second = (picks(POLICIES[name].make(), candidates, 50) for _ in range(2))
    assert first == second
    assert set(first) <= {0, 1, 2, 3}


def test_round_robin_takes_turns_whatever_the_load() -> None:
    assert picks(POLICIES["round_robin"].make(), backends(9, 0, 3), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_round_robin_skips_who_is_missing_and_goes_on() -> None:
    policy = POLICIES["round_robin"].make()
    a, b, c = backends(0, 0, 0)
    rng = random.Random(1)
    assert [policy(some, asked(JOB), rng).index for some in ([a, b, c], [a, c], [a, b], [b, c])] == [0, 2, 0, 1]


def test_round_robin_does_not_tie_alternating_models_to_backends() -> None:
    policy = POLICIES["round_robin"].make()
    candidates = backends(0, 0)
    rng = random.Random(1)
    chosen = [(model, policy(candidates, asked(Job(1, model)), rng).index) for _ in range(4) for model in "xy"]
    assert Counter(chosen) == {("x", 0): 2, ("x", 1): 2, ("y", 0): 2, ("y", 1): 2}


def test_round_robin_remembers_a_bounded_number_of_names() -> None:
    policy = POLICIES["round_robin"].make()
    candidates = backends(0, 0)
    rng = random.Random(1)
    for number in range(5000):
        policy(candidates, asked(Job(1, f"made-up-{number}")), rng)
    assert len(policy._last) <= 1024


def test_least_outstanding_takes_the_emptiest() -> None:
    assert set(picks(POLICIES["least_outstanding"].make(), backends(3, 1, 2), 20)) == {1}


def test_least_outstanding_breaks_ties_by_chance() -> None:
    seen = Counter(picks(POLICIES["least_outstanding"].make(), backends(1, 0, 0, 0), 3000))
    assert seen[0] == 0
    assert all(seen[i] == pytest.approx(1000, rel=0.15) for i in (1, 2, 3))


@pytest.mark.parametrize(("in_flight", "chosen"), [(0, {0}), (1, {0, 1}), (2, {1})])
def test_least_outstanding_counts_a_slow_start_as_fuller(in_flight: int, chosen: set[int]) -> None:
    candidates = backends(in_flight, 4)
    candidates[0].share = 0.25
    assert set(picks(POLICIES["least_outstanding"].make(), candidates, 50)) == chosen


def test_power_of_two_never_takes_the_fullest() -> None:
    seen = Counter(picks(POLICIES["power_of_two"].make(), backends(2, 1, 0), 3000))
    assert seen[0] == 0
    assert seen[2] == pytest.approx(2000, rel=0.1)


def test_power_of_two_is_even_among_equals() -> None:
    seen = Counter(picks(POLICIES["power_of_two"].make(), backends(1, 1, 1, 1), 4000))
    assert all(seen[i] == pytest.approx(1000, rel=0.15) for i in range(4))


def with_hits(*in_flight_and_hit: tuple[int, float]) -> list[Backend]:
    made = backends(*(busy for busy, _ in in_flight_and_hit))
    for backend, (_, hit) in zip(made, in_flight_and_hit, strict=True):
        backend.forecast.hit = hit
    return made


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        pytest.param([(9, 301), (0, 0)], {0}, id="more than .3 of the prompt is there"),
        pytest.param([(9, 300), (0, 0)], {1}, id="too little is there: the fewest requests"),
        pytest.param([(0, 400), (9, 900)], {1}, id="the longest prefix"),
        pytest.param([(3, 0), (1, 0), (1, 0)], {1, 2}, id="nothing is anywhere: chance among the emptiest"),
        pytest.param([(65, 900), (0, 0)], {1}, id="loads differ by more than 64 and by half"),
        pytest.param([(64, 900), (0, 0)], {0}, id="by no more than 64"),
        pytest.param([(195, 900), (130, 0)], {0}, id="by no more than half"),
        pytest.param([(196, 900), (130, 0)], {1}, id="by more than both"),
    ],
)
def test_prefix_cache_aware_is_the_published_rule(candidates: list[tuple[int, float]], chosen: set[int]) -> None:
    made = with_hits(*candidates)
    demand = asked(JOB)
    demand.prompt = 1000.0
    rng = random.Random(1)
    assert {POLICIES["prefix_cache_aware"].make()(made, demand, rng).index for _ in range(40)} == chosen


def bulk_ask(*kept: Backend) -> Demand:
    demand = asked(Job(1, "m", bulk=True))
    demand.fitted, demand.answer, demand.kept = True, 100.0, frozenset(kept)
    return demand


def engine(index: int, slowness: float, ttft: float = 0.1, tpot: float = 0.02) -> Backend:
    made = Backend(BackendSpec(f"b{index}"), index, HealthSettings())
    made.model.prefill = [0.01 * slowness, 0.5 * slowness, 0.2 * slowness, 0.0]
    made.model.decode = [0.01 * slowness, 0.004 * slowness, 0.014 * slowness, 0.5]
    made.forecast.ttft, made.forecast.tpot = ttft, tpot
    return made


def test_bulk_goes_where_nothing_is_kept_then_to_the_slowest_then_where_it_ends_soonest() -> None:
    goodput, rng = POLICIES["goodput"].make(), random.Random(1)
    fast, slow = engine(0, 1.0), engine(1, 2.0, ttft=5.0)
    busy, free = engine(2, 2.0, tpot=0.05), engine(3, 2.0, tpot=0.03)
    assert goodput([fast, slow], bulk_ask(), rng) is slow
    assert goodput([fast, slow], bulk_ask(slow), rng) is fast
    assert goodput([busy, free], bulk_ask(), rng) is free
    assert goodput([slow, free], bulk_ask(), rng) is free


def test_bulk_takes_two_engines_that_hardly_differ_as_equally_fast() -> None:
    one, other = engine(0, 1.0, ttft=0.1), engine(1, 1.02, ttft=0.2)
    assert POLICIES["goodput"].make()([one, other], bulk_ask(), random.Random(1)) is one


def test_least_pending_prefill_breaks_ties_by_requests_and_those_by_chance() -> None:
    """Where all prompts are computed, whoever decodes for fewest is next; not whoever chance says."""
    assert set(picks(POLICIES["least_pending_prefill"].make(), backends(7, 2, 9), 20)) == {1}
    assert set(picks(POLICIES["least_pending_prefill"].make(), backends(2, 2, 9), 50)) == {0, 1}
