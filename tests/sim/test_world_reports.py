"""What the world tells a scheduler, and that it does what it is told."""

from dataclasses import replace
from math import isnan

import pytest

from proxy.model.backend import BackendSpec
from proxy.model.commands import (
    Abort,
    Command,
    Dispatch,
    Finished,
    FirstByte,
    FirstToken,
    Load,
    Probed,
    Reason,
    Refuse,
    Report,
)
from proxy.model.faults import Kind, internal
from proxy.model.outcome import Verdict
from proxy.model.request import Job
from proxy.sim.engine.spec import MOONCAKE16
from proxy.sim.world.cluster import MetricsSource, SimBackend
from proxy.sim.world.world import World
from proxy.workload.arrival import Arrival

ONE = SimBackend(BackendSpec("a", any_model=True), MOONCAKE16)
TWO = SimBackend(BackendSpec("b", any_model=True), MOONCAKE16)


def _job(command: Command) -> int:
    return command.job_id if isinstance(command, Refuse) else command.jobs[0]


class Scripted:
    """A scheduler that says what the test says."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, Report]] = []
        self.on_submit: list[Command] = []
        self.on: dict[type, list[Command]] = {}

    def submit(self, job: Job, now: float) -> list[Command]:
        return [command for command in self.on_submit if _job(command) == job.id]

    def cancel(self, job_id: int, now: float) -> list[Command]:
        return []

    def observe(self, report: Report, now: float) -> list[Command]:
        self.heard.append((now, report))
        return self.on.pop(type(report), [])

    def tick(self, now: float) -> list[Command]:
        return []

    def wakeup_at(self) -> float | None:
        return None

    def of(self, kind: type) -> list[tuple[float, Report]]:
        return [(at, report) for at, report in self.heard if isinstance(report, kind)]


def test_first_token_and_usage_come_when_they_do() -> None:
    script = Scripted()
    script.on_submit = [Dispatch((0,), "a", 7), Dispatch((1,), "a", 8)]
    hashes = (1, 2)
    World([ONE], script).play([Arrival(0.0, 1100, 5, hashes), Arrival(3.0, 1100, 5, hashes)])
    [first, second] = script.of(FirstToken)
    assert first == (pytest.approx(MOONCAKE16.prefill_s(0, 1100), rel=0.2), FirstToken(7))
    assert second[0] - 3.0 < first[0] / 2
    assert [report for _, report in script.of(FirstByte)] == [FirstByte(7), FirstByte(8)]
    assert [report for _, report in script.of(Finished)] == [
        Finished(7, 1100, 0, 5),
        Finished(8, 1100, 1024, 5),
    ]


def test_an_answer_that_is_no_stream_has_no_first_token() -> None:
    script = Scripted()
    script.on_submit = [Dispatch((0,), "a", 7)]
    [result] = World([ONE], script).play([Arrival(0.0, 100, 50, stream=False)]).results
    assert script.of(FirstToken) == []
    assert result.first_token_at == result.done_at


def test_a_hedge_runs_twice_and_the_loser_is_freed() -> None:
    script = Scripted()
    script.on_submit = [Dispatch((0,), "a", 7), Dispatch((0,), "b", 8, 2, hedge=True)]
    script.on = {FirstToken: [Abort((0,), 8, "b")]}
    world = World([ONE, TWO], script)
    [result] = world.play([Arrival(0.0, 3000, 20)]).results
    assert (result.backend, result.hedged, result.attempts) == ("a", True, 2)
    assert world.servers["b"].engine.running + world.servers["b"].engine.waiting == 0
    assert [report for _, report in script.of(Finished)] == [Finished(7, 3000, 0, 20)]


def test_an_aborted_job_can_be_sent_again() -> None:
    script = Scripted()
    script.on_submit = [Dispatch((0,), "a", 7), Dispatch((1,), "a", 8)]
    script.on = {FirstToken: [Abort((1,), 8, "a"), Dispatch((1,), "b", 9, 2)]}
    one, two = World([ONE, TWO], script).play([Arrival(0.0, 500, 20), Arrival(0.0, 5000, 20)]).results
    assert (one.backend, two.backend) == ("a", "b")
    assert two.outcome is not None
    assert two.outcome.verdict is Verdict.SERVED


def test_a_refusal_has_its_reason() -> None:
    script = Scripted()
    script.on_submit = [Refuse(0, internal(Kind.HOLD_TIMEOUT, "no"), Reason.DUTY)]
    [result] = World([ONE], script).play([Arrival(0.0, 10, 10)]).results
    assert result.outcome is not None
    assert (result.outcome.verdict, result.reason, result.done_at) == (Verdict.SHED, "duty", 0.0)


def loads(metrics: MetricsSource) -> list[tuple[float, Load]]:
    script = Scripted()
    script.on_submit = [Dispatch((0,), "a", 7)]
    backend = replace(ONE, metrics=metrics)
    World([backend], script, scrape_interval_s=2.0, scrape_lag_s=0.25).play([Arrival(1.0, 5000, 400)])
    return script.of(Load)  # type: ignore[return-value]


def test_metrics_are_old_when_they_are_heard() -> None:
    heard = loads(MetricsSource.HONEST)
    assert [at for at, _ in heard][:3] == [0.25, 2.25, 4.25]
    assert [load.running for _, load in heard][:3] == [0, 1, 1]
    assert heard[0][1].kv_tokens == MOONCAKE16.kv_tokens
    assert heard[1][1].kv_usage > heard[0][1].kv_usage == 0.0


def test_metrics_that_are_worth_nothing() -> None:
    assert loads(MetricsSource.SILENT) == []
    assert {load.running for _, load in loads(MetricsSource.FROZEN)} == {0}
    garbage = loads(MetricsSource.GARBAGE)[0][1]
    assert garbage.running is not None
    assert garbage.waiting is not None
    assert garbage.running < 0
    assert isnan(garbage.waiting)


def test_a_backend_that_grows_slow_says_nothing() -> None:
    script = Scripted()
    script.on_submit = [Dispatch((i,), "a", i) for i in range(2)]
    backend = replace(ONE, slower=5.0, slower_from_s=50.0)
    before, after = World([backend], script).play([Arrival(0.0, 4000, 2), Arrival(60.0, 4000, 2)]).results
    assert before.ttft_s is not None
    assert after.ttft_s == pytest.approx(5 * before.ttft_s)
    assert all(report.ok for _, report in script.of(Probed))  # type: ignore[attr-defined]


def test_progress_is_told() -> None:
    script = Scripted()
    script.on_submit = [Dispatch((i,), "a", i) for i in range(250)]
    told: list[int] = []
    World([ONE], script).play([Arrival(float(i), 10, 1) for i in range(250)], told.append)
    assert told == [0, 100, 200]
