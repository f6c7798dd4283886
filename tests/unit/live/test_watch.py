"""One timer for many deadlines: late by a tick at most, deaf to what left, asleep when there is nothing to watch."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from proxy.live.watch import NEVER, PAUSE_S, TICK_S, Watch
from tests.support.virtual_time import Clock, in_virtual_time


class Timer:
    def __init__(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.delay_s, self.callback = delay_s, callback


class Loop:
    """A loop whose timers the test lets go off."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(delay_s, callback))
        return self.timers[-1]

    def sweep(self) -> None:
        (timer,) = self.timers
        self.timers = []
        timer.callback()


class Thing:
    """Something watched; `then` is what it does when it expires, besides being counted."""

    def __init__(self, deadline: float, then: Callable[["Thing"], Any] = lambda thing: None) -> None:
        self.deadline = deadline
        self.expiries = 0
        self._then = then

    def expired(self, now: float) -> None:
        assert self.deadline <= now
        self.expiries += 1
        self._then(self)


PAST, FUTURE = 0.0, monotonic() + 3600


def watching(*things: Thing) -> tuple[Watch, Loop]:
    loop: Any = Loop()
    watch = Watch(loop, monotonic)
    for thing in things:
        watch.add(thing)
    return watch, loop


def test_only_what_is_due_expires() -> None:
    due, later, never = Thing(PAST), Thing(FUTURE), Thing(NEVER)
    _, loop = watching(due, later, never)
    assert [timer.delay_s for timer in loop.timers] == [TICK_S]
    loop.sweep()
    assert (due.expiries, later.expiries, never.expiries) == (1, 0, 0)
    later.deadline = PAST
    loop.sweep()
    assert (due.expiries, later.expiries) == (2, 1), "again and again until it moves its deadline or leaves"


def test_nothing_to_watch_nothing_to_do() -> None:
    watch, loop = watching()
    assert loop.timers == []
    thing = Thing(PAST)
    watch.add(thing)
    watch.add(thing)
    assert len(loop.timers) == 1
    watch.discard(thing)
    watch.discard(thing)
    loop.sweep()
    assert (thing.expiries, loop.timers) == (0, [])
    watch.add(thing)
    loop.sweep()
    assert thing.expiries == 1, "wakes up again"


def test_what_leaves_as_it_expires_is_forgotten() -> None:
    thing = Thing(PAST, lambda t: watch.discard(t))
    watch, loop = watching(thing)
    loop.sweep()
    loop.sweep()
    assert (thing.expiries, loop.timers) == (1, [])


def test_what_comes_during_a_sweep_waits_for_the_next() -> None:
    newcomers: list[Thing] = []

    def bring(_: Thing) -> None:
        if not newcomers:
            newcomers.append(Thing(PAST))
            watch.add(newcomers[0])

    watch, loop = watching(Thing(PAST, bring))
    loop.sweep()
    assert newcomers[0].expiries == 0
    loop.sweep()
    assert newcomers[0].expiries == 1


def test_what_left_during_a_sweep_is_left_alone() -> None:
    things: list[Thing] = []
    things += [Thing(PAST, lambda t: [watch.discard(other) for other in things if other is not t]) for _ in range(5)]
    watch, loop = watching(*things)
    loop.sweep()
    assert sum(thing.expiries for thing in things) == 1


@in_virtual_time
async def test_a_deadline_is_noticed_a_tick_late_at_most() -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    thing = Thing(loop.time() + 3600.05, lambda t: (watch.discard(t), gone.set()))
    watch = Watch(loop, loop.time)
    watch.add(thing)
    await gone.wait()
    assert thing.expiries == 1
    assert 0.0 <= loop.time() - thing.deadline <= TICK_S + 1e-6


def paused_for(pause_s: float, *things: Thing) -> tuple[Watch, Loop, Clock]:
    """A watch whose next sweep comes so much too late."""
    loop: Any = Loop()
    clock = Clock(100.0)
    watch = Watch(loop, clock)
    for thing in things:
        watch.add(thing)
    clock.now += TICK_S + pause_s
    loop.sweep()
    return watch, loop, clock


def test_a_pause_of_our_own_moves_every_deadline() -> None:
    """What came meanwhile lies unread: it is no silence of the other side."""
    soon, later, never = Thing(103.0), Thing(200.0), Thing(NEVER)
    watch, loop, clock = paused_for(60.0, soon, later, never)
    assert (soon.expiries, soon.deadline, later.deadline, never.deadline) == (0, 163.0, 260.0, NEVER)
    assert watch.ran() == 100.0 + TICK_S
    clock.now += TICK_S
    loop.sweep()
    assert soon.expiries == 0
    soon.deadline = clock.now
    loop.sweep()
    assert soon.expiries == 1, "what is late for another reason is judged as ever"


def test_a_sweep_that_is_a_little_late_is_none() -> None:
    due = Thing(100.2)
    watch, _, _ = paused_for(PAUSE_S - 0.01, due)
    assert due.expiries == 1
    assert watch.ran() > 100.5


def test_an_empty_watch_sleeps_without_pausing() -> None:
    thing = Thing(NEVER)
    watch, loop, clock = paused_for(0.0, thing)
    watch.discard(thing)
    clock.now += TICK_S
    loop.sweep()
    assert loop.timers == []
    clock.now += 3600.0
    watch.add(thing)
    thing.deadline = clock.now + 1.0
    clock.now += TICK_S
    loop.sweep()
    assert thing.deadline == clock.now + 1.0 - TICK_S
    assert watch.ran() == clock.now


@in_virtual_time
async def test_a_timeout_ends_what_it_is_about() -> None:
    loop = asyncio.get_running_loop()
    watch = Watch(loop, loop.time)
    with pytest.raises(TimeoutError):
        async with watch.timeout(300.0):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with watch.timeout(60.0):
        await asyncio.sleep(0)
    assert not watch._things


async def test_a_timeout_is_not_the_cancellation_of_others() -> None:
    watch = Watch(asyncio.get_running_loop(), monotonic)

    async def wait() -> None:
        async with watch.timeout(60.0):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    for limit in list(watch._things):
        limit.expired(0.0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_timeout_that_passes_as_the_work_is_done_leaves_nothing() -> None:
    watch = Watch(asyncio.get_running_loop(), monotonic)
    ready = asyncio.get_running_loop().create_future()

    async def wait() -> str:
        async with watch.timeout(60.0):
            await ready
            return "done"

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    ready.set_result(None)
    for limit in list(watch._things):
        limit.expired(0.0)
    await asyncio.wait([task])
    assert isinstance(task.exception(), TimeoutError), "asyncio throws a cancellation into what was about to go on"
    assert task.cancelling() == 0
