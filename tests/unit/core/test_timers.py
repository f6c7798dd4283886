"""One time per key, soonest first, bounded in memory."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.timers import Timers


def test_nothing_is_due_at_first() -> None:
    timers = Timers()
    assert timers.soonest == inf
    assert timers.next_at() is None
    assert timers.due(1e9) == []


def test_due_at_its_time_and_not_before() -> None:
    timers = Timers()
    timers.set(1, 5.0)
    assert timers.due(4.999) == []
    assert timers.due(5.0) == [1]
    assert timers.due(5.0) == []


def test_soonest_first() -> None:
    timers = Timers()
    for key, at in ((1, 3.0), (2, 1.0), (3, 2.0)):
        timers.set(key, at)
    assert timers.next_at() == 1.0
    assert timers.due(2.5) == [2, 3]
    assert timers.next_at() == 3.0


def test_setting_again_replaces() -> None:
    timers = Timers()
    timers.set(1, 1.0)
    timers.set(1, 9.0)
    assert timers.due(5.0) == []
    assert timers.next_at() == 9.0
    timers.set(1, 6.0)
    assert timers.due(10.0) == [1]


def test_a_cleared_key_is_not_due() -> None:
    timers = Timers()
    timers.set(1, 1.0)
    timers.clear(1)
    timers.clear(2)
    assert timers.next_at() is None
    assert timers.soonest == inf
    timers.set(1, 1.0)
    assert timers.due(1.0) == [1]


def test_withdrawn_entries_do_not_pile_up() -> None:
    timers = Timers()
    timers.set(0, 1e9)
    for key in range(1, 10_000):
        timers.set(key, 1e6 + key)
        timers.clear(key)
    assert len(timers._heap) < 100
    assert timers.next_at() == 1e9


@given(st.lists(st.tuples(st.sampled_from(["set", "clear", "due"]), st.integers(0, 5), st.integers(0, 20))))
def test_behaves_as_a_sorted_dictionary(steps: list[tuple[str, int, int]]) -> None:
    timers = Timers()
    model: dict[int, float] = {}
    for what, key, at in steps:
        if what == "set":
            timers.set(key, float(at))
            model[key] = float(at)
        elif what == "clear":
            timers.clear(key)
            model.pop(key, None)
        else:
            expected = sorted((t, k) for k, t in model.items() if t <= at)
            assert timers.due(float(at)) == [k for _, k in expected]
            model = {k: t for k, t in model.items() if t > at}
        assert timers.soonest <= min(model.values(), default=inf)
        assert timers.next_at() == min(model.values(), default=None)
