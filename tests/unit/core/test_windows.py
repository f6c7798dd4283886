"""Windows: who waits for whom, why they leave, and that nothing is lost on the way."""

from typing import Any

import pytest

from proxy.core.learn.calls import IN_FLIGHT
from proxy.model.commands import Command, Dispatch, Failed, Finished, Part, Refuse
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind, downstream
from proxy.model.windows import Closed, Window
from tests.unit.core.playing import Play, fault, spec

FIXED = Window(False, 0.01, 32, 8192)
ADAPTIVE = Window(True, 0.01, 32, 8192)


def text(play: Play, job_id: int, rule: Window | None = FIXED, window: bytes = b"w", **more: Any) -> list[Command]:
    """One embedding."""
    fields: dict[str, Any] = {"prompt_tokens": 20, "endpoint": Endpoint.EMBEDDINGS, "gather": rule, "window": window}
    return play.submit(job_id, **(fields | more))


def sent(commands: list[Command]) -> list[tuple[int, ...]]:
    assert all(isinstance(one, Dispatch) for one in commands), commands
    return [one.jobs for one in commands if isinstance(one, Dispatch)]


def closed(commands: list[Command]) -> Closed:
    (command,) = commands
    assert isinstance(command, Dispatch)
    assert command.gathered is not None
    return command.gathered.closed


def busy(play: Play, calls: int = IN_FLIGHT, rule: Window = ADAPTIVE) -> None:
    for job_id in range(1000, 1000 + calls):
        assert len(text(play, job_id, rule)) == 1


def test_the_clock_starts_at_the_oldest() -> None:
    play = Play(spec("a"))
    assert text(play, 1) == []
    assert play.scheduler.wakeup_at() == pytest.approx(play.now + 0.01)
    assert play.later(0.006) == []
    assert text(play, 2) == []
    commands = play.later(0.004)
    assert sent(commands) == [(1, 2)]
    (command,) = commands
    assert isinstance(command, Dispatch)
    assert command.gathered is not None
    assert command.gathered.closed is Closed.AGE
    assert command.gathered.waits_s == pytest.approx((0.01, 0.004))
    assert (play.view("a").in_flight, play.counts.in_flight) == (1, 2)


def test_full_by_jobs() -> None:
    play = Play(spec("a"))
    rule = Window(False, 0.01, 3, 8192)
    assert text(play, 1, rule) == text(play, 2, rule) == []
    commands = text(play, 3, rule)
    assert sent(commands) == [(1, 2, 3)]
    assert closed(commands) is Closed.FULL


def test_full_by_tokens() -> None:
    play = Play(spec("a"))
    rule = Window(False, 0.01, 32, 100)
    assert text(play, 1, rule, prompt_tokens=60) == []
    commands = text(play, 2, rule, prompt_tokens=40)
    assert (sent(commands), closed(commands)) == ([(1, 2)], Closed.TOKENS)
    assert text(play, 3, rule, prompt_tokens=60) == []
    assert text(play, 4, rule, prompt_tokens=60) == []
    assert sent(play.later(0.01)) == [(3,), (4,)], "no room for both in one call"


def test_windows_of_one_job_or_of_no_time_are_none() -> None:
    play = Play(spec("a"))
    assert sent(text(play, 1, Window(False, 0.01, 1, 8192))) == [(1,)]
    assert sent(text(play, 2, Window(False, 0.0, 32, 8192))) == [(2,)]
    assert sent(text(play, 3, None)) == [(3,)]


def test_a_window_of_ten_minutes_is_one_of_the_longest_hold() -> None:
    play = Play(spec("a"))
    assert text(play, 1, Window(False, 600.0, 32, 8192)) == []
    assert sent(play.later(30.0)) == [(1,)]


def test_jobs_of_different_windows_never_meet() -> None:
    play = Play(spec("a"))
    text(play, 1)
    text(play, 2, window=b"x")
    assert sorted(sent(play.later(0.01))) == [(1,), (2,)]


