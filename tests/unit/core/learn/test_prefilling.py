"""What computing prompts takes of an engine's time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.learn.entry import Entry
from proxy.core.learn.prefilling import PACE_S, Prefilling
from proxy.model.request import Job


def prompt(work: float) -> Entry:
    made = Entry(Job(1, "m"), 0.0, 0.0)
    made.work = work
    return made


def steady(work: float, there_s: float, seconds: float = 40.0) -> Prefilling:
    """Ten prompts a second of so much work each, there for `there_s` seconds of the tenth."""
    pace = Prefilling()
    for _ in range(round(10 * seconds)):
        one = prompt(work)
        pace.passes(there_s, one, True)
        pace.over(one, True)
        pace.next()
        if there_s < 0.1:
            pace.passes(0.1 - there_s, None, True)
    return pace


@pytest.mark.parametrize("there_s", [0.02, 0.06, 0.1])
def test_it_is_the_work_and_not_how_long_prompts_wait_for_a_step(there_s: float) -> None:
    assert steady(0.01, there_s).share(0.0, None, True) == pytest.approx(0.1, rel=0.15)


def test_it_is_never_more_than_the_time_in_which_a_prompt_was_there() -> None:
    pace = steady(5.0, 0.01)
    assert pace.share(0.0, None, True) == pytest.approx(0.1, rel=0.15)


def test_an_onset_shows_at_once_and_one_prompt_is_none() -> None:
    def begun(seconds: float) -> float:
        return steady(0.05, 0.1, seconds).share(0.0, None, True)

    assert begun(1.5) == pytest.approx(begun(40.0), rel=0.1)
    assert begun(0.1) < 0.2 * begun(40.0)


def test_a_long_prompt_counts_while_it_is_computed_and_fades_afterwards() -> None:
    pace, long = Prefilling(), prompt(8.0)
    assert pace.share(4.0, long, True) == pytest.approx(1.0), "though nothing was reported since it began"
    pace.passes(8.0, long, True)
    pace.over(long, True)
    pace.next()
    assert pace.share(0.0, None, True) == pytest.approx(1.0)
    assert pace.share(2 * PACE_S, None, True) < 0.2
    assert pace.done_s == pytest.approx(8.0)


@given(
    st.lists(st.tuples(st.floats(1e-3, 20.0), st.floats(0.0, 20.0), st.booleans()), max_size=40),
    st.floats(0.0, 30.0),
)
def test_it_is_a_share_whatever_comes(life: list[tuple[float, float, bool]], later: float) -> None:
    pace = Prefilling()
    for seconds, work, first in life:
        one = prompt(work)
        pace.passes(seconds, one if first else None, first)
        pace.over(one, first)
        pace.next()
        assert 0.0 <= pace.share(later, None, False) <= 1.0 + 1e-9
        assert 0.0 <= pace.share(later, one, True) <= 1.0 + 1e-9
    assert pace.done_s == pytest.approx(sum(work for _, work, _ in life))
