"""What holds for every policy, and what each says it needs."""

import pytest

from proxy.core.route.policies import POLICIES
from proxy.model.scheduling import DEFAULT_POLICY
from tests.unit.core.route.policies.picking import backends, picks


@pytest.mark.parametrize("name", POLICIES)
def test_same_seed_same_choices_and_only_candidates(name: str) -> None:
    candidates = backends(0, 1, 0, 5)
    first, second = (picks(POLICIES[name].make(), candidates, 50) for _ in range(2))
    assert first == second
    assert set(first) <= {0, 1, 2, 3}


def test_only_the_default_admits_and_it_looks_at_predictions() -> None:
    assert [name for name, kind in POLICIES.items() if kind.admits] == [DEFAULT_POLICY]
    assert POLICIES[DEFAULT_POLICY].foresees


def test_one_that_keeps_state_is_made_anew_for_each_router() -> None:
    one, other = POLICIES["round_robin"].make(), POLICIES["round_robin"].make()
    assert picks(one, backends(0, 0), 1) == picks(other, backends(0, 0), 1) == [0]
