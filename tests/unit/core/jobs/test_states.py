"""The two tables: what may follow what, and that a step out of order is not taken."""

import pytest

from proxy.core.jobs import states


def walk(*events: int) -> list[int]:
    state, been = states.OPEN, []
    for event in events:
        state = states.job_after(state, event)
        been.append(state)
    return been


def test_a_job_that_is_served_at_once() -> None:
    assert walk(states.SENT, states.RETURNED, states.CLOSED) == [states.OUT, states.OPEN, states.OVER]


def test_a_job_that_is_held_sent_hedged_preempted_and_left() -> None:
    there = walk(states.HOLDS, states.TAKEN, states.SENT, states.SENT, states.RETURNED, states.HOLDS)
    assert there == [states.HELD, states.OPEN, states.OUT, states.OUT, states.OPEN, states.HELD]
    assert walk(states.HOLDS, states.SENT, states.TAKEN, states.CLOSED, states.RETURNED)[-1] == states.OVER


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (states.OPEN, states.RETURNED),
        (states.HELD, states.HOLDS),
        (states.HELD, states.CLOSED),
        (states.OVER, states.SENT),
        (states.OVER, states.CLOSED),
        (states.OVER, states.HOLDS),
    ],
)
def test_no_job_takes_a_step_that_is_not_in_the_table(state: int, event: int) -> None:
    with pytest.raises(AssertionError):
        states.job_after(state, event)


def test_an_attempt_begins_as_often_as_it_says_and_ends_once() -> None:
    begun = states.attempt_after(states.WAITING, states.BEGAN)
    assert states.attempt_after(begun, states.BEGAN) == begun == states.ANSWERING
    for state in (states.WAITING, begun):
        assert states.attempt_after(state, states.END) == states.ENDED
    for event in (states.BEGAN, states.END):
        with pytest.raises(AssertionError):
            states.attempt_after(states.ENDED, event)
