"""What holds of calls that several jobs have, whatever is in them."""

import asyncio
import logging

import pytest

from proxy.live.attempt import Call
from proxy.live.shared_call import SharedCall
from proxy.model.commands import Dispatch, Failed
from proxy.model.faults import Kind
from tests.unit.live.shared_bed import SharedBed, shared_bed


class Broken(SharedCall):
    """One with a bug."""

    async def run(self) -> None:
        raise ZeroDivisionError


class Patient(SharedCall):
    """One that waits for ever."""

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()


def made(kind: type[SharedCall], bed: SharedBed) -> SharedCall:
    jobs = bed.jobs
    command = Dispatch((1, 2), "a", 7)
    return kind(command, jobs.backends["a"], jobs.caller, jobs.driver, jobs.loop, jobs.shared)


def calls(bed: SharedBed) -> list[Call]:
    return [bed.embedding("a")._call, bed.embedding("b")._call]


async def test_a_bug_is_one_error_for_each_and_one_report(caplog: pytest.LogCaptureFixture) -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        call = made(Broken, bed)
        shares = [call.take(one) for one in calls(bed)]
        for share in shares:
            assert share is not None
            await share.ready
            assert share.answer is None
            assert share.fault is not None
            assert share.fault.kind is Kind.BUG
        with caplog.at_level(logging.ERROR):
            await asyncio.sleep(0)
        report = bed.scheduler.told()[0]
        assert isinstance(report, Failed)
        assert (report.attempt, report.repeatable) == (7, False)


async def test_it_belongs_to_nobody_and_ends_when_nobody_is_left() -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        call = made(Patient, bed)
        first, second = [call.take(one) for one in calls(bed)]
        assert first is not None
        assert second is not None
        first.leave()
        first.leave()
        assert not call.is_over
        assert second.is_waiting
        second.leave()
        assert call.is_over
        assert bed.scheduler.left == [1, 2]


async def test_one_that_is_told_to_stop_leaves_all_waiting_for_the_next_command() -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        call = made(Patient, bed)
        shares = [call.take(one) for one in calls(bed)]
        call.abort()
        call.abort()
        assert all(share is not None and (share.answer, share.fault) == (None, None) for share in shares)
        assert bed.scheduler.left == []
