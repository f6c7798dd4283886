"""Who goes next: tenants share alike whatever the number of their batches, newcomers do not catch up."""

from collections import Counter

from proxy.core.bulk.turns import Turns


def shares(turns: Turns, waiting: list[tuple[int, bytes]], rounds: int, weights: dict[bytes, float]) -> Counter[int]:
    had: Counter[int] = Counter()
    whose = dict(waiting)
    for _ in range(rounds):
        number = turns.next(waiting)
        assert number is not None
        turns.went(number, whose[number], 100, weights.get(whose[number], 1.0))
        had[number] += 100
    return had


def test_a_tenant_with_many_batches_has_no_more_than_one_with_one() -> None:
    had = shares(Turns(), [(1, b"a"), (2, b"a"), (3, b"a"), (4, b"b")], 600, {})
    assert had == {1: 10_000, 2: 10_000, 3: 10_000, 4: 30_000}


def test_weights_count() -> None:
    had = shares(Turns(), [(1, b"a"), (2, b"b")], 400, {b"a": 3.0})
    assert had == {1: 30_000, 2: 10_000}


def test_who_comes_later_does_not_catch_up() -> None:
    turns = Turns()
    shares(turns, [(1, b"a")], 100, {})
    had = shares(turns, [(1, b"a"), (2, b"b")], 100, {})
    assert had == {1: 5000, 2: 5000}


def test_nobody_waits() -> None:
    assert Turns().next([]) is None
