"""What is remembered of one open job."""

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.jobs.open_job import OpenJob
from proxy.model.backend import BackendSpec
from proxy.model.faults import Kind, upstream
from proxy.model.limits import HealthSettings
from proxy.model.request import Job

A = Backend(BackendSpec("a"), 0, HealthSettings())


@pytest.mark.parametrize(("arrived", "counts_from"), [(None, 10.0), (8.0, 8.0), (12.0, 10.0)])
def test_promises_count_from_the_last_byte_of_the_request(arrived: float | None, counts_from: float) -> None:
    assert OpenJob(Job(1, "m", arrived=arrived), 1, 10.0).arrived == counts_from


@pytest.mark.parametrize(
    ("kind", "tried", "tries", "declined"),
    [
        (Kind.CONNECT, False, 0, 0),
        (Kind.BUSY, False, 0, 1),
        (Kind.CANNOT, True, 0, 1),
        (Kind.MISCONFIGURED, True, 0, 1),
        (Kind.ERROR_STATUS, True, 1, 0),
        (Kind.RESET, True, 1, 0),
    ],
)
def test_what_an_end_means_for_the_next_attempt(kind: Kind, tried: bool, tries: int, declined: int) -> None:
    open_job, fault = OpenJob(Job(1, "m"), 1), upstream(kind, "it")
    open_job.remember(A, fault)
    assert (open_job.last, open_job.fault) == (A, fault)
    assert (A in open_job.tried, open_job.tries, open_job.declined) == (tried, tries, declined)


def test_it_does_not_go_round_for_ever() -> None:
    open_job = OpenJob(Job(1, "m"), 1)
    for _ in range(15):
        open_job.remember(A, upstream(Kind.BUSY, "full"))
    assert not open_job.is_declined_too_often
    open_job.remember(A, upstream(Kind.BUSY, "full"))
    assert open_job.is_declined_too_often
