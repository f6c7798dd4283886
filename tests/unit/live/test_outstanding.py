"""One attempt or two at once, with the real scheduler, on sockets; time is advanced, not waited for."""

import asyncio

import pytest

from proxy.model.commands import Abort, Dispatch
from proxy.wire.usage import NO_USAGE
from tests.unit.live.test_job import BAD, GOOD, LATE_S, LEFT, RULE, bed, hangs


async def test_a_late_attempt_gets_a_second_one_and_the_first_good_answer_wins() -> None:
    async with bed(hangs, GOOD) as one:
        job = one.job(RULE)
        asking = asyncio.ensure_future(job.answer())
        await one.asked(1)
        one.later(LATE_S - 0.01)
        assert one.counts.hedges == 0, "not yet"
        one.later(0.01)
        answer = await asyncio.wait_for(asking, 5)
        assert (answer.status, job.hedge_won, job.hedge_said, job.attempts) == (200, True, "won", 2)
        assert (one.counts.hedging, one.counts.in_flight) == (0, 1), "the loser's permit is back"
        assert job.settle(None, NO_USAGE)
        assert all(view.in_flight == 0 for view in one.scheduler.backends(one.now))


async def test_an_error_does_not_win_while_the_other_attempt_lives() -> None:
    async with bed(hangs, BAD) as one:
        job = one.job(RULE)
        asking = asyncio.ensure_future(job.answer())
        await one.asked(1)
        one.later(LATE_S)
        await one.asked(2)
        async with asyncio.timeout(5):
            while one.counts.hedging:
                await asyncio.sleep(0.001)
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        job.settle(LEFT, NO_USAGE)
        assert (one.counts.in_flight, one.counts.cancelled) == (0, 1)


async def test_a_preempted_attempt_ends_at_once_and_the_job_goes_where_it_is_told() -> None:
    async with bed(hangs, GOOD) as one:
        job = one.job()
        asking = asyncio.ensure_future(job.answer())
        await one.asked(1)
        other = next(name for name in one.engines if name != job.backend)
        job.put(Abort((1,), job.attempt_id, job.backend))
        job.put(Dispatch((1,), other, 77, 1))
        answer = await asyncio.wait_for(asking, 5)
        assert (answer.status, job.backend, job.attempt_id, job.asked) == (200, other, 77, set())
        job.settle(LEFT, NO_USAGE)
