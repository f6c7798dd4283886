"""A failed attempt: where the next one goes, and when there is none."""

import pytest

from proxy.model.commands import Dispatch, Refuse
from proxy.model.faults import Fault, Kind, downstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from tests.unit.core.playing import Play, fault, gone, only_fault, refused, spec

NEVER_EJECT = HealthSettings(consecutive_failures=10**6, min_samples=10**6)


def backend_of(commands: list[Dispatch | Refuse]) -> str:
    ((_, backend, _),) = gone(commands)
    return backend


def test_the_next_attempt_goes_elsewhere() -> None:
    play = Play(*(spec(name) for name in "abc"))
    tried = [backend_of(play.submit(1)), backend_of(play.fail(1)), backend_of(play.fail(1))]
    assert sorted(tried) == ["a", "b", "c"]
    assert play.counts.retries == 2
    assert play.counts.in_flight == 1


@pytest.mark.parametrize("attempts", [1, 2, 3, 4])
def test_so_many_attempts_and_the_last_fault_is_the_answer(attempts: int) -> None:
    play = Play(*(spec(name) for name in "abcde"), retries=RetrySettings(attempts=attempts))
    play.submit(1)
    for attempt in range(2, attempts + 1):
        ((_, _, number),) = gone(play.fail(1))
        assert number == attempt
    last = fault(Kind.RESET)
    assert play.fail(1, last) == [Refuse(1, last)]
    assert (play.counts.refused, play.counts.in_flight) == (1, 0)


def test_what_is_not_repeatable_ends() -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1)
    cut = fault(Kind.CUT)
    assert play.fail(1, cut, repeatable=False) == [Refuse(1, cut)]
    assert play.counts.retries == 0


@pytest.mark.parametrize(("after", "goes"), [(4.9, True), (5.0, False), (5.1, False)])
def test_nobody_retries_past_the_deadline(after: float, goes: bool) -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1, deadline=105.0)
    play.now += after
    assert isinstance(play.fail(1)[0], Dispatch) is goes


def test_the_budget_bounds_retries() -> None:
    budget = RetrySettings(budget_ratio=0, budget_min_per_s=0.2)
    play = Play(spec("a"), spec("b"), retries=budget, health=NEVER_EJECT)
    for job_id in range(2):
        play.submit(job_id)
        gone(play.fail(job_id))
    play.submit(9)
    assert play.counts.retry_budget_left == 0
    assert refused(play.fail(9)) == [(9, Kind.ERROR_STATUS)]
    play.now += 10
    play.submit(10)
    assert gone(play.fail(10))


def test_a_share_of_the_requests_may_be_retried() -> None:
    budget = RetrySettings(budget_ratio=0.1, budget_min_per_s=0)
    play = Play(spec("a"), spec("b"), retries=budget, health=NEVER_EJECT)
    for job_id in range(9):
        play.submit(job_id)
    assert refused(play.fail(0)) == [(0, Kind.ERROR_STATUS)]
    play.submit(9)
    assert gone(play.fail(1))
    assert refused(play.fail(2)) == [(2, Kind.ERROR_STATUS)]


def test_refused_jobs_earn_no_retries() -> None:
    play = Play(spec("a"), retries=RetrySettings(budget_ratio=1, budget_min_per_s=0))
    play.submit(1, "unknown")
    assert play.counts.retry_budget_left == 0


@pytest.mark.parametrize("kind", [Kind.RESET, Kind.ERROR_STATUS, Kind.FIRST_BYTE_TIMEOUT])
def test_the_only_backend_is_not_asked_again_for_what_it_failed(kind: Kind) -> None:
    play = Play(spec("a"))
    play.submit(1)
    assert refused(play.fail(1, fault(kind))) == [(1, kind)]
    assert play.counts.retries == 0


def test_the_only_backend_is_not_pressed_before_its_retry_after() -> None:
    play = Play(spec("a"))
    play.submit(1)
    busy = fault(Kind.BUSY, retry_after_s=4)
    assert play.fail(1, busy) == [Refuse(1, busy)]


def on(play: Play, name: str, ids: range) -> int:
    """Fill every permit; returns the job that `name` got."""
    placed = {backend_of(play.submit(job_id)): job_id for job_id in ids}
    return placed[name]


def test_a_retry_is_held_for_another_backend_while_its_own_is_free() -> None:
    play = Play(spec("a", 1), spec("b", 1))
    failing = on(play, "a", range(2))
    other = 1 - failing
    assert play.fail(failing) == []
    assert (play.counts.held, play.view("a").in_flight) == (1, 0)
    assert gone(play.submit(7)) == [(7, "a", 1)]
    assert play.finish(7) == []
    assert gone(play.finish(other)) == [(failing, "b", 2)]


def test_the_freed_permit_of_a_failed_attempt_goes_to_a_held_job() -> None:
    play = Play(spec("a", 1), spec("b", 1))
    failing = on(play, "a", range(2))
    play.submit(5)
    assert gone(play.fail(failing)) == [(5, "a", 1)]
    assert play.counts.held == 1


def test_a_held_retry_that_finds_no_place_ends_in_its_fault() -> None:
    play = Play(spec("a", 1), spec("b", 1), hold=HoldSettings(max_wait=10.0))
    failing = on(play, "a", range(2))
    play.fail(failing, fault(Kind.RESET))
    play.now += 10
    assert only_fault(play.scheduler.tick(play.now)).kind is Kind.RESET


def test_a_retry_keeps_within_the_hold_bound() -> None:
    play = Play(spec("a", 1), spec("b", 1), hold=HoldSettings(min_jobs=0, per_in_flight=0))
    failing = on(play, "a", range(2))
    assert refused(play.fail(failing, fault(Kind.RESET))) == [(failing, Kind.RESET)]
    assert play.counts.retries == 0


def test_a_held_retry_goes_back_when_the_other_one_is_ejected() -> None:
    play = Play(spec("a", 1), spec("b", 1), health=HealthSettings(consecutive_failures=2))
    failing = on(play, "a", range(2))
    assert play.fail(failing) == []
    assert play.probe("b", ok=False) == []
    assert gone(play.probe("b", ok=False)) == [(failing, "a", 2)]


@pytest.mark.parametrize(
    "cause", [downstream(Kind.LEFT, "gone"), Fault(fault().source.INTERNAL, Kind.BUG, "ours")], ids=["left", "bug"]
)
def test_faults_that_are_not_the_backends_end_the_job(cause: Fault) -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1)
    assert play.fail(1, cause, repeatable=False) == [Refuse(1, cause)]
    assert sum(play.view(name).failures_in_a_row for name in "ab") == 0
