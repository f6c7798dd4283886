"""Not reached is not failed: who is not there leaves at once, costs nothing, and is waited for."""

import pytest

from proxy.core.fleet.health import HealthState
from proxy.model.commands import Dispatch, Probed, Refuse
from proxy.model.faults import NOT_REACHED, Kind
from proxy.model.limits import HoldSettings, RetrySettings
from proxy.model.request import Job
from tests.unit.core.playing import Play, fault, gone, only_fault, spec

BROKE = RetrySettings(attempts=1, budget_ratio=0, budget_min_per_s=0)
KINDS = sorted(NOT_REACHED)


def lose(play: Play, name: str) -> list[object]:
    return list(play.scheduler.observe(Probed(name, ok=False, reached=False), play.now))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["goodput", "least_outstanding", "round_robin"])
def test_the_only_one_that_is_there_serves_everybody(kind: Kind, policy: str) -> None:
    play = Play(*(spec(f"b{number}") for number in range(500)), policy=policy, retries=BROKE)
    for job_id in range(200):
        commands = play.submit(job_id)
        while (command := commands[0]) and isinstance(command, Dispatch) and command.backend != "b499":
            commands = play.fail(job_id, fault(kind))
        assert isinstance(command, Dispatch), "served by whoever is there"
        play.finish(job_id)
    assert (play.counts.retries, play.counts.refused) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_who_was_not_reached_gets_nothing_until_a_probe_reaches_it(kind: Kind) -> None:
    play = Play(spec("a"), spec("b"))
    ((_, lost, _),) = gone(play.submit(1))
    ((_, other, _),) = gone(play.fail(1, fault(kind)))
    assert other != lost
    assert play.view(lost).state is HealthState.AWAY
    assert {gone(play.submit(job_id))[0][1] for job_id in range(2, 30)} == {other}
    play.probe(lost)
    assert play.view(lost).state is HealthState.HEALTHY
    assert lost in {gone(play.submit(job_id))[0][1] for job_id in range(30, 90)}


def test_panic_opens_those_that_failed_and_never_those_that_are_not_there() -> None:
    play = Play(*(spec(name) for name in "abc"))
    lose(play, "a")
    lose(play, "b")
    for _ in range(10):
        play.probe("c", ok=False)
    assert {gone(play.submit(job_id))[0][1] for job_id in range(30)} == {"c"}


def test_labels_pull_nobody_to_a_closed_port() -> None:
    play = Play(spec("a", labels=frozenset({"gpu"})), spec("b"))
    lose(play, "a")
    assert play.submit(1, require=frozenset({"gpu"})) == []
    assert gone(play.submit(2, prefer=frozenset({"gpu"})))[0][1] == "b"


def test_with_nobody_there_jobs_wait_and_go_when_somebody_comes() -> None:
    play = Play(spec("a"), spec("b"), hold=HoldSettings(max_wait=10.0))
    lose(play, "a")
    lose(play, "b")
    assert play.submit(1) == play.submit(2) == []
    play.later(9.9)
    assert {job_id for job_id, _, _ in gone(play.probe("b"))} == {1, 2}


def test_with_nobody_there_the_end_of_waiting_is_an_invitation_to_come_again() -> None:
    play = Play(spec("a"), hold=HoldSettings(max_wait=10.0))
    lose(play, "a")
    play.submit(1)
    ended = only_fault(play.later(10))
    assert ended.kind is Kind.NO_BACKEND
    assert ended.retry_after_s is not None


STARTS = HoldSettings(max_wait=10.0, starting=300.0)


def test_an_engine_that_is_started_from_zero_is_waited_for_longer() -> None:
    play = Play(spec("a"), hold=STARTS)
    lose(play, "a")
    assert play.submit(1) == []
    assert play.later(299.0) == []
    assert [job_id for job_id, _, _ in gone(play.probe("a"))] == [1]
    play.finish(1)
    lose(play, "a")
    play.submit(2)
    ended = only_fault(play.later(300.0))
    assert (ended.kind, ended.retry_after_s is not None) == (Kind.NO_BACKEND, True)


