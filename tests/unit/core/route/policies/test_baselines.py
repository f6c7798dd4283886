"""What other routers do, as published."""

import random
from collections import Counter

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.learn.entry import Entry
from proxy.core.route.policies import POLICIES
from tests.unit.core.route.policies.picking import JOB, asked, backends, picks


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


def test_least_pending_prefill_breaks_ties_by_requests_and_those_by_chance() -> None:
    """Where all prompts are computed, whoever decodes for fewest is next; not whoever chance says."""
    assert set(picks(POLICIES["least_pending_prefill"].make(), backends(7, 2, 9), 20)) == {1}
    assert set(picks(POLICIES["least_pending_prefill"].make(), backends(2, 2, 9), 50)) == {0, 1}


def test_random_takes_anybody() -> None:
    seen = Counter(picks(POLICIES["random"].make(), backends(9, 0, 3), 3000))
    assert all(seen[i] == pytest.approx(1000, rel=0.15) for i in range(3))


def loaded(backend: Backend, kv: float = 0.0, fresh: float = 0.0, pending: int = 0) -> None:
    """So much KV in use, and so many prompts before it, with so many tokens to compute."""
    backend.ledger.kv, backend.ledger.pending_fresh = kv, fresh
    for _ in range(pending):
        backend.ledger.pending[Entry(JOB, 0.0, 0.0)] = None


def chosen(name: str, candidates: list[Backend]) -> set[int]:
    demand, rng = asked(JOB), random.Random(1)
    demand.prompt = 1000.0
    return {POLICIES[name].make()(candidates, demand, rng).index for _ in range(20)}


def test_kv_cost_counts_blocks_to_compute_and_blocks_in_use() -> None:
    busy, full = backends(0, 0)
    loaded(busy, fresh=500.0)
    loaded(full, kv=400.0)
    assert chosen("kv_cost", [busy, full]) == {1}
    loaded(full, kv=501.0)
    assert chosen("kv_cost", [busy, full]) == {0}


def test_weighted_scores_weigh_the_prefix_against_memory_and_queue() -> None:
    holder, idle = backends(0, 0)
    holder.kv_tokens = idle.kv_tokens = 10_000.0
    holder.forecast.hit = 900.0
    loaded(holder, kv=1000.0, pending=1)
    assert chosen("weighted_scores", [holder, idle]) == {0}, "3 * .9 + 2 * .9 + 0 is more than 2 + 2"
    holder.forecast.hit = 600.0
    assert chosen("weighted_scores", [holder, idle]) == {1}, "3 * .6 + 2 * .9 + 0 is less"
