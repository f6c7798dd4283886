"""The scheduler on real time, with a scheduler that says what the test wrote down for it."""

import asyncio
from time import monotonic
from typing import Any, cast

import pytest

from proxy.live.driver import Driver
from proxy.model.commands import Abort, Command, Dispatch, Failed, Finished, FirstByte, Probed, Refuse, Report
from proxy.model.faults import Kind, internal, upstream
from proxy.model.request import Job

BUSY = upstream(Kind.BUSY, "busy")
FULL = internal(Kind.QUEUE_FULL, "full")


class Scripted:
    """Hands out prepared commands, one list a call, and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.answers: list[list[Command]] = []
        self.wakeup: float | None = None
        self.ticks = 0
        self.on_tick: list[list[Command]] = []

    def _next(self, call: Any, now: float) -> list[Command]:
        assert abs(monotonic() - now) < 5
        self.calls.append(call)
        return self.answers.pop(0) if self.answers else []

    def submit(self, job: Job, now: float) -> list[Command]:
        return self._next(job.id, now)

    def observe(self, report: Report, now: float) -> list[Command]:
        return self._next(report, now)

    def cancel(self, job_id: int, now: float) -> list[Command]:
        return self._next(("cancel", job_id), now)

    def refuse_new(self) -> list[Command]:
        return self._next("refuse_new", monotonic())

    def tick(self, now: float) -> list[Command]:
        self.ticks += 1
        self.wakeup = None
        return self.on_tick.pop(0) if self.on_tick else []

    def wakeup_at(self) -> float | None:
        return self.wakeup


class Timers:
    """The running loop, its `call_at` watched."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.armed: list[tuple[float, asyncio.TimerHandle]] = []

    def create_future(self) -> asyncio.Future[Any]:
        return self._loop.create_future()

    def call_at(self, when: float, callback: Any) -> asyncio.TimerHandle:
        handle = self._loop.call_at(when, callback)
        self.armed.append((when, handle))
        return handle

    @property
    def pending(self) -> list[float]:
        return [when for when, handle in self.armed if not handle.cancelled()]


def driven() -> tuple[Driver, Scripted, Timers]:
    scripted, timers = Scripted(), Timers()
    return Driver(scripted, cast(asyncio.AbstractEventLoop, timers)), scripted, timers


async def started(coroutine: Any) -> asyncio.Task[Any]:
    """A task that has run up to its first wait."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


async def test_at_once() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Dispatch(1, "alpha", 1)], [Refuse(2, FULL)]]
    assert await driver.place(Job(1, "m")) == Dispatch(1, "alpha", 1)
    assert await driver.place(Job(2, "m")) == Refuse(2, FULL)
    assert scripted.calls == [1, 2]


async def test_held_then_dispatched_by_another_jobs_end() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Dispatch(1, "alpha", 1)], [], [Dispatch(2, "alpha", 1)]]
    await driver.place(Job(1, "m"))
    held = await started(driver.place(Job(2, "m")))
    assert not held.done()
    driver.finished(Finished(1))
    assert await held == Dispatch(2, "alpha", 1)
    assert scripted.calls == [1, 2, Finished(1)]


async def test_a_submit_that_ends_others_too() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[], [Refuse(1, FULL), Dispatch(2, "beta", 1)]]
    held = await started(driver.place(Job(1, "m")))
    assert await driver.place(Job(2, "m")) == Dispatch(2, "beta", 1)
    assert await held == Refuse(1, FULL)


async def test_a_submit_that_only_moves_another() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[], [Dispatch(1, "alpha", 1)], [Dispatch(2, "alpha", 1)]]
    first = await started(driver.place(Job(1, "m")))
    second = await started(driver.place(Job(2, "m")))
    assert await first == Dispatch(1, "alpha", 1)
    assert not second.done()
    driver.learn(Probed("alpha", ok=True))
    assert await second == Dispatch(2, "alpha", 1)


async def test_failed_goes_on_or_ends() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Dispatch(1, "alpha", 1)], [Dispatch(1, "beta", 2)], [Refuse(1, BUSY)]]
    await driver.place(Job(1, "m"))
    assert await driver.failed(1, BUSY, "alpha", repeatable=True) == Dispatch(1, "beta", 2)
    assert await driver.failed(1, BUSY, "alpha", repeatable=False) == Refuse(1, BUSY)
    assert scripted.calls[1:] == [Failed(1, BUSY, True, "alpha"), Failed(1, BUSY, False, "alpha")]


async def test_failed_and_held_again() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Dispatch(1, "alpha", 1)], [], [Dispatch(1, "beta", 2)]]
    await driver.place(Job(1, "m"))
    again = await started(driver.failed(1, BUSY, "alpha", repeatable=True))
    driver.first_byte(7, "alpha")
    assert await again == Dispatch(1, "beta", 2)
    assert scripted.calls[-1] == FirstByte(7, "alpha")


async def test_cancelled_while_held() -> None:
    driver, scripted, _ = driven()
    held = await started(driver.place(Job(1, "m")))
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    driver.left(1)
    assert scripted.calls == [1, ("cancel", 1)]
    scripted.answers = [[Dispatch(1, "alpha", 1)]]
    driver.drain()  # a command for a job that nobody awaits is nobody's


async def test_left_while_held_frees_others() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[], [], [Dispatch(2, "alpha", 1)]]
    first = await started(driver.place(Job(1, "m")))
    second = await started(driver.place(Job(2, "m")))
    driver.left(1)
    assert await second == Dispatch(2, "alpha", 1)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_cancelled_in_the_turn_in_which_it_was_dispatched() -> None:
    """The permit is taken by then: the caller's `left` must reach the scheduler."""
    driver, scripted, _ = driven()
    held = await started(driver.place(Job(1, "m")))
    scripted.answers = [[Dispatch(1, "alpha", 1)]]
    driver.learn(Probed("alpha", ok=True))
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    driver.left(1)
    assert scripted.calls[-1] == ("cancel", 1)


