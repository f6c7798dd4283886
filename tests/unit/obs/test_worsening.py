"""Whether a change made answers worse: told from chance, and from too little."""

from random import Random

import pytest

from proxy.obs.worsening import LEAST, LEAST_BAD, MARGIN, Tally, bounds, worse


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        ((1000, 0), (20, 20), True),  # everything fails
        ((1000, 0), (200, 40), True),
        ((1000, 100), (1000, 300), True),
        ((1000, 0), (LEAST - 1, LEAST - 1), False),  # too few
        ((1000, 0), (1000, LEAST_BAD - 1), False),
        ((1000, 0), (200, 5), False),  # within the margin, or chance
        ((1000, 300), (200, 60), False),  # as bad as before
        ((1000, 900), (200, 20), False),  # better
        ((0, 0), (500, 500), False),  # nothing to compare with
        ((3, 0), (50, 20), False),  # next to nothing
    ],
)
def test_errors(before: tuple[int, int], after: tuple[int, int], is_worse: bool) -> None:
    assert (worse(Tally(*before), Tally(*after)) is not None) == is_worse
    late_before, late_after = Tally(1000, 0, *before), Tally(1000, 0, *after)
    assert (worse(late_before, late_after) is not None) == is_worse, "the same for what is late"


def test_it_says_what() -> None:
    assert worse(Tally(1000, 1), Tally(50, 40)) == "errors: 40 of 50 since the change, 1 of 1000 before it"
    said = worse(Tally(1000, 1, 400, 4), Tally(50, 0, 50, 40))
    assert said == "late first tokens: 40 of 50 since the change, 4 of 400 before it"


def test_what_happened_in_between() -> None:
    assert Tally(10, 2, 5, 1).since(Tally(4, 1, 5, 0)) == Tally(6, 1, 0, 1)


def test_bounds_hold_the_share_and_shrink_with_the_count() -> None:
    assert bounds(0, 0) == (0.0, 1.0)
    for bad, of in ((0, 10), (3, 10), (10, 10), (300, 1000)):
        least, most = bounds(bad, of)
        assert 0.0 <= least <= bad / of <= most <= 1.0
    assert bounds(300, 1000)[1] - bounds(300, 1000)[0] < bounds(3, 10)[1] - bounds(3, 10)[0]


def test_the_same_traffic_is_seldom_called_worse_however_often_it_is_looked_at() -> None:
    rng, alarms = Random(7), 0
    for _ in range(300):
        share = rng.uniform(0.0, 0.3)
        before = Tally(400, sum(rng.random() < share for _ in range(400)))
        seen = bad = 0
        for _ in range(120):  # a minute of looks
            for _ in range(10):
                seen, bad = seen + 1, bad + (rng.random() < share)
            if worse(before, Tally(seen, bad)):
                alarms += 1
                break
    assert alarms <= 1, "of 300 trials"


def test_what_really_is_worse_is_noticed_within_some_hundred_requests() -> None:
    rng = Random(8)
    for _ in range(100):
        before = Tally(400, sum(rng.random() < 0.02 for _ in range(400)))
        seen = bad = 0
        while worse(before, Tally(seen, bad)) is None:
            seen, bad = seen + 1, bad + (rng.random() < 0.3)
            assert seen < 400
    assert MARGIN < 0.3
