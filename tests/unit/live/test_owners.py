"""Who has what: within its bound, for one tenant, over a restart and from another proxy."""

import tracemalloc
from typing import Any

from proxy.live.owners import Known, Owners, name_of
from proxy.live.shared_owners import Owner
from proxy.model.limits import StoredLimits
from proxy.model.units import MIB
from proxy.wire.identity import whose_of

MINE, OTHERS = whose_of("mine", {}), whose_of("others", {})
DAY = 24 * 3600.0


class Second:
    """What others were told, and say."""

    def __init__(self) -> None:
        self.held: dict[bytes, Owner] = {}
        self.times = self.told = self.dropped = 0
        self.is_away = False

    async def find(self, name: bytes) -> Owner | bool | None:
        return False if self.is_away else self.held.get(name)

    def tell(self, name: bytes, owner: Owner, keep_s: float) -> None:
        self.times += 1
        self.held[name] = owner

    def forget(self, name: bytes) -> None:
        self.held.pop(name, None)


def two(second: Any) -> tuple[Owners, Owners]:
    return Owners(StoredLimits(), lambda: second), Owners(StoredLimits(), lambda: second)


async def test_what_one_learned_another_finds_and_nobody_else() -> None:
    second = Second()
    one, other = two(second)
    one.learn(MINE, "r1", "a", "m", 0.0)
    assert await other.sought(MINE, "r1", 1.0) == ("a", "m")
    assert await other.sought(OTHERS, "r1", 1.0) is None
    assert await other.sought(b"", "r1", 1.0) is None
    second.held.clear()
    assert await other.sought(MINE, "r1", 2.0) == ("a", "m"), "it knows by itself now"
    assert other.view().lookups == {"second_level": 1, "nowhere": 2, "memory": 1}


async def test_what_was_deleted_is_gone_there_too() -> None:
    one, other = two(Second())
    one.learn(MINE, "r1", "a", "m", 0.0)
    one.forget(MINE, "r1", 1.0)
    assert await one.sought(MINE, "r1", 2.0) is None
    assert await other.sought(MINE, "r1", 2.0) is None


async def test_where_nobody_answers_it_is_as_absent_and_counted() -> None:
    second = Second()
    one, _ = two(second)
    second.is_away = True
    assert await one.sought(MINE, "r1", 0.0) is None
    assert one.view().lookups == {"unanswered": 1}


def test_one_that_is_used_is_told_again_now_and_then() -> None:
    second = Second()
    one, _ = two(second)
    one.learn(MINE, "c1", "a", "m", 0.0)
    for hour in range(48):
        assert one.find(MINE, "c1", hour * 3600.0) == ("a", "m")
    assert 10 <= second.times <= 17


def test_another_process_goes_on_with_what_was_known() -> None:
    one, later = Owners(StoredLimits()), Owners(StoredLimits())
    one.learn(MINE, "r1", "a", "m", 0.0)
    one.learn(OTHERS, "r2", "b", "m", 0.0)
    later.recall((Known(e.key, e.value, e.expires) for e in one.known()), 100.0)
    assert later.find(OTHERS, "r1", 101.0) is None
    assert later.find(MINE, "r1", 101.0) == ("a", "m")
    assert later.find(MINE, "r1", 101.0 + 0.9 * DAY) == ("a", "m"), "asked for, it is kept for longer"
    assert len(later) == 2
    later.forget(OTHERS, "r2", 102.0)
    assert later.find(OTHERS, "r2", 103.0) is None
    assert len(later) == 1


def test_what_was_too_old_is_not_recalled() -> None:
    later = Owners(StoredLimits())
    later.recall([Known(name_of(MINE, "r1"), ("a", "m"), 50.0)], 60.0)
    assert not len(later)


def test_a_hundred_thousand_ids_have_their_bound_and_push_out_no_other_tenants() -> None:
    owners = Owners(StoredLimits(size=4 * MIB))
    owners.learn(MINE, "mine", "a", "m", 0.0)
    tracemalloc.start()
    for number in range(100_000):
        owners.learn(OTHERS, f"resp_{number}", "b", "m", 1.0)
    held_b = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held_b < 8 * MIB
    assert 10_000 < len(owners) < 20_000
    assert owners.find(MINE, "mine", 2.0) == ("a", "m")
    assert owners.find(OTHERS, "resp_99999", 2.0) == ("b", "m")
    assert owners.find(OTHERS, "resp_0", 2.0) is None
    owners.configure(StoredLimits(size=1 * MIB))
    assert len(owners) < 4_000


def test_names_tell_no_tenant_from_an_id() -> None:
    assert name_of(b"", "ab") != name_of(b"a", "b")
    assert len({name_of(MINE, "r"), name_of(OTHERS, "r"), name_of(MINE, "s"), name_of(MINE, "\ud800")}) == 4
