"""Fair shares: who is over, who is alone, what fades."""

import pytest

from proxy.core.tenancy.fairness import MAX_TENANTS, Tenants
from proxy.model.scheduling import FairnessSettings


def served(tenants: Tenants, **seconds: float) -> Tenants:
    for name, service_s in seconds.items():
        tenants.serve(name, service_s, 100.0)
    return tenants


def test_a_tenant_alone_is_never_over() -> None:
    tenants = served(Tenants(FairnessSettings()), a=50.0)
    assert tenants.over_share("a", 100.0) == 0


def test_who_took_more_than_its_share() -> None:
    tenants = served(Tenants(FairnessSettings()), a=6.0, b=1.0, c=1.0)
    assert tenants.over_share("a", 100.0) == pytest.approx(6 / (8 / 3) - 1)
    assert tenants.over_share("b", 100.0) == 0
    assert tenants.over_share("new", 100.0) == 0


def test_weights_are_shares() -> None:
    tenants = served(Tenants(FairnessSettings(weights={"a": 3})), a=3.0, b=1.0)
    assert tenants.over_share("a", 100.0) == pytest.approx(0, abs=1e-9)
    assert tenants.over_share("b", 100.0) == pytest.approx(0, abs=1e-9)


def test_service_halves_and_is_forgotten_in_the_end() -> None:
    tenants = served(Tenants(FairnessSettings(half_life=30.0)), a=4.0, b=1.0)
    assert tenants.services(130.0) == pytest.approx({"a": 2.0, "b": 0.5})
    assert tenants.over_share("a", 130.0) == pytest.approx(0.6)
    assert tenants.over_share("a", 100.0 + 30 * 30) == 0
    assert tenants.services(1e6) == {}


def test_years_do_not_overflow() -> None:
    tenants = Tenants(FairnessSettings())
    for day in range(200):
        tenants.serve("a", 1.0, day * 86_400.0)
        tenants.serve("b", 1.0, day * 86_400.0)
    assert tenants.over_share("a", 200 * 86_400.0) == 0


def test_no_half_life_no_fairness() -> None:
    assert served(Tenants(FairnessSettings(half_life=0)), a=9.0, b=1.0).over_share("a", 100.0) == 0


def test_a_bounded_number_is_remembered() -> None:
    tenants = Tenants(FairnessSettings())
    for number in range(MAX_TENANTS + 50):
        tenants.serve(f"t{number}", 1.0, 100.0)
    assert len(tenants.services(100.0)) == MAX_TENANTS
    assert tenants.over_share("t4000", 100.0) == pytest.approx(0, abs=1e-9)


def test_the_largest_of_many_is_not_tilted_while_nobody_waits() -> None:
    tenants = served(Tenants(FairnessSettings()), big=50.0, **{f"t{number}": 1.0 for number in range(100)})
    assert tenants.over_share("big", 100.0) > 30
    assert tenants.tilt("big", True, 100.0) == 0


def test_the_tilt_has_a_bound_and_ends_with_the_shortage() -> None:
    tenants = served(Tenants(FairnessSettings()), big=50.0, **{f"t{number}": 1.0 for number in range(100)})
    tenants.waits("t7", True, 100.0)
    assert tenants.tilt("big", True, 101.9) == 1.0
    assert tenants.tilt("t7", True, 101.9) == 0
    assert tenants.tilt("big", True, 102.1) == 0


def test_who_has_more_than_its_share_is_not_short_when_it_waits() -> None:
    tenants = served(Tenants(FairnessSettings()), a=6.0, b=1.0, c=5.0)
    tenants.waits("a", True, 100.0)
    assert tenants.tilt("a", True, 100.0) == tenants.tilt("c", True, 100.0) == 0


def test_bulk_that_waits_slows_down_bulk_only() -> None:
    tenants = served(Tenants(FairnessSettings()), a=6.0, b=1.0)
    tenants.waits("b", False, 100.0)
    assert tenants.tilt("a", True, 100.0) == 0
    assert tenants.tilt("a", False, 100.0) == pytest.approx(6 / 3.5 - 1)
