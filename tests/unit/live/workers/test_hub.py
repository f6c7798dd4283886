"""The decider's end: one truth for the jobs of all."""

import asyncio
import socket

from proxy.live.workers import words
from proxy.live.workers.link import Link
from proxy.model.commands import Abort, Dispatch, Failed, Finished, FirstToken, Refuse
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind, Retry, upstream
from proxy.model.request import Job
from proxy.model.windows import Window
from tests.unit.live.workers.pair import Box, Pair, linked
from tests.unit.obs.records import record

REFUSED = upstream(Kind.CONNECT, "refused", Retry.SAFE)


async def sent(pair: Pair, job: Job) -> tuple[Box, Dispatch]:
    """A job of the worker that is out."""
    box = Box()
    pair.worker.submit(job, box)
    await pair.until(lambda: bool(box.commands))
    (command,) = box.commands
    assert isinstance(command, Dispatch)
    return box, command


async def test_permits_are_those_of_all_workers() -> None:
    """Two backends of one permit each: one is the decider's own job's, one the worker's, the third waits."""
    async with linked(permits=1) as pair:
        own, third = Box(), Box()
        pair.decider.submit(Job(1, "m"), own)
        _, command = await sent(pair, Job(2 << 40, "m"))
        (first,) = own.commands
        assert isinstance(first, Dispatch)
        assert {first.backend, command.backend} == {"a", "b"}
        pair.worker.submit(Job((2 << 40) + 1, "m"), third)
        await asyncio.sleep(0.02)
        assert third.commands == []
        pair.decider.ended(1, Finished(first.attempt))
        await pair.until(lambda: bool(third.commands))
        assert isinstance(third.commands[0], Dispatch)
        assert third.commands[0].backend == first.backend


async def test_a_job_from_its_start_to_its_record() -> None:
    async with linked() as pair:
        job = Job(2 << 40, "m")
        _, command = await sent(pair, job)
        pair.worker.report(FirstToken(command.attempt))
        pair.worker.ended(job.id, Finished(command.attempt, 10, 0, 5))
        pair.tell(record(job=job))
        await pair.until(lambda: bool(pair.host.records))
        assert pair.in_flight() == 0
        assert pair.host.records[0].job == job
        assert pair.host.records[0].backend == "alpha"


async def test_a_failed_one_goes_elsewhere_and_its_backend_is_looked_at() -> None:
    async with linked() as pair:
        box, command = await sent(pair, Job(2 << 40, "m"))
        pair.worker.report(Failed(command.attempt, REFUSED, True))
        await pair.until(lambda: len(box.commands) == 2)
        again = box.commands[1]
        assert isinstance(again, Dispatch)
        assert again.backend != command.backend
        assert pair.host.lost == [command.backend]


async def test_a_client_that_leaves_frees_its_place() -> None:
    async with linked() as pair:
        job = Job(2 << 40, "m")
        await sent(pair, job)
        assert pair.in_flight() == 1
        pair.worker.left(job.id)
        await pair.until(lambda: pair.in_flight() == 0)


async def test_a_refusal_arrives() -> None:
    async with linked() as pair:
        box = Box()
        pair.worker.submit(Job(2 << 40, "unknown"), box)
        await pair.until(lambda: bool(box.commands))
        (command,) = box.commands
        assert isinstance(command, Refuse)
        assert command.fault.kind is Kind.MODEL_NOT_FOUND


async def test_a_worker_that_dies_gives_back_its_own_places_only() -> None:
    async with linked() as pair:
        own = Box()
        pair.decider.submit(Job(1, "m"), own)
        await sent(pair, Job(2 << 40, "m"))
        assert pair.in_flight() == 2
        await pair.drop()
        assert pair.in_flight() == 1
        assert pair.hub.open_jobs() == 0
        assert len(own.commands) == 1


async def test_a_call_of_several_jobs_comes_once() -> None:
    async with linked() as pair:
        window = Window(False, 0.01, 2, 1000)
        jobs = [
            Job((2 << 40) + place, "m", endpoint=Endpoint.EMBEDDINGS, gather=window, window=b"w", prompt_tokens=1)
            for place in range(2)
        ]
        boxes = [Box(), Box()]
        for job, box in zip(jobs, boxes, strict=True):
            pair.worker.submit(job, box)
        await pair.until(lambda: all(box.commands for box in boxes))
        assert boxes[0].commands == boxes[1].commands
        (command,) = boxes[0].commands
        assert isinstance(command, Dispatch)
        assert command.jobs == (jobs[0].id, jobs[1].id)
        pair.worker.ended_all([job.id for job in jobs], Finished(command.attempt, 2, 0, 0))
        await pair.until(lambda: pair.in_flight() == 0)
        assert pair.hub.open_jobs() == 0


async def test_another_version_is_told_why() -> None:
    pair = Pair()
    await pair.link("another")
    assert not pair.worker.is_linked
    assert not pair.hub.peers
    await pair.close()


async def test_who_does_not_say_hello_is_nobody() -> None:
    pair = Pair()
    theirs, ours = socket.socketpair()
    await pair.hub.join(theirs)
    said: list[object] = []
    _, link = await pair.loop.create_connection(lambda: Link(pair.loop, said.append, said.append), sock=ours)
    link.send((words.SUBMIT, ()))
    await pair.until(lambda: bool(said))
    assert not pair.hub.peers
    link.close()
    await pair.close()


async def test_a_preempted_attempt_of_another_worker_is_taken_back() -> None:
    """An abort goes to whoever has the job, whoever's job needs the place."""
    async with linked(permits=1) as pair:
        bulks = [await sent(pair, Job((2 << 40) + place, "m", bulk=True)) for place in range(2)]
        pair.decider.submit(Job(1, "m", slo_ttft_s=0.001, priority=9), Box())
        await asyncio.sleep(0.05)
        aborted = [command for box, _ in bulks for command in box.commands if isinstance(command, Abort)]
        assert all(command.attempt in {sent.attempt for _, sent in bulks} for command in aborted)


async def test_a_job_of_another_process_is_refused_before_it_takes_a_box() -> None:
    async with linked() as pair:
        own = Box()
        pair.decider.submit(Job(1, "m"), own)
        pair.worker.submit(Job(1, "m"), Box())
        await pair.until(lambda: bool(pair.losses))
        assert pair.in_flight() == 1
        (command,) = own.commands
        assert isinstance(command, Dispatch)
        pair.decider.ended(1, Finished(command.attempt))
        assert pair.in_flight() == 0
