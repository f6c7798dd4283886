"""Rates of the last minutes: which seconds count, and that old ones do not."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.obs.rates import SECONDS, WINDOW_S, Rate, Rates


def test_the_second_that_runs_does_not_count_yet() -> None:
    rates = Rates()
    rates.count(100.2, 10, 10)
    assert rates.over(100.9) == Rate(0.0, 0.0, 0.0)
    assert rates.over(101.0) == Rate(1 / WINDOW_S, 10 / WINDOW_S, 10 / WINDOW_S)
    assert rates.over(100.9 + WINDOW_S) == Rate(1 / WINDOW_S, 10 / WINDOW_S, 10 / WINDOW_S)
    assert rates.over(101.0 + WINDOW_S) == Rate(0.0, 0.0, 0.0)


def test_a_place_that_is_taken_again_forgets() -> None:
    rates = Rates()
    rates.count(7.0, 5, 5)
    rates.count(7.0 + SECONDS, 3, 0)
    assert rates.over(8.0 + SECONDS) == Rate(0.1, 0.3, 0.0)
    assert rates.over(8.0) == Rate(0.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.floats(0, 2000), st.integers(0, 1000)), max_size=60), st.floats(0, 3000))
def test_against_all_that_was_counted(ends: list[tuple[float, int]], later: float) -> None:
    ends = sorted(ends)
    now = (ends[-1][0] if ends else 0.0) + later
    rates = Rates()
    for at, tokens in ends:
        rates.count(at, tokens, tokens // 2)
    within = [tokens for at, tokens in ends if int(now) - WINDOW_S <= int(at) < int(now)]
    assert rates.over(now) == Rate(
        len(within) / WINDOW_S, sum(within) / WINDOW_S, sum(tokens // 2 for tokens in within) / WINDOW_S
    )
    past = rates.past(now, 2)
    assert len(past) == SECONDS // 2 - 1
    since = int(now) // 2 * 2 - SECONDS + 2
    known = [tokens for at, tokens in ends if since <= int(at) < int(now) // 2 * 2]
    assert abs(sum(point[1] for point in past) * 2 - sum(known)) < 1e-6