def test_an_array_joins_and_counts_as_what_it_holds() -> None:
    play = Play(spec("a"))
    text(play, 1, items=5)
    commands = text(play, 2, items=3)
    assert (sent(commands), closed(commands)) == ([(1, 2)], Closed.FULL)


def test_a_lone_call_waits_for_nobody() -> None:
    play = Play(spec("a"))
    assert sent(text(play, 1, ADAPTIVE)) == [(1,)]


def test_others_are_collected_while_calls_are_out_and_go_when_one_ends() -> None:
    play = Play(spec("a"))
    busy(play)
    assert text(play, 1, ADAPTIVE) == text(play, 2, ADAPTIVE) == []
    play.now += 0.003
    commands = play.finish(1000)
    assert (sent(commands), closed(commands)) == ([(1, 2)], Closed.IDLE)


def test_nobody_waits_where_a_call_costs_nothing_by_itself() -> None:
    """Its time is that of its inputs, so that nothing is saved."""
    play = Play(spec("a"))
    rule = Window(True, 10.0, 32, 8192)
    for job_id in range(0, 200, 2):
        items = 1 + job_id % 6
        (command,) = text(play, job_id, rule, items=items)
        assert isinstance(command, Dispatch)
        play.now += 0.01 * items
        play.finish(job_id)
    busy(play, rule=rule)
    assert sent(text(play, 1, rule)) == [(1,)]


def test_who_has_little_time_does_not_wait() -> None:
    play = Play(spec("a"))
    text(play, 1)
    commands = text(play, 2, deadline=play.now + 1e-4)
    assert (sent(commands), closed(commands)) == ([(1, 2)], Closed.DEADLINE)
    play.finish(1)
    assert text(play, 3) == []
    assert text(play, 4, deadline=play.now + 0.05) == []
    assert closed(play.later(0.0099)) is Closed.DEADLINE


def test_who_goes_before_others_takes_them_along() -> None:
    play = Play(spec("a"))
    text(play, 1)
    commands = text(play, 2, priority=1)
    assert (sent(commands), closed(commands)) == ([(1, 2)], Closed.DEADLINE)


def test_who_leaves_a_window_leaves_no_trace() -> None:
    play = Play(spec("a"))
    text(play, 1)
    play.later(0.006)
    text(play, 2)
    play.cancel(1)
    assert play.later(0.004) == []
    assert sent(play.later(0.006)) == [(2,)]
    text(play, 3)
    play.cancel(3)
    assert play.scheduler.wakeup_at() is None
    assert (play.counts.held, play.counts.held_bytes) == (0, 0)


def test_a_drain_closes_all_windows() -> None:
    play = Play(spec("a"))
    text(play, 1)
    text(play, 2, window=b"x")
    assert play.scheduler.refuse_new() == []
    assert play.scheduler.wakeup_at() == 0.0
    assert sorted(sent(play.later(0.001))) == [(1,), (2,)]
    (refusal,) = text(play, 3)
    assert isinstance(refusal, Refuse)
    assert refusal.fault.kind is Kind.DRAINING


def test_who_finds_no_place_at_a_drain_is_refused() -> None:
    play = Play(spec("a", 1))
    text(play, 1)
    text(play, 2, window=b"x")
    play.scheduler.refuse_new()
    kinds = [type(one) for one in play.later(0.001)]
    assert kinds == [Dispatch, Refuse]


def test_those_that_wait_for_a_permit_go_together() -> None:
    play = Play(spec("a", 1))
    text(play, 1, None)
    for job_id in (2, 3, 4):
        assert text(play, job_id) == []
    play.later(0.02)
    assert play.counts.held == 3
    assert sent(play.finish(1)) == [(2, 3, 4)]


def test_explain_says_what_would_go_and_how_long_it_waited() -> None:
    play = Play(spec("a"))
    text(play, 1, Window(False, 0.01, 2, 8192))
    play.now += 0.003
    open_job = play.scheduler._attempts.open[1].job
    said = play.scheduler.explain(open_job, play.now)
    assert (said.outcome, said.batch) == ("dispatch", 2)
    assert said.waited_s == pytest.approx(0.003)


