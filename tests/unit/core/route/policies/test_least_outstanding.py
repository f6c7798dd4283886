"""The emptiest."""

from collections import Counter

import pytest

from proxy.core.route.policies import POLICIES
from tests.unit.core.route.policies.picking import backends, picks


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
