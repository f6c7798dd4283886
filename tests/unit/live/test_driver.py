"""The scheduler on real time, with a scheduler that says what the test wrote down for it."""

import asyncio
from time import monotonic
from typing import Any, cast

import pytest

from proxy.live.driver import Driver, Mailbox
from proxy.model.commands import Abort, Command, Dispatch, Failed, Finished, FirstByte, Probed, Refuse, Report
from proxy.model.faults import Kind, internal, upstream
from proxy.model.request import Job
from tests.support.virtual_time import in_virtual_time

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


class Box:
    """A mailbox that only remembers."""

    def __init__(self) -> None:
        self.got: list[Command] = []

    def put(self, command: Command) -> None:
        self.got.append(command)


def driven() -> tuple[Driver, Scripted, Timers]:
    scripted, timers = Scripted(), Timers()
    loop = asyncio.get_running_loop()
    return Driver(scripted, cast(asyncio.AbstractEventLoop, timers), loop.time), scripted, timers


def sent(job_id: int, backend: str = "alpha", attempt: int = 0, number: int = 1) -> Dispatch:
    return Dispatch((job_id,), backend, attempt or job_id, number)


async def started(coroutine: Any) -> asyncio.Task[Any]:
    """A task that has run up to its first wait."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


async def test_every_command_goes_into_the_box_of_its_job() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[], [Refuse(1, FULL), sent(2)]]
    one, two = Box(), Box()
    driver.submit(Job(1, "m"), one)
    assert one.got == [], "held"
    driver.submit(Job(2, "m"), two)
    assert (one.got, two.got) == ([Refuse(1, FULL)], [sent(2)])
    assert scripted.calls == [1, 2]


async def test_whatever_is_reported_may_move_others() -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[sent(1)], [], [], [Abort((1,), 1, "alpha"), sent(2)]]
    one, two = Box(), Box()
    driver.submit(Job(1, "m"), one)
    driver.submit(Job(2, "m"), two)
    driver.report(FirstByte(1))
    driver.report(Probed("alpha", ok=True))
    assert one.got == [sent(1), Abort((1,), 1, "alpha")]
    assert two.got == [sent(2)]
    assert scripted.calls == [1, 2, FirstByte(1), Probed("alpha", ok=True)]


async def test_an_attempt_of_several_jobs_is_told_to_each_of_them() -> None:
    driver, scripted, _ = driven()
    both = Dispatch((1, 2), "alpha", 1)
    scripted.answers = [[], [both]]
    one, two = Box(), Box()
    driver.submit(Job(1, "m"), one)
    driver.submit(Job(2, "m"), two)
    assert one.got == two.got == [both]


@pytest.mark.parametrize("end", ["refused", "finished", "broke", "left"])
async def test_nothing_is_kept_of_a_job_that_is_over(end: str) -> None:
    driver, scripted, _ = driven()
    scripted.answers = [[Refuse(1, FULL)] if end == "refused" else [sent(1)]]
    box = Box()
    driver.submit(Job(1, "m"), box)
    if end == "finished":
        driver.ended(1, Finished(1))
    elif end == "broke":
        driver.ended(1, Failed(1, BUSY, False))
    elif end == "left":
        driver.left(1)
    if end != "refused":
        assert scripted.calls[-1] == {"finished": Finished(1), "broke": Failed(1, BUSY, False)}.get(end, ("cancel", 1))
    scripted.answers = [[sent(1)]]
    driver.drain()
    assert len(box.got) == 1, "a command for a job that is over is nobody's"


async def test_the_clock_is_asked_when_something_happens() -> None:
    times = iter([5.0, 7.5, 8.0])
    heard: list[float] = []

    class Hears(Scripted):
        def _next(self, call: Any, now: float) -> list[Command]:
            heard.append(now)
            return []

    driver = Driver(Hears(), asyncio.get_running_loop(), lambda: next(times))
    driver.submit(Job(1, "m"), Box())
    driver.report(FirstByte(1))
    driver.left(1)
    assert heard == [5.0, 7.5, 8.0]


# --- the box


async def test_a_command_waits_until_it_is_read() -> None:
    box = Mailbox(asyncio.get_running_loop())
    box.put(sent(1))
    assert await box.next() == sent(1)
    reading = await started(box.next())
    assert not reading.done()
    box.put(Refuse(1, FULL))
    assert await reading == Refuse(1, FULL)


async def test_whoever_reads_waits_for_a_command_and_not_for_any_news() -> None:
    box = Mailbox(asyncio.get_running_loop())
    reading = await started(box.next())
    box.wake()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reading.done()
    box.put(sent(1))
    assert await reading == sent(1)


async def test_a_place_lost_before_it_was_read_was_never_there() -> None:
    box = Mailbox(asyncio.get_running_loop())
    reading = await started(box.next())
    box.put(sent(1, attempt=7))
    box.put(Abort((1,), 7, "alpha"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reading.done()
    box.put(sent(1, "beta", attempt=8, number=1))
    assert await reading == sent(1, "beta", attempt=8)


async def test_who_leaves_while_it_waits_leaves_nothing() -> None:
    box = Mailbox(asyncio.get_running_loop())
    reading = await started(box.next())
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    box.put(sent(1))
    box.wake()
    assert await box.next() == sent(1)


# --- the timer


async def test_one_timer_for_the_wakeup() -> None:
    driver, scripted, timers = driven()
    scripted.answers = [[sent(n)] for n in range(4)]
    driver.submit(Job(0, "m"), Box())
    assert timers.armed == [], "nothing to wake up for"
    scripted.wakeup = far = monotonic() + 3600
    driver.submit(Job(1, "m"), Box())
    driver.ended(1, Finished(1))
    assert [when for when, _ in timers.armed] == [far], "an unchanged wakeup is left alone"
    scripted.wakeup = nearer = far - 60
    driver.report(FirstByte(1))
    assert timers.pending == [nearer]
    scripted.wakeup = None
    driver.report(FirstByte(1))
    assert timers.pending == []


@in_virtual_time
async def test_the_timer_ticks_and_is_armed_again() -> None:
    driver, scripted, timers = driven()
    held = Box()
    driver.submit(Job(1, "m"), held)
    scripted.on_tick = [[Refuse(1, FULL)]]
    scripted.wakeup = asyncio.get_running_loop().time() + 7200.0
    driver.report(FirstByte(9))
    await asyncio.sleep(7199.0)
    assert held.got == []
    await asyncio.sleep(1.0)
    assert held.got == [Refuse(1, FULL)]
    assert scripted.ticks == 1
    scripted.wakeup = asyncio.get_running_loop().time() + 3600
    driver.report(FirstByte(9))
    assert timers.pending[-1] == scripted.wakeup
    timers.armed[-1][1].cancel()


@in_virtual_time
async def test_a_wakeup_in_the_past_is_now() -> None:
    driver, scripted, _ = driven()
    scripted.wakeup = asyncio.get_running_loop().time() - 1
    driver.report(FirstByte(9))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert scripted.ticks == 1
