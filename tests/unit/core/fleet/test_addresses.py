"""Who joins a name and who leaves it."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.fleet.addresses import GONE_AFTER, MAX_ADDRESSES, Addresses, failed, looked_up

NONE = Addresses()


def after(*lookups: str) -> Addresses:
    """Each is a word of one-letter addresses."""
    known = NONE
    for lookup in lookups:
        known = looked_up(known, list(lookup))
    return known


def test_addresses_join_at_once_and_in_one_order() -> None:
    assert after("cab").known() == ("a", "b", "c")
    assert after("bc", "cab").known() == ("b", "c", "a")


def test_one_lookup_without_an_address_says_nothing_and_two_say_that_it_is_gone() -> None:
    assert after("ab", "a").known() == ("a", "b")
    assert after("ab", "a", "ab", "a").known() == ("a", "b")
    assert after("ab", "a", "a").known() == ("a",)


def test_a_name_that_loses_all_keeps_who_is_known() -> None:
    lost = after("ab", "", "", "")
    assert lost.known() == ("a", "b")
    assert lost.trouble == "it has no addresses"
    assert looked_up(lost, "b").trouble == ""


def test_a_failure_counts_as_no_lookup() -> None:
    known = after("ab", "a")
    for _ in range(5):
        known = failed(known, "no answer")
    assert known.known() == ("a", "b")
    assert known.trouble == "no answer"
    assert looked_up(known, "a").known() == ("a",)


def test_there_is_room_for_so_many_and_those_who_are_known_stay() -> None:
    many = [f"10.0.0.{number}" for number in range(100, 100 + MAX_ADDRESSES)]
    full = looked_up(NONE, many)
    more = looked_up(full, [*many, "10.0.0.0"])
    assert set(more.known()) == set(many)
    assert more.left_out == 1
    assert looked_up(more, many[1:]).left_out == 0


@given(st.lists(st.sets(st.integers(0, 99).map(str), max_size=99), max_size=8))
def test_whatever_lookups_say_the_known_are_few_unlike_and_lately_seen(lookups: list[set[str]]) -> None:
    known, told = NONE, [one for one in lookups if one]
    for lookup in lookups:
        known = looked_up(known, lookup)
    assert len(set(known.known())) == len(known.members) <= MAX_ADDRESSES
    lately = set[str]().union(*told[-GONE_AFTER:]) if told else set[str]()
    assert set(known.known()) <= lately
