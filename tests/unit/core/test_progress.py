"""What becomes of attempts that are out: in which order who hears of it, and what goes next."""

import pytest

from proxy.model.commands import Failed, Finished, FirstByte, FirstToken
from proxy.model.faults import Kind
from proxy.model.limits import RetrySettings
from tests.support.attempts import NONE
from tests.unit.core.playing import Play, fault, gone, refused, spec


@pytest.mark.parametrize("report", [FirstByte, FirstToken, Finished, lambda attempt: Failed(attempt, fault(), True)])
def test_a_report_on_an_attempt_that_is_over_changes_nothing(report: object) -> None:
    play = Play(spec("a"))
    play.submit(1)
    over = play.attempt(1)
    play.finish(1)
    before = play.counts
    for attempt in (over, NONE, 10**6):
        assert play.scheduler.observe(report(attempt), play.now) == []  # type: ignore[operator]
    assert play.counts == before


def test_what_comes_free_goes_to_who_waits_in_the_same_answer() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.submit(2)
    play.submit(3)
    assert gone(play.finish(1)) == [(2, "a", 1)]
    assert gone(play.cancel(2)) == [(3, "a", 1)]


def test_who_fails_goes_on_before_those_who_wait_for_its_place() -> None:
    play = Play(spec("a", 1), spec("b", 1))
    play.submit(1)
    play.submit(2)
    play.submit(3)
    assert gone(play.fail(1)) == [(3, "a" if play.attempt(3, "a") else "b", 1)], "the other one is full: it waits"
    assert play.counts.held == 1
    assert gone(play.finish(2))[0][0] == 1


def test_what_may_not_be_repeated_ends_with_its_failure() -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1)
    assert refused(play.fail(1, repeatable=False)) == [(1, Kind.ERROR_STATUS)]
    assert play.counts.retries == 0


def test_an_attempt_at_which_nobody_worked_costs_no_retry() -> None:
    play = Play(spec("a"), spec("b"), retries=RetrySettings(attempts=1, budget_ratio=0.0, budget_min_per_s=0.0))
    ((_, first, _),) = gone(play.submit(1))
    other = "b" if first == "a" else "a"
    assert gone(play.fail(1, fault(Kind.CONNECT))) == [(1, other, 2)]
    assert play.counts.retries == 0


def test_a_retry_is_paid_for_and_refused_when_the_budget_is_spent() -> None:
    play = Play(spec("a"), spec("b"), spec("c"), retries=RetrySettings(budget_ratio=0.0, budget_min_per_s=0.1))
    play.submit(1)
    assert len(gone(play.fail(1))) == 1
    assert (play.counts.retries, play.counts.retry_budget_left) == (1, 0)
    assert refused(play.fail(1)) == [(1, Kind.ERROR_STATUS)]


def test_a_deadline_that_has_passed_ends_it() -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1, deadline=play.now + 1.0)
    play.now += 1.0
    assert refused(play.fail(1)) == [(1, Kind.ERROR_STATUS)]
