"""Who is known of the backends, under which number, and in which pool."""

import pytest

from proxy.core.fleet.roster import Roster, check_names
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings

HEALTH = HealthSettings()


def specs(*names: str, pool: str = "p") -> list[BackendSpec]:
    return [BackendSpec(name, pool=pool) for name in names]


def roster(*names: str) -> Roster:
    return Roster(specs(*names), HEALTH, learns=True)


def change(one: Roster, *names: str, pool: str = "p") -> list[str]:
    return [backend.name for backend in one.change(specs(*names, pool=pool), HEALTH, learns=True)]


def test_two_of_one_name_are_refused_before_anything_changes() -> None:
    one = roster("a", "b")
    with pytest.raises(ValueError, match="share a name"):
        change(one, "c", "c")
    assert [*one.by_name] == ["a", "b"]
    with pytest.raises(ValueError, match="share a name"):
        check_names(specs("a", "a"))


def test_who_stays_is_the_same_under_the_same_number_wherever_it_stands() -> None:
    one = roster("a", "b", "c")
    a, b, c = one.backends
    assert change(one, "c", "d", "a") == ["b"]
    assert one.backends[0] is c
    assert one.backends[2] is a
    assert [backend.index for backend in one.backends] == [0, 1, 2]
    assert [backend.number for backend in one.backends] == [2, 3, 0], "b's number is its own while it is known"
    assert one.numbered(1) is b


def test_a_number_is_given_again_when_its_backend_is_forgotten() -> None:
    one = roster("a", "b")
    _, b = one.backends
    b.in_flight = 1
    b.record.add((1, 2, 3))
    change(one, "a")
    assert one.forget_idle() == []
    assert one.by_name["b"] is b
    b.in_flight = 0
    assert one.forget_idle() == [b]
    assert [*one.by_name] == ["a"]
    assert not one.prefixes.holders
    change(one, "a", "c")
    assert one.by_name["c"].number == 1


def test_who_comes_back_before_it_was_forgotten_is_the_one_it_was() -> None:
    one = roster("a", "b")
    b = one.by_name["b"]
    change(one, "a")
    assert one.leaving == [b]
    change(one, "b", "a")
    assert one.backends[0] is b
    assert one.leaving == []


def test_pools_are_those_of_the_configured_and_keep_what_they_learned() -> None:
    one = roster("a", "b")
    pool = one.pools["p"]
    assert pool.backends == 2
    one.change([*specs("a"), *specs("b", pool="q")], HEALTH, learns=True)
    assert one.pools["p"] is pool
    assert (pool.backends, one.pools["q"].backends) == (1, 1)
    assert one.by_name["b"].pool is one.pools["q"]
    change(one, "a", pool="q")
    assert [*one.pools] == ["q"]


def test_records_share_their_room() -> None:
    one = roster(*"abcd")
    before = one.prefixes.most
    change(one, "a")
    assert one.prefixes.most == 4 * before
