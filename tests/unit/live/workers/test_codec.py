"""What is said arrives as it was said, through `marshal`."""

import marshal
from dataclasses import replace

import pytest

from proxy.live.workers.codec import command_of, command_told, fault_of, fault_told, job_of, job_told, report_of
from proxy.live.workers.codec import report_told as told_report
from proxy.model.abilities import Cannot, Lack
from proxy.model.commands import (
    Abort,
    Command,
    Dispatch,
    Failed,
    Finished,
    FirstByte,
    FirstToken,
    Part,
    Reason,
    Refuse,
    Refused,
    Remaining,
)
from proxy.model.endpoint import Endpoint
from proxy.model.fallback import FallbackStep
from proxy.model.faults import Fault, Kind, Retry, upstream
from proxy.model.hedge import Hedge
from proxy.model.request import Job
from proxy.model.windows import Closed, Gathered, Window
from tests.support.attributes import attributes_of

FAULT = replace(upstream(Kind.BUSY, "full", Retry.SAFE, 1.5), param="p", code="c")
STEP = FallbackStep("other", frozenset({"pool=x"}), "model:other", frozenset({"busy"}))
FULL = Job(
    7,
    "m",
    endpoint=Endpoint.EMBEDDINGS,
    stream=True,
    body_bytes=9,
    max_tokens=3,
    deadline=5.5,
    arrived=1.25,
    traffic_class="gold",
    tenant="t",
    bulk=True,
    priority=-2,
    demotable=True,
    slo_ttft_s=0.2,
    slo_tpot_s=0.04,
    prompt_tokens=11,
    prefix=(1, 1 << 63, 2),
    prefix_block_tokens=64,
    constrained=True,
    require=frozenset({"a"}),
    prefer=frozenset({"b"}),
    fallbacks=(STEP,),
    hedge=Hedge(0.95, 0.0, 0.05),
    done_by=99.0,
    needs=frozenset({Lack.TOOLS}),
    session="s",
    gather=Window(True, 0.01, 8, 100, False, True),
    window=b"w",
    items=4,
    same=b"x",
    is_free=True,
    yields_until=7.5,
)


def carried(told: object) -> tuple[object, ...]:
    same = marshal.loads(marshal.dumps(told))
    assert isinstance(same, tuple)
    return same


@pytest.mark.parametrize("job", [FULL, Job(1, "m")])
def test_a_job(job: Job) -> None:
    assert job_of(carried(job_told(job))) == job


def test_every_field_of_a_job_is_told() -> None:
    """A field that is new has to be told, too."""
    plain, full = Job(1, "n"), job_of(carried(job_told(FULL)))
    names = [name for name in attributes_of(Job) if name != "metered"]
    assert len(names) == len(job_told(FULL))
    assert [name for name in names if getattr(full, name) == getattr(plain, name)] == []


def test_jobs_of_two_workers_are_merged_by_nobody() -> None:
    one, other = (job_of(job_told(FULL), apart) for apart in (b"2:", b"3:"))
    assert {one.window, other.window} == {b"2:w", b"3:w"}
    assert {one.same, other.same} == {b"2:x", b"3:x"}
    alone = job_of(job_told(Job(1, "m")), b"2:")
    assert (alone.window, alone.same) == (None, None)


@pytest.mark.parametrize(
    "command",
    [
        Dispatch((7,), "a", 3),
        Dispatch((7, 8), "a", 3, 2, True, 0.5, STEP, Gathered(Closed.AGE, (0.1, 0.2)), 4, 0.25),
        Refuse(7, FAULT, Reason.TTFT),
        Refuse(7, FAULT),
        Abort((7,), 3, "a"),
    ],
)
def test_a_command(command: Command) -> None:
    assert command_of(carried(command_told(command)), 0) == command
    renamed = command_of(carried(command_told(command)), 1 << 40)
    if not isinstance(command, Refuse):
        assert not isinstance(renamed, Refuse)
        assert renamed.attempt == (1 << 40) + command.attempt


@pytest.mark.parametrize(
    "report",
    [
        FirstByte(3),
        FirstToken(3),
        Finished(3),
        Finished(3, 1, 2, 4, False, (Part(7, 1, 2), Part(8)), (9,), 2, 3, cut=True),
        Failed(3, FAULT, True),
        Failed(3, FAULT, False, (7,), True, 16),
        Refused(3, Cannot(Lack.CONTEXT, 4096)),
        Remaining(3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
    ],
)
def test_a_report(report: Finished | Failed | FirstByte | FirstToken | Refused | Remaining) -> None:
    assert report_of(carried(told_report(report, report.attempt))) == report
    assert report_of(carried(told_report(report, 1))).attempt == 1


def test_a_fault() -> None:
    assert fault_of(carried(fault_told(FAULT))) == FAULT
    assert len(fault_told(FAULT)) == len(attributes_of(Fault))
