"""Attempts and their backends' quotas: what each end gives back, who waits, and who goes elsewhere."""

import random

import pytest

from proxy.model.commands import Dispatch, Failed, Finished, FirstByte, Refuse, Remaining
from proxy.model.faults import Kind
from proxy.model.limits import HoldSettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings, SchedulingSettings
from tests.unit.core.playing import Play, fault, gone, only_fault, spec

LONG = HoldSettings(max_wait=100.0)


def test_no_more_than_the_limit_in_any_minute_whoever_leaves_meanwhile() -> None:
    play, rng = Play(spec("a", requests_per_minute=5), hold=LONG), random.Random(3)
    sent: list[float] = []
    job_id = 0
    for _ in range(1200):
        commands = play.later(0.5)
        if rng.random() < 0.2:
            job_id += 1
            commands += play.submit(job_id)
            if rng.random() < 0.3:
                commands += play.cancel(job_id)
        for command in commands:
            if isinstance(command, Dispatch):
                sent.append(play.now)
                if command.jobs[0] in play.scheduler._attempts.open:
                    commands += play.finish(command.jobs[0])
    assert all(sum(start <= at < start + 60.0 for at in sent) <= 5 for start in sent)
    assert len(sent) > 5 * 9 * 0.9
    assert play.view("a").in_flight == 0


def test_a_job_is_held_until_there_is_room_and_then_goes() -> None:
    play = Play(spec("a", requests_per_minute=1), hold=LONG)
    gone(play.submit(1))
    play.finish(1)
    assert play.submit(2) == []
    assert play.view("a").paused_until == pytest.approx(162.0)
    assert play.later(61.0) == []
    assert gone(play.later(1.0)) == [(2, "a", 1)]
    assert play.counts.refused == 0


def test_who_may_not_wait_so_long_is_told_when_to_come_back() -> None:
    play = Play(spec("a", requests_per_minute=1), hold=HoldSettings(max_wait=5.0))
    gone(play.submit(1))
    (refused,) = play.submit(2)
    assert isinstance(refused, Refuse)
    assert refused.fault.retry_after_s == 60.0
    assert only_fault([refused]).kind is Kind.QUEUE_FULL


def test_another_backend_is_taken_meanwhile() -> None:
    play = Play(spec("a", requests_per_minute=2), spec("b"))
    assert sorted(gone(play.submit(i))[0][1] for i in range(6)) == ["a", "a", "b", "b", "b", "b"]
    assert play.view("a").requests_left == 0
    assert play.view("b").requests_left is None


def test_what_each_end_uses_of_its_tokens() -> None:
    play = Play(spec("a", requests_per_minute=10, tokens_per_minute=100_000))

    def left() -> tuple[int | None, int | None]:
        return play.view("a").requests_left, play.view("a").tokens_left

    play.submit(1, prompt_tokens=1000, max_tokens=500)
    assert left()[0] == 9
    assert (left()[1] or 0) < 99_000
    play.scheduler.observe(Finished(play.attempt(1), 900, None, 100), play.now)
    assert left() == (9, 99_000)
    play.submit(2, prompt_tokens=1000, max_tokens=500)
    play.fail(2, fault(Kind.BUSY))
    assert left() == (8, 99_000), "declined: no token"
    play.later(5.0)
    gone(play.submit(3, prompt_tokens=1000, max_tokens=500))
    play.fail(3, fault(Kind.CONNECT))
    assert left() == (8, 99_000), "not received: nothing"


def test_who_leaves_has_used_the_prompt_and_what_was_counted() -> None:
    play = Play(spec("a", tokens_per_minute=100_000))
    play.submit(1, prompt_tokens=1000, max_tokens=5000)
    before = play.view("a").tokens_left
    play.cancel(1)
    after = play.view("a").tokens_left
    assert before is not None
    assert after is not None
    assert before < after < 100_000


def test_a_request_too_large_for_what_is_left_waits_and_a_small_one_goes() -> None:
    play = Play(spec("a", tokens_per_minute=10_000), hold=LONG)
    play.submit(1, prompt_tokens=100, max_tokens=10)
    play.submit(2, prompt_tokens=100, max_tokens=10)
    play.later(10.0)
    large = play.submit(3, prompt_tokens=9_950, max_tokens=10)
    assert large == []
    assert gone(play.submit(4, prompt_tokens=100, max_tokens=10)) == [(4, "a", 1)]
    assert play.counts.held == 1


def test_what_the_head_of_an_answer_says_keeps_others_away_until_then() -> None:
    play = Play(spec("a"), hold=LONG)
    gone(play.submit(1))
    first = play.attempt(1)
    play.scheduler.observe(Remaining(first, 0.0, 6.0), play.now)
    play.scheduler.observe(FirstByte(first), play.now)
    play.finish(1)
    assert play.submit(2) == []
    assert play.later(5.9) == []
    assert gone(play.later(0.2)) == [(2, "a", 1)]


def test_what_is_said_of_an_attempt_that_is_over_is_not_heard() -> None:
    play = Play(spec("a"))
    play.submit(1)
    first = play.attempt(1)
    play.finish(1)
    play.scheduler.observe(Remaining(first, 0.0, 6.0), play.now)
    assert gone(play.submit(2)) == [(2, "a", 1)]


def test_a_limit_that_is_lowered_counts_what_was_used_and_ends() -> None:
    play = Play(spec("a", requests_per_minute=10), hold=LONG)
    for job_id in range(4):
        play.submit(job_id)
        play.finish(job_id)
    settings = CoreSettings(hold=LONG, scheduling=SchedulingSettings(policy="least_outstanding"))
    play.scheduler.reconfigure([spec("a", requests_per_minute=4)], settings, play.now)
    assert play.submit(9) == []
    assert gone(play.later(62.0)) == [(9, "a", 1)]


def test_explain_says_that_it_is_the_quota() -> None:
    play = Play(spec("a", requests_per_minute=1), spec("b"))
    while play.view("a").requests_left:
        play.submit(play.counts.offered + 1)
    told = play.scheduler.explain(Job(99, "m"), play.now)
    assert {c.backend: c.removed_by for c in told.candidates} == {"a": "quota", "b": None}


def test_a_failed_report_after_the_quota_was_heard_is_no_error() -> None:
    play = Play(spec("a"), spec("b"))
    ((_, name, _),) = gone(play.submit(1))
    attempt = play.attempt(1)
    play.scheduler.observe(Remaining(attempt, 0.0, 3.0), play.now)
    again = play.scheduler.observe(Failed(attempt, fault(Kind.BUSY), True), play.now)
    assert gone(again)[0][1] != name
