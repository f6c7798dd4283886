"""What is true of a refusal: asked of the modelled engines, and counted in every table."""

from dataclasses import replace

import pytest

from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Reason, Refuse, Report
from proxy.model.faults import Kind, internal
from proxy.model.request import Job
from proxy.report.report import group_of
from proxy.sim.engine.spec import MOONCAKE16
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.comparison import Contender, compare
from proxy.sim.world.tables import contest_text, groups_csv
from proxy.sim.world.world import World
from proxy.workload.arrival import Arrival, Slo

PROMISED = Slo(ttft_s=1.0, tpot_s=0.1)


class SendsSome:
    """Sends the first so many requests, and refuses the rest for one reason."""

    def __init__(self, count: int, reason: Reason | None) -> None:
        self._count, self._reason = count, reason

    def submit(self, job: Job, now: float) -> list[Command]:
        if job.id < self._count:
            return [Dispatch((job.id,), "a", job.id)]
        return [Refuse(job.id, internal(Kind.HOLD_TIMEOUT, "refused"), self._reason)]

    def cancel(self, job_id: int, now: float) -> list[Command]:
        return []

    def observe(self, report: Report, now: float) -> list[Command]:
        return []

    def tick(self, now: float) -> list[Command]:
        return []

    def wakeup_at(self) -> float | None:
        return None


def world(count: int, reason: Reason | None, seats: int = 256) -> World:
    engine = replace(MOONCAKE16, max_num_seqs=seats)
    return World([SimBackend(BackendSpec("a", models=frozenset({"sim"})), engine)], SendsSome(count, reason))


def refused_falsely(count: int, reason: Reason | None, seats: int = 256, prompt: int = 500) -> int:
    """Of ten requests, all but the first `count` refused."""
    arrivals = [Arrival(0.1 * number, prompt, 200, slo=PROMISED) for number in range(10)]
    return group_of(world(count, reason, seats).play(arrivals).results).falsely_refused


def test_a_refusal_before_an_engine_with_room_is_false() -> None:
    assert refused_falsely(0, Reason.TTFT) == 10
    assert refused_falsely(5, Reason.DUTY) == 5


def test_a_refusal_where_the_promise_could_be_kept_nowhere_is_right() -> None:
    assert refused_falsely(2, Reason.TTFT, seats=2) == 0
    assert refused_falsely(0, Reason.TTFT, prompt=30_000) == 0


@pytest.mark.parametrize("reason", [Reason.QUOTA, Reason.QUEUE, None])
def test_refusals_for_other_reasons_than_time_are_not_asked_about(reason: Reason | None) -> None:
    assert refused_falsely(0, reason) == 0


def test_tables_tell() -> None:
    arrivals = [Arrival(0.1 * number, 500, 200, slo=PROMISED) for number in range(10)]
    contender = Contender("refuses", lambda some, seed, progress: world(5, Reason.TTFT).play(some, progress))
    contest = compare([contender], [1], lambda seed: arrivals)
    header, row = (line.split(",") for line in groups_csv(contest).splitlines()[:2])
    assert row[header.index("falsely_refused")] == "5"
    assert "falsely %" in contest_text(contest)
