"""Second attempts: whether one may be paid for, and where it goes."""

import pytest

from proxy.core.fleet.health import HealthState
from proxy.model.commands import Command, Dispatch
from proxy.model.hedge import Hedge
from tests.unit.core.playing import Play, spec

RULE = Hedge(0.0, 0.3, 0.5)


def late(play: Play, first_id: int = 1, count: int = 1) -> list[Command]:
    """So many hedged jobs that are late at the same moment."""
    for number in range(count):
        play.submit(first_id + number, hedge=RULE, stream=True)
    return play.later(0.3)


def many() -> Play:
    """Idle ones enough for all, and for their seconds."""
    return Play(*(spec(f"b{number}") for number in range(60)))


def test_a_class_may_hedge_one_and_then_its_share() -> None:
    play = Play(spec("a"), spec("b"))
    assert len(late(play, count=1)) == 1
    play = many()
    assert len(late(play, count=4)) == 1 + 4 * 0.5
    assert (play.counts.late, play.counts.hedges, play.counts.hedges_unpaid) == (4, 3, 1)


def test_what_is_saved_up_is_bounded() -> None:
    play = many()
    for number in range(1, 101):
        play.submit(number, hedge=RULE, stream=True)
        play.finish(number)
    assert len(late(play, 200, count=30)) == 10


def test_nobody_else_is_nobody() -> None:
    play = Play(spec("a"))
    assert late(play) == []
    assert play.counts.hedges_alone == 1


@pytest.mark.parametrize("why", ["ejected", "slow start", "full"])
def test_it_goes_to_nobody_who_is_not_well(why: str) -> None:
    play = Play(spec("a", 1), spec("b", 1), policy="round_robin")
    if why == "full":
        play.submit(50)
        play.submit(51)
        play.finish(50)
    else:
        play.fail_until_ejected("b", 10)
        assert play.view("b").state is HealthState.EJECTED
        if why == "slow start":
            play.later(5.0)
            play.probe("b")
            assert play.view("b").share < 1.0
    (sent,) = play.submit(1, hedge=RULE, stream=True)
    assert isinstance(sent, Dispatch)
    assert sent.backend == "a"
    assert play.later(0.3) == []
    assert play.counts.hedges_alone == 1


def test_past_its_deadline_nothing_is_paid() -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1, hedge=RULE, stream=True, deadline=play.now + 0.3)
    assert play.later(0.3) == []
    assert (play.counts.late, play.counts.hedges_unpaid, play.counts.hedges_alone) == (1, 0, 0)
