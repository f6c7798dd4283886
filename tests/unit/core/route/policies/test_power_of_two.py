"""The emptier of two."""

from collections import Counter

import pytest

from proxy.core.route.policies import POLICIES
from tests.unit.core.route.policies.picking import backends, picks


def test_power_of_two_never_takes_the_fullest() -> None:
    seen = Counter(picks(POLICIES["power_of_two"].make(), backends(2, 1, 0), 3000))
    assert seen[0] == 0
    assert seen[2] == pytest.approx(2000, rel=0.1)


def test_power_of_two_is_even_among_equals() -> None:
    seen = Counter(picks(POLICIES["power_of_two"].make(), backends(1, 1, 1, 1), 4000))
    assert all(seen[i] == pytest.approx(1000, rel=0.15) for i in range(4))
