"""How long an engine may take, step by step; the clock is advanced."""

import asyncio
from typing import Any, cast

import pytest

from proxy.live.upstream.deadlines import FIRST_BYTE_S, Deadlines
from proxy.live.watch import NEVER, Watch
from tests.support.virtual_time import Clock
from tests.unit.live.standins import Transport


def made(first_byte_s: float | None = 50.0, idle_s: float = 3.0) -> tuple[Deadlines, Clock]:
    clock = Clock()
    deadlines = Deadlines(Watch(cast(asyncio.AbstractEventLoop, None), clock), first_byte_s, idle_s)
    deadlines.transport = Transport()
    return deadlines, clock


@pytest.mark.parametrize(
    ("configured", "asks", "gets"), [(50.0, 1800.0, 50.0), (None, 1800.0, 1800.0), (None, 600.0, FIRST_BYTE_S)]
)
def test_a_first_byte_may_take_as_long_as_configured_or_as_whoever_asks_will_wait(
    configured: float | None, asks: float, gets: float
) -> None:
    deadlines, clock = made(configured)
    assert deadlines.deadline == NEVER
    deadlines.asked(asks)
    assert deadlines.deadline == clock.now + gets


def test_silence_means_something_once_the_answer_has_begun() -> None:
    deadlines, clock = made()
    deadlines.asked(0.0)
    assert not deadlines.may_be_as_silent_as_first(), "it may be already"
    clock.now += 49.0
    deadlines.answer_begun(clock.now)
    assert deadlines.deadline == clock.now + 1.0, "not later than before"
    clock.now += 1.0
    assert deadlines.may_be_as_silent_as_first()
    deadlines.thinks_again()
    assert deadlines.deadline == clock.now + 47.0
    assert not deadlines.may_be_as_silent_as_first()


def test_what_is_in_vain_is_measured_from_the_last_progress() -> None:
    deadlines, clock = made(first_byte_s=5.0, idle_s=4.0)
    deadlines.asked(0.0)
    deadlines.answer_begun(clock.now)
    clock.now += 3.0
    deadlines.deadline = clock.now + 4.0  # something came
    deadlines.in_vain(clock.now, anew=False)
    assert (deadlines.deadline, deadlines.is_vain) == (clock.now + 2.0, True)
    assert not deadlines.may_be_as_silent_as_first(), "it is not silent"
    deadlines.deadline = clock.now + 4.0
    deadlines.in_vain(clock.now, anew=True)
    assert deadlines.deadline == clock.now + 4.0


def test_a_client_that_is_slow_is_nobodys_delay() -> None:
    deadlines, clock = made()
    deadlines.asked(0.0)
    deadlines.pause()
    assert deadlines.deadline == NEVER
    deadlines.answer_begun(clock.now)
    deadlines.in_vain(clock.now, anew=False)
    assert deadlines.deadline == NEVER
    clock.now += 3600.0
    deadlines.resume()
    assert deadlines.deadline == clock.now + 3.0
    deadlines.in_vain(clock.now, anew=False)
    assert not deadlines.is_vain, "the pause was none of the engine's"


def test_a_connection_that_is_gone_is_not_paused() -> None:
    deadlines, clock = made()
    deadlines.asked(0.0)
    cast(Any, deadlines.transport).closed = True
    deadlines.pause()
    deadlines.resume()
    assert deadlines.deadline == clock.now + 50.0


def test_what_lingers_waits_for_nothing_else() -> None:
    deadlines, clock = made()
    deadlines.asked(0.0)
    deadlines.linger(0.5)
    deadlines.answer_begun(clock.now)
    deadlines.in_vain(clock.now, anew=False)
    assert deadlines.deadline == clock.now + 0.5
