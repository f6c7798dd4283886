"""Busy is not ill, and waits: a full engine keeps its place, and its jobs theirs."""

from proxy.core.fleet.health import HealthState
from proxy.model.commands import Refuse
from proxy.model.faults import Kind
from proxy.model.limits import HoldSettings, RetrySettings
from tests.unit.core.playing import Play, fault, gone, only_fault, refused, spec

BROKE = RetrySettings(attempts=1, budget_ratio=0, budget_min_per_s=0)
FULL = fault(Kind.BUSY)


def told(seconds: float) -> object:
    return fault(Kind.BUSY, retry_after_s=seconds)


def test_a_refused_job_waits_for_a_place_and_goes_when_one_comes_free() -> None:
    play = Play(spec("a"), retries=BROKE)
    for job_id in range(14):
        gone(play.submit(job_id))
    for job_id in range(8, 14):
        assert play.fail(job_id, FULL) == [], "held, not sent again"
    assert (play.counts.held, play.view("a").places, play.view("a").state) == (6, 8, HealthState.HEALTHY)
    for job_id in range(8):
        ((_, backend, attempt),) = gone(play.finish(job_id)) if job_id < 6 else ((0, "a", 2),)
        assert (backend, attempt) == ("a", 2)
    assert (play.counts.retries, play.counts.refused) == (0, 0)


def test_a_new_job_is_not_sent_where_none_fits() -> None:
    play = Play(spec("a"))
    for job_id in range(3):
        play.submit(job_id)
    play.fail(2, FULL)
    assert play.submit(3) == []
    assert play.counts.held == 2


def test_another_backend_serves_it_at_once_and_at_no_cost() -> None:
    play = Play(spec("a"), spec("b"), retries=BROKE)
    ((_, full, _),) = gone(play.submit(1))
    ((_, other, _),) = gone(play.fail(1, FULL))
    assert other != full
    assert play.counts.retries == 0


def test_with_nothing_of_ours_inside_it_is_the_clients_to_wait() -> None:
    play = Play(spec("a"))
    play.submit(1)
    assert play.fail(1, FULL) == [Refuse(1, FULL)]


def test_a_time_to_come_back_at_is_passed_on_and_kept() -> None:
    play = Play(spec("a"))
    play.submit(1)
    assert only_fault(play.fail(1, told(4))).retry_after_s == 4  # type: ignore[arg-type]
    assert play.submit(2) == [], "nobody is sent before"
    assert play.later(3.9) == []
    assert gone(play.later(0.2)) == [(2, "a", 1)]


def test_what_is_full_of_our_own_is_waited_for_as_long_as_it_says() -> None:
    play = Play(spec("a"), retries=BROKE)
    for job_id in range(4):
        gone(play.submit(job_id))
    for job_id in (2, 3):
        assert play.fail(job_id, told(4)) == [], "held"  # type: ignore[arg-type]
    assert play.finish(0) == [], "nobody is sent before"
    assert play.later(3.9) == []
    ((_, backend, attempt),) = gone(play.later(0.2))
    assert (backend, attempt) == ("a", 2)
    assert play.counts.refused == 0


def test_a_time_that_is_longer_than_anybody_may_wait_is_passed_on() -> None:
    play = Play(spec("a"), hold=HoldSettings(max_wait=5.0))
    for job_id in range(2):
        gone(play.submit(job_id))
    assert only_fault(play.fail(1, told(6))).retry_after_s == 6  # type: ignore[arg-type]


def test_a_pause_that_is_longer_than_anybody_may_wait_is_said_at_once() -> None:
    play = Play(spec("a"), hold=HoldSettings(max_wait=5.0))
    play.submit(1)
    play.fail(1, told(40))  # type: ignore[arg-type]
    play.now += 10
    ended = only_fault(play.submit(2))
    assert (ended.kind, ended.retry_after_s) == (Kind.QUEUE_FULL, 30)


def test_after_a_pause_one_tries_first() -> None:
    play = Play(spec("a"))
    play.submit(1)
    play.fail(1, told(4))  # type: ignore[arg-type]
    for job_id in range(2, 8):
        play.submit(job_id)
    assert len(gone(play.later(4))) == 1
    assert play.counts.held == 5


def test_a_full_backend_is_never_ejected() -> None:
    play = Play(spec("a"), spec("b"), retries=BROKE)
    for job_id in range(200):
        commands = play.submit(job_id)
        while commands and gone(commands)[0][1] == "a":
            commands = play.fail(job_id, FULL)
        play.finish(job_id)
        play.later(0.3)
    assert play.view("a").state is HealthState.HEALTHY
    assert play.counts.refused == 0


def test_a_job_does_not_go_round_for_ever() -> None:
    play = Play(*(spec(f"b{number}") for number in range(64)))
    commands, asked = play.submit(1), 0
    while not isinstance(commands[0], Refuse):
        asked += 1
        commands = play.fail(1, FULL)
    assert asked == 16
    assert refused(commands) == [(1, Kind.BUSY)]
