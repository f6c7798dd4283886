"""A worker whose decider comes and goes."""

import asyncio

import pytest

from proxy.live.workers.remote import REMOTE
from proxy.model.commands import Abort, Command, Dispatch, Failed, Finished, FirstByte, Flowed, Probed, Refuse
from proxy.model.faults import Kind, Retry, upstream
from proxy.model.hedge import Hedge
from proxy.model.request import Job
from proxy.model.tenants import QuotaView
from tests.unit.live.workers.pair import Box, Pair, linked

AGAIN = upstream(Kind.RESET, "it broke", Retry.SAFE)
NEVER = upstream(Kind.CUT, "it broke", Retry.NEVER)


def dispatched(command: Command) -> Dispatch:
    assert isinstance(command, Dispatch)
    return command


async def out(pair: Pair, job: Job) -> tuple[Box, Dispatch]:
    box = Box()
    pair.worker.submit(job, box)
    await pair.until(lambda: bool(box.commands))
    return box, dispatched(box.commands[0])


async def test_alone_it_decides_itself() -> None:
    pair = Pair()
    box = Box()
    pair.worker.submit(Job(2, "m"), box)
    assert dispatched(box.commands[0]).attempt < REMOTE
    pair.worker.ended(2, Finished(dispatched(box.commands[0]).attempt))
    assert pair.in_flight_here() == 0
    assert pair.worker.alone == 1


async def test_linked_it_does_not() -> None:
    async with linked() as pair:
        box, command = await out(pair, Job(2 << 40, "m"))
        assert command.attempt >= REMOTE
        assert pair.worker.alone == pair.in_flight_here() == 0
        assert len(box.commands) == 1


async def test_who_waits_is_decided_here_when_the_decider_dies() -> None:
    async with linked(permits=1) as pair:
        for number in (1, 2):
            pair.decider.submit(Job(number, "m"), Box())  # the decider's own, on both backends
        held = Box()
        pair.worker.submit(Job(2 << 40, "m"), held)
        await asyncio.sleep(0.02)
        assert held.commands == []
        await pair.cut()
        assert dispatched(held.commands[0]).attempt < REMOTE


async def test_what_is_out_goes_on_and_keeps_its_place() -> None:
    async with linked(permits=1) as pair:
        box, command = await out(pair, Job(2 << 40, "m"))
        await pair.cut()
        assert len(box.commands) == 1
        assert pair.in_flight_here() == 1
        other = Box()
        pair.worker.submit(Job((2 << 40) + 1, "m"), other)
        assert dispatched(other.commands[0]).backend != command.backend  # one permit each
        pair.worker.ended(2 << 40, Finished(command.attempt, 1, 0, 1))
        assert pair.in_flight_here() == 1


@pytest.mark.parametrize(("fault", "repeatable"), [(AGAIN, True), (NEVER, False)])
async def test_an_orphan_that_fails(fault: object, repeatable: bool) -> None:
    async with linked() as pair:
        box, command = await out(pair, Job(2 << 40, "m"))
        await pair.cut()
        pair.worker.report(Failed(command.attempt, AGAIN if repeatable else NEVER, repeatable))
        last = box.commands[-1]
        if repeatable:
            assert dispatched(last).attempt < REMOTE
        else:
            assert isinstance(last, Refuse)
            assert last.fault == fault
            assert pair.in_flight_here() == 0


async def test_an_orphan_whose_client_leaves() -> None:
    async with linked() as pair:
        await out(pair, Job(2 << 40, "m"))
        await pair.cut()
        assert pair.in_flight_here() == 1
        pair.worker.left(2 << 40)
        assert pair.in_flight_here() == 0


async def test_of_two_orphans_of_one_job_the_first_to_answer_goes_on() -> None:
    async with linked() as pair:
        job = Job(2 << 40, "m", hedge=Hedge(0.0, 0.01, 1.0))
        box, first = await out(pair, job)
        await pair.until(lambda: len(box.commands) == 2)
        second = dispatched(box.commands[1])
        assert second.hedge
        await pair.cut()
        pair.worker.report(FirstByte(second.attempt))
        assert box.commands[2] == Abort((job.id,), first.attempt, first.backend)
        pair.worker.ended(job.id, Finished(second.attempt, 1, 0, 1))
        assert pair.in_flight_here() == 0


