"""The budget, the order of use, shares, lifetimes."""

import random
import tracemalloc

import pytest

from proxy.core.cache.store import OVERHEAD_B, Store

TTL_S = 100.0
A, B = b"a" * 32, b"b" * 32


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def put(store: Store, scope: bytes, number: int, size_b: int = 100, now: float = 0.0) -> None:
    store.put(scope, key(number), b"x" * size_b, size_b, now, TTL_S)


def there(store: Store, scope: bytes, numbers: range, now: float = 0.0) -> list[int]:
    return [number for number in numbers if store.get(scope, key(number), now) is not None]


def test_what_is_put_is_found_in_its_scope_alone() -> None:
    store = Store(10_000, 10_000)
    put(store, A, 1)
    entry = store.get(A, key(1), 5.0)
    assert entry is not None
    assert entry.value == b"x" * 100
    assert entry.age_s(5.0) == 5.0
    assert entry.age_s(-3.0) == 0.0  # a clock that went back
    assert store.get(B, key(1), 5.0) is None
    assert store.get(A, key(2), 5.0) is None


def test_the_least_recently_used_goes_first() -> None:
    store = Store(20 * (100 + OVERHEAD_B), 10_000)
    for number in range(20):
        put(store, A, number)
    assert there(store, A, range(10)) == list(range(10))  # used now
    for number in range(20, 30):
        put(store, A, number)
    assert there(store, A, range(30)) == [*range(10), *range(20, 30)]
    assert store.evicted == 10


def test_of_the_oldest_the_largest_goes_first() -> None:
    store = Store(100_000, 60_000)
    put(store, A, 0, 1000)
    put(store, A, 1, 50_000)
    for number in range(2, 30):
        put(store, A, number, 1000)
    put(store, A, 30, 30_000)
    assert there(store, A, range(31)) == [0, *range(2, 31)]


def test_an_entry_over_the_bound_is_not_stored_and_harms_nobody() -> None:
    store = Store(100_000, 5_000)
    put(store, A, 1)
    assert store.put(A, key(1), b"", 5_000, 0.0, TTL_S) is None
    assert store.too_large == 1
    assert there(store, A, range(3)) == [1]


def test_one_tenant_fills_no_more_than_its_share() -> None:
    store = Store(100_000, 100_000, share=0.3)
    for number in range(500):
        put(store, A, number)
    assert store.used_b <= 30_000
    assert store.used_b > 29_000


def test_a_tenant_that_floods_pushes_out_nobody_who_has_less() -> None:
    store = Store(100_000, 100_000)
    for number in range(20):
        put(store, B, number)
    for number in range(5000):
        put(store, A, number)
    assert there(store, B, range(20)) == list(range(20))
    assert store.used_b <= 100_000


def test_it_lives_for_the_ttl_less_a_little() -> None:
    store = Store(1_000_000, 10_000)
    for number in range(256):
        store.put(A, bytes([number]) + bytes(31), b"", 1, 0.0, TTL_S)
    keys = [bytes([number]) + bytes(31) for number in range(256)]
    assert all(store.get(A, one, 0.9 * TTL_S - 0.001) for one in keys)
    half = [one for one in keys if store.get(A, one, 0.95 * TTL_S)]
    assert 100 < len(half) < 156
    assert not any(store.get(A, one, TTL_S) for one in keys)
    assert (store.count, store.used_b, store.scopes) == (0, 0, 0)


@pytest.mark.parametrize("ttl_s", [0.0, -1.0])
def test_without_a_time_to_live_nothing_is_kept(ttl_s: float) -> None:
    store = Store(10_000, 10_000)
    assert store.put(A, key(1), b"", 1, 0.0, ttl_s) is None
    assert store.count == 0


def test_one_key_is_one_entry() -> None:
    store = Store(10_000, 10_000)
    for size_b in (100, 300, 200):
        put(store, A, 1, size_b)
    assert (store.count, store.used_b) == (1, 200 + OVERHEAD_B)


def test_the_books_are_right_whatever_happens() -> None:
    rng = random.Random(14)
    store = Store(60_000, 9_000, share=0.6)
    scopes = [bytes([number]) * 32 for number in range(7)]
    for step in range(20_000):
        now = step * 0.05
        scope, number = rng.choice(scopes), int(rng.paretovariate(0.8)) % 300
        if rng.random() < 0.5:
            store.get(scope, key(number), now)
        else:
            store.put(scope, key(number), None, rng.randrange(10_000), now, rng.choice((0.0, 1.0, TTL_S)))
        assert store.used_b <= 60_000
    kept = [shelf.entries.values() for shelf in store._shelves.values()]
    assert store.used_b == sum(entry.size_b for entries in kept for entry in entries)
    assert store.count == sum(map(len, kept))
    assert all(kept)
    levels = [shelf for level in store._by_level for shelf in level.values()]
    assert sorted(shelf.scope for shelf in levels) == sorted(store._shelves)
    store.clear()
    assert (store.used_b, store.count, store.scopes) == (0, 0, 0)


@pytest.mark.parametrize("size_b", [300, 3000])
def test_the_budget_is_what_memory_says(size_b: int) -> None:
    """Bytes are counted truly: within a tenth of what the interpreter allocated."""
    store = Store(1 << 30, 1 << 20)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            store.put(A, key(number + 1), bytes(size_b), size_b + 40, float(number), TTL_S)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert store.used_b == pytest.approx(grown, rel=0.1)