def test_whoever_found_out_that_it_is_gone_waits_for_it_too() -> None:
    play = Play(spec("a"), hold=STARTS)
    play.submit(1)
    assert play.fail(1, fault(KINDS[0])) == []
    assert play.later(299.0) == []
    assert [job_id for job_id, _, _ in gone(play.probe("a"))] == [1]


def test_a_deadline_that_is_sooner_counts_while_it_is_started() -> None:
    play = Play(spec("a"), hold=STARTS)
    lose(play, "a")
    play.submit(1, deadline=play.now + 20.0)
    assert play.later(19.0) == []
    assert only_fault(play.later(1.0)).kind is Kind.NO_BACKEND


def test_a_promise_that_a_cold_start_breaks_is_no_reason_to_refuse() -> None:
    """It was made of an engine that is there; who has so little time says so by a deadline."""
    play = Play(spec("a"), policy="goodput", hold=STARTS)
    lose(play, "a")
    assert play.submit(1, slo_ttft_s=0.5, prompt_tokens=1000) == []
    assert play.submit(2, bulk=True) == []
    assert play.later(200.0) == []
    assert {job_id for job_id, _, _ in gone(play.probe("a"))} == {1, 2}


def test_where_one_is_there_and_full_nobody_waits_longer_for_it() -> None:
    play = Play(spec("a", 1), spec("b"), hold=STARTS)
    lose(play, "b")
    play.submit(1)
    assert play.submit(2) == []
    assert only_fault(play.later(10.0)).kind is Kind.HOLD_TIMEOUT


def test_what_is_held_meanwhile_is_bounded_as_ever() -> None:
    play = Play(spec("a"), hold=HoldSettings(max_wait=10.0, starting=300.0, min_jobs=3))
    lose(play, "a")
    assert [play.submit(job_id) for job_id in range(3)] == [[], [], []]
    assert only_fault(play.submit(3)).kind is Kind.QUEUE_FULL


def test_all_attempts_together_wait_no_longer_than_one_may() -> None:
    play = Play(spec("a"), hold=HoldSettings(max_wait=10.0))
    play.submit(1)
    assert play.fail(1, fault(Kind.CONNECT)) == []
    play.now += 6
    gone(play.probe("a"))
    assert play.fail(1, fault(Kind.CONNECT)) == []
    (command,) = play.later(4)
    assert isinstance(command, Refuse)
    assert command.fault.kind is Kind.NO_BACKEND


def test_an_ejection_goes_on_while_it_is_away() -> None:
    play = Play(spec("a"), spec("b"))
    for _ in range(5):
        play.probe("a", ok=False)
    lose(play, "a")
    play.later(1)
    play.probe("a")
    assert play.view("a").state is HealthState.EJECTED
    play.later(5)
    play.probe("a")
    assert play.view("a").state is HealthState.HEALTHY


def test_a_backend_that_flaps_loses_nobody() -> None:
    play = Play(spec("a"), spec("b"), retries=BROKE)
    for job_id in range(300):
        ((_, backend, _),) = gone(play.submit(job_id))
        if backend == "a" and job_id % 2:
            assert gone(play.fail(job_id, fault(Kind.CONNECT)))
        play.finish(job_id)
        if job_id % 3 == 0:
            play.probe("a")
    assert play.counts.refused == 0


def test_nobody_waits_for_a_certificate_to_be_mended() -> None:
    play = Play(spec("a"))
    refused = fault(Kind.TLS)
    play.scheduler.observe(Probed("a", ok=False, reached=False, fault=refused), play.now)
    assert play.submit(1) == [Refuse(1, refused)]
    play.probe("a")
    assert gone(play.submit(2))
    assert play.fail(2, refused) == [Refuse(2, refused)]


def test_explain_says_what_keeps_a_job_away() -> None:
    play = Play(*(spec(name) for name in "abc"))
    lose(play, "a")
    ((_, full, _),) = gone(play.submit(1))
    play.fail(1, fault(Kind.BUSY, retry_after_s=9.0))
    told = play.scheduler.explain(Job(7, "m"), play.now)
    removed = {view.backend: view.removed_by for view in told.candidates}
    assert removed == {"a": "away", full: "full", ({"b", "c"} - {full}).pop(): None}
