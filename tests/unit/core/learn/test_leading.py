"""Which beginnings are computed right now, and by whom."""

from proxy.core.learn.entry import Entry
from proxy.core.learn.leading import Leading
from proxy.model.request import Job


def entry() -> Entry:
    return Entry(Job(0, "m"), 0.0, 0.0)


def test_the_first_leads_and_leaves_no_trace() -> None:
    known, first, second = Leading(), entry(), entry()
    known.begin(first, (1, 2, 3, 4), 1)
    known.begin(second, (1, 2, 3, 9), 1)
    assert first.leads == (2, 3, 4)
    assert known.by_block == {2: first, 3: first, 4: first, 9: second}
    known.end(first)
    assert (first.leads, known.by_block) == ((), {9: second})
    known.end(second)
    assert not known.by_block


def test_the_map_is_bounded() -> None:
    known = Leading()
    for start in range(0, 100_000, 1000):
        known.begin(entry(), tuple(range(start, start + 1000)), 0)
    assert len(known.by_block) <= 65_536
