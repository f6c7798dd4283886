"""The default: in seconds."""

import random
from collections import Counter

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.route.policies import POLICIES
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from tests.unit.core.route.policies.picking import asked, backends, picks


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


def scored(*scores_and_kv: tuple[float, float]) -> list[Backend]:
    made = backends(*(0 for _ in scores_and_kv))
    for backend, (score, kv) in zip(made, scores_and_kv, strict=True):
        backend.forecast.score, backend.ledger.kv = score, kv
    return made


def test_interactive_goes_where_it_delays_least_and_among_equals_to_the_least_memory_in_use() -> None:
    goodput = POLICIES["goodput"].make()
    assert set(picks(goodput, scored((2.0, 0.0), (1.0, 9.0), (3.0, 0.0)), 20)) == {1}
    assert set(picks(goodput, scored((1.0, 5.0), (1.0, 4.0), (1.0, 6.0)), 20)) == {1}
    seen = Counter(picks(goodput, scored((1.0, 0.0), (1.0, 0.0), (1.0, 0.0)), 3000))
    assert all(seen[i] == pytest.approx(1000, rel=0.15) for i in range(3)), "equals share"
