"""A decision is a value: nothing happens when it is made, and what is noted of it is the job's own."""

import random
from typing import Any

import pytest

from proxy.core.jobs.decision import Send, Shed, Wait
from proxy.core.jobs.open_job import OpenJob
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Reason
from proxy.model.faults import Kind
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job


def scheduler(**spec: Any) -> Scheduler:
    return Scheduler(
        [BackendSpec("a", models=frozenset({"m"}), **spec)],
        retries=RetrySettings(),
        hold=HoldSettings(min_jobs=2, per_in_flight=0),
        health=HealthSettings(),
        rng=random.Random(1),
        policy="goodput",
    )


def decided(core: Scheduler, job: Job, now: float = 10.0) -> Send | Wait | Shed:
    return core._decider.new(OpenJob(job, 0, now), core._fleet.catalogue.find(job.model), now).decision


def test_deciding_changes_nothing() -> None:
    core = scheduler(max_concurrency=1)
    for job_id in range(2):
        before = core.counts(10.0), core.backends(10.0), core.pools(10.0)
        for _ in range(3):
            decided(core, Job(99, "m", prompt_tokens=500))
        assert (core.counts(10.0), core.backends(10.0), core.pools(10.0)) == before
        core.submit(Job(job_id, "m"), 10.0)


def test_it_goes_waits_or_is_refused() -> None:
    core = scheduler(max_concurrency=1)
    assert isinstance(decided(core, Job(1, "m")), Send)
    core.submit(Job(1, "m"), 10.0)
    waits = decided(core, Job(2, "m"))
    assert isinstance(waits, Wait)
    assert (waits.reason, waits.as_bulk) == (None, False)
    core.submit(Job(2, "m"), 10.0)
    core.submit(Job(3, "m"), 10.0)
    shed = decided(core, Job(4, "m"))
    assert isinstance(shed, Shed)
    assert (shed.fault.kind, shed.reason) == (Kind.QUEUE_FULL, Reason.QUEUE)


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        (Job(1, "other"), Kind.MODEL_NOT_FOUND),
        (Job(1, "m", deadline=10.0), Kind.HOLD_TIMEOUT),
        (Job(1, "m", require=frozenset({"gpu"})), Kind.NO_BACKEND),
    ],
)
def test_gates_before_any_backend_is_asked(job: Job, kind: Kind) -> None:
    core = scheduler()
    shed = decided(core, job)
    assert isinstance(shed, Shed)
    assert shed.fault.kind is kind
    core.refuse_new()
    shed = decided(core, job)
    assert isinstance(shed, Shed)
    assert shed.fault.kind is Kind.DRAINING, "the first gate"


def test_a_job_that_waits_is_counted_with_its_own_work() -> None:
    """It used to be that of whichever job had been looked at before it."""

    def asked_for(*prompts: int) -> float:
        core = scheduler(max_concurrency=1)
        core.submit(Job(0, "m"), 10.0)
        for job_id, tokens in enumerate(prompts, 1):
            core.submit(Job(job_id, "m", prompt_tokens=tokens), 10.0)
        return core.pools(10.0)[0].utilisation

    alone = asked_for()
    small, large = asked_for(100) - alone, asked_for(50_000) - alone
    assert large > 10 * small
    assert asked_for(50_000, 100) - asked_for(50_000) == pytest.approx(small)
    assert asked_for(100, 50_000) - asked_for(100) == pytest.approx(large)