async def test_drain_ends_all_that_wait() -> None:
    driver, scripted, _ = driven()
    held = [await started(driver.place(Job(number, "m"))) for number in (1, 2, 3)]
    scripted.answers = [[Refuse(number, FULL) for number in (1, 2, 3)]]
    driver.drain()
    assert await asyncio.gather(*held) == [Refuse(number, FULL) for number in (1, 2, 3)]


async def test_broke_and_finished_say_so() -> None:
    driver, scripted, _ = driven()
    driver.broke(1, BUSY, "alpha")
    driver.finished(Finished(2))
    assert scripted.calls == [Failed(1, BUSY, False, "alpha"), Finished(2)]


async def test_one_timer_for_the_wakeup() -> None:
    driver, scripted, timers = driven()
    scripted.answers = [[Dispatch(n, "alpha", 1)] for n in range(4)]
    await driver.place(Job(0, "m"))
    assert timers.armed == [], "nothing to wake up for"
    scripted.wakeup = far = monotonic() + 3600
    await driver.place(Job(1, "m"))
    driver.finished(Finished(1))
    assert [when for when, _ in timers.armed] == [far], "an unchanged wakeup is left alone"
    scripted.wakeup = nearer = far - 60
    driver.first_byte(1, "alpha")
    assert timers.pending == [nearer]
    scripted.wakeup = None
    driver.first_byte(1, "alpha")
    assert timers.pending == []


async def test_the_timer_ticks_and_is_armed_again() -> None:
    driver, scripted, timers = driven()
    held = await started(driver.place(Job(1, "m")))
    scripted.on_tick = [[Refuse(1, FULL)]]
    scripted.wakeup = monotonic() + 0.02
    driver.first_byte(9, "alpha")
    assert await asyncio.wait_for(held, 5) == Refuse(1, FULL)
    assert scripted.ticks == 1
    scripted.wakeup = monotonic() + 3600
    driver.first_byte(9, "alpha")
    assert timers.pending[-1] == scripted.wakeup
    timers.armed[-1][1].cancel()


async def test_a_wakeup_in_the_past_is_now() -> None:
    driver, scripted, _ = driven()
    scripted.wakeup = monotonic() - 1
    driver.first_byte(9, "alpha")
    for _ in range(1000):
        if scripted.ticks:
            break
        await asyncio.sleep(0.005)
    assert scripted.ticks == 1


async def test_a_preempted_job_stops_and_goes_on_where_it_is_told() -> None:
    driver, scripted, _ = driven()
    stopped: list[str] = []
    scripted.answers = [[Dispatch(1, "alpha", 1)]]
    await driver.place(Job(1, "m", bulk=True), lambda: stopped.append("1"))
    assert not driver.is_preempted(1)
    scripted.answers = [[Abort(1, "alpha"), Dispatch(2, "alpha", 1)]]
    assert await driver.place(Job(2, "m")) == Dispatch(2, "alpha", 1)
    assert stopped == ["1"]
    assert driver.is_preempted(1)
    again = await started(driver.again(1))
    assert not again.done()
    scripted.answers = [[Dispatch(1, "beta", 1)]]
    driver.finished(Finished(2))
    assert await again == Dispatch(1, "beta", 1)
    assert not driver.is_preempted(1)


async def test_the_next_command_of_a_preempted_job_may_come_before_it_looks() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Dispatch(1, "alpha", 1)]]
    await driver.place(Job(1, "m", bulk=True), lambda: None)
    scripted.answers = [[Abort(1, "alpha"), Dispatch(1, "beta", 1)], [Abort(1, "beta"), Refuse(1, FULL)]]
    driver.learn(Probed("alpha", ok=True))
    driver.learn(Probed("beta", ok=True))  # and lost that place too, before its turn came
    assert await driver.again(1) == Refuse(1, FULL)


async def test_a_preempted_job_whose_client_left_is_forgotten() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Dispatch(1, "alpha", 1)], [Abort(1, "alpha")]]
    await driver.place(Job(1, "m", bulk=True), lambda: None)
    driver.learn(Probed("alpha", ok=True))
    driver.left(1)
    assert not driver.is_preempted(1)
    assert scripted.calls[-1] == ("cancel", 1)
    assert not driver._aborts
    assert not driver._waiting


@pytest.mark.parametrize("end", ["refused", "finished", "broke", "left"])
async def test_nothing_is_kept_of_a_job_that_is_over(end: str) -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Refuse(1, FULL)] if end == "refused" else [Dispatch(1, "alpha", 1)]]
    await driver.place(Job(1, "m", demotable=True), lambda: None)
    if end == "finished":
        driver.finished(Finished(1))
    elif end == "broke":
        driver.broke(1, BUSY, "alpha")
    elif end == "left":
        driver.left(1)
    assert not driver._aborts
