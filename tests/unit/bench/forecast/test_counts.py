"""The search for the fewest backends, against trying all of them."""

import pytest

from proxy.bench.forecast.counts import Fleet, everything, fewest, shared, split

NEEDS = {"small": 7, "large": 3}


@pytest.mark.parametrize("least", range(1, 41))
def test_the_fewest_in_few_tries(least: int) -> None:
    asked: list[int] = []

    def is_good(count: int) -> bool:
        asked.append(count)
        return count >= least

    assert fewest(is_good, 40) == least
    assert len(asked) <= 12


def test_where_none_is_enough() -> None:
    assert fewest(lambda _: False, 16) is None


def is_good(fleet: Fleet) -> bool:
    """Short ones are a load of 1.4 small backends, bulk of 3.2; mixed they disturb each other."""
    worth = {"small": 1.0, "large": 2.4}
    if not fleet.bulk_count:
        return fleet.number * worth[fleet.kind] >= 6.9
    return fleet.number * worth[fleet.kind] >= 1.4 and fleet.bulk_count * worth[fleet.bulk_kind] >= 3.2


def test_of_one_kind() -> None:
    assert shared(("small", "large"), is_good, 16) == NEEDS


@pytest.mark.parametrize("kind", NEEDS)
@pytest.mark.parametrize("bulk_kind", NEEDS)
def test_a_split_is_the_smallest_there_is(kind: str, bulk_kind: str) -> None:
    found = split(kind, bulk_kind, is_good, 16)
    best = next(
        fleet for fleet in everything(("small", "large"), 16)
        if (fleet.kind, fleet.bulk_kind) == (kind, bulk_kind) and is_good(fleet)
    )  # fmt: skip
    assert found is not None
    assert is_good(found)
    assert found.total == best.total


def test_no_split_where_it_saves_nothing() -> None:
    assert split("small", "small", is_good, 6) is None