async def test_a_decider_that_is_back_is_told_what_is_out() -> None:
    async with linked() as pair:
        _, orphan = await out(pair, Job(2 << 40, "m"))
        await pair.cut()
        box = Box()
        pair.worker.submit(Job((2 << 40) + 1, "m"), box)
        assert pair.in_flight() == 0
        await pair.link()
        await pair.until(lambda: pair.in_flight() == 2)
        newer, command = await out(pair, Job((2 << 40) + 2, "m"))
        assert command.attempt >= 2 * REMOTE
        pair.worker.ended(2 << 40, Finished(orphan.attempt, 1, 0, 1))
        pair.worker.ended((2 << 40) + 1, Finished(dispatched(box.commands[0]).attempt, 1, 0, 1))
        await pair.until(lambda: pair.in_flight() == 1)
        assert pair.in_flight_here() == 0
        pair.worker.ended((2 << 40) + 2, Finished(command.attempt, 1, 0, 1))
        await pair.until(lambda: pair.in_flight() == 0)
        assert len(newer.commands) == 1


async def test_it_comes_and_goes_and_nothing_is_left() -> None:
    """Whatever the phase in which it dies."""
    pair = Pair(permits=16)
    boxes: list[Box] = []
    for number in range(6):
        if number:
            await pair.link()
        for place in range(3):
            box = Box()
            boxes.append(box)
            pair.worker.submit(Job((2 << 40) + 10 * number + place, "m"), box)
        await pair.until(lambda: all(box.commands for box in boxes))
        for place, box in enumerate(boxes[-3:]):
            command = dispatched(box.commands[-1])
            if place == number % 3:
                pair.worker.ended(command.jobs[0], Finished(command.attempt, 1, 0, 1))
        if number:
            await pair.cut()
    for box in boxes:
        command = dispatched(box.commands[-1])
        pair.worker.ended(command.jobs[0], Finished(command.attempt, 1, 0, 1))
    assert pair.in_flight_here() == pair.in_flight() == 0
    assert pair.own.counts(0.0).held == 0
    await pair.close()


async def test_a_drain_refuses_what_the_decider_holds() -> None:
    async with linked(permits=1) as pair:
        for number in (1, 2):
            pair.decider.submit(Job(number, "m"), Box())
        held = Box()
        pair.worker.submit(Job(2 << 40, "m"), held)
        await asyncio.sleep(0.02)
        pair.worker.drain()
        (command,) = held.commands
        assert isinstance(command, Refuse)
        assert command.fault.kind is Kind.DRAINING
        await pair.until(lambda: pair.hub.open_jobs() == 0)


async def test_only_bulk_that_waits_is_shed() -> None:
    async with linked(permits=1) as pair:
        for number in (1, 2):
            pair.decider.submit(Job(number, "m"), Box())
        chat, bulk = Box(), Box()
        pair.worker.submit(Job(2 << 40, "m"), chat)
        pair.worker.submit(Job((2 << 40) + 1, "m", bulk=True), bulk)
        await asyncio.sleep(0.02)
        pair.worker.shed_bulk()
        assert chat.commands == []
        (command,) = bulk.commands
        assert isinstance(command, Refuse)
        assert command.fault.kind is Kind.MEMORY


async def test_what_flows_is_told_and_what_is_probed_is_not() -> None:
    async with linked() as pair:
        pair.worker.report(Flowed("a", 1.0, 50.0))
        for _ in range(5):
            pair.worker.report(Probed("a", False, reached=False))
        await asyncio.sleep(0.02)
        assert pair.own.healthy(9) == {"m": 1}
        assert pair.deciding.healthy(9) == {"m": 2}


async def test_a_silent_stream_is_asked_about_and_the_answer_waits_for_the_next_look() -> None:
    async with linked() as pair:
        _, command = await out(pair, Job(2 << 40, "m", stream=True))
        assert not pair.worker.gives_up(command.attempt, 100.0, 0.0, lambda _: True, 0.01)
        assert not pair.worker.sleeps_on(command.attempt)
        await asyncio.sleep(0.02)
        assert not pair.worker.sleeps_on(command.attempt)


async def test_nothing_is_remembered_of_what_is_over() -> None:
    async with linked() as pair:
        for number in range(20):
            job = Job((2 << 40) + number, "m")
            _, command = await out(pair, job)
            pair.worker.gives_up(command.attempt, 1.0, 0.0, None)
            pair.worker._quotas[job.id] = QuotaView(None, None, 0, None)  # told with the command, and not asked for
            if number % 2:
                pair.worker.ended(job.id, Finished(command.attempt, 1, 0, 1))
            else:
                pair.worker.left(job.id)
        await pair.until(lambda: pair.in_flight() == 0)
        one = pair.worker
        kept = (one._jobs, one._out, one._asked, one._boxes, one._adopted, one._quotas)
        assert [len(some) for some in kept] == [0] * 6