def test_an_engine_that_takes_fewer_gets_fewer_and_it_costs_nobody_a_try() -> None:
    play = Play(spec("a"))
    for job_id in range(7):
        text(play, job_id)
    (command,) = play.later(0.01)
    assert isinstance(command, Dispatch)
    refusal = Failed(command.attempt, downstream(Kind.INVALID, "too many"), True, too_many=True, cap=3)
    again = play.scheduler.observe(refusal, play.now)
    assert sent(again) == [(0, 1, 2), (3, 4, 5), (6,)]
    assert play.counts.retries == 0
    assert sent([*text(play, 11), *text(play, 12), *text(play, 13)]) == [(11, 12, 13)], "and it is remembered"


def test_an_engine_that_takes_no_arrays_gets_none() -> None:
    play = Play(spec("a"))
    text(play, 1)
    text(play, 2)
    (command,) = play.later(0.01)
    assert isinstance(command, Dispatch)
    refusal = Failed(command.attempt, downstream(Kind.INVALID, "no arrays"), True, too_many=True, cap=1)
    assert sent(play.scheduler.observe(refusal, play.now)) == [(1,), (2,)]
    assert sent(text(play, 3)) == [(3,)]


def merged(play: Play, *ids: int) -> int:
    """The attempt that these are on."""
    for job_id in ids:
        text(play, job_id)
    commands = play.later(0.01)
    assert sent(commands) == [ids]
    return play.attempt(ids[0])


def test_one_bad_input_ends_its_job_and_the_others_go_without_it() -> None:
    play = Play(spec("a"))
    bad = downstream(Kind.INVALID, "input 1 is bad")
    attempt = merged(play, 1, 2, 3)
    refusal, again = play.scheduler.observe(Failed(attempt, bad, True, culprits=(2,)), play.now)
    assert isinstance(refusal, Refuse)
    assert (refusal.job_id, refusal.fault) == (2, bad)
    assert sent([again]) == [(1, 3)]


def test_where_nobody_knows_whose_input_is_bad_each_goes_alone() -> None:
    play = Play(spec("a"))
    attempt = merged(play, 1, 2, 3)
    again = play.scheduler.observe(Failed(attempt, downstream(Kind.INVALID, "bad"), True), play.now)
    assert sent(again) == [(1,), (2,), (3,)]
    assert play.counts.retries == 0


def test_a_batch_dies_with_its_engine_and_each_is_retried_alone_within_its_budget() -> None:
    play = Play(spec("a"), spec("b"))
    attempt = merged(play, 1, 2)
    again = play.scheduler.observe(Failed(attempt, fault(Kind.RESET), True), play.now)
    assert sent(again) == [(1,), (2,)]
    assert play.counts.retries == 2
    attempt = merged(play, 3, 4)
    ends = play.scheduler.observe(Failed(attempt, fault(Kind.RESET), False), play.now)
    assert [type(one) for one in ends] == [Refuse, Refuse], "never repeated where the engine may have begun"


def test_a_batch_that_reached_nobody_goes_elsewhere_as_it_is() -> None:
    play = Play(spec("a"), spec("b"))
    attempt = merged(play, 1, 2)
    (again,) = play.scheduler.observe(Failed(attempt, fault(Kind.CONNECT), True), play.now)
    assert sent([again]) == [(1, 2)]


def test_whom_an_answer_has_nothing_for_goes_again_alone() -> None:
    play = Play(spec("a"))
    attempt = merged(play, 1, 2, 3)
    again = play.scheduler.observe(Finished(attempt, 60, parts=(Part(2, 20), Part(3, 20)), missing=(1,)), play.now)
    assert sent(again) == [(1,)]
    assert (play.counts.finished, play.counts.in_flight) == (2, 1)
