"""What holds of calls that several jobs have, whatever is in them."""

import logging

import pytest

from proxy.live.merged_call import MergedCall
from proxy.live.shared_call import Share, SharedCall
from proxy.model.commands import Dispatch, Failed
from proxy.model.faults import Kind
from tests.support.array_server import array_server
from tests.unit.live.shared_bed import SharedBed, shared_bed, until


def made(bed: SharedBed, *, broken: bool = False) -> tuple[SharedCall, list[Share]]:
    """One of two jobs; `broken`: their inputs are not there, which is a bug."""
    jobs = bed.jobs
    command = Dispatch((1, 2), "a", 7)
    call = MergedCall(command, jobs.backends["a"], jobs.caller, jobs.driver, jobs.loop, jobs.shared)
    calls = [bed.embedding("a")._call, bed.embedding("b")._call]
    for one in calls:
        one.part = None if broken else one.part
    shares = [call.take(one) for one in calls]
    return call, [share for share in shares if share is not None]


async def test_a_bug_is_one_error_for_each_and_one_report(caplog: pytest.LogCaptureFixture) -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        with caplog.at_level(logging.ERROR):
            _, shares = made(bed, broken=True)
            for share in shares:
                await share.ready
                assert share.answer is None
                assert share.fault is not None
                assert share.fault.kind is Kind.BUG
        assert "this is a bug" in caplog.text
        report = bed.scheduler.told()[0]
        assert isinstance(report, Failed)
        assert (report.attempt, report.repeatable) == (7, False)


async def test_it_belongs_to_nobody_and_ends_when_nobody_is_left() -> None:
    async with array_server() as server, shared_bed(server.url, 1) as bed:
        server.gate.clear()
        call, (first, second) = made(bed)
        await server.arrived.wait()
        first.leave()
        first.leave()
        assert not call.is_over
        assert second.is_waiting
        second.leave()
        assert call.is_over
        assert bed.scheduler.left == [1, 2]
        await until(lambda: server.left == 1)


async def test_one_that_is_told_to_stop_leaves_all_waiting_for_the_next_command() -> None:
    async with array_server() as server, shared_bed(server.url, 1) as bed:
        server.gate.clear()
        call, shares = made(bed)
        await server.arrived.wait()
        call.abort()
        call.abort()
        assert all((share.is_waiting, share.answer, share.fault) == (False, None, None) for share in shares)
        assert bed.scheduler.left == []
        await until(lambda: server.left == 1)


async def test_only_the_first_that_is_left_is_watched() -> None:
    async with array_server() as server, shared_bed(server.url, 1) as bed:
        server.gate.clear()
        _, (first, second) = made(bed)
        await server.arrived.wait()
        await until(lambda: first.relay is not None)
        assert second.relay is None
        first.leave()
        assert second.relay is not None
        second.leave()
        await until(lambda: server.left == 1)
