"""Bursts on one beginning: the first goes, the others wait for its first token and go to the same engine."""

from typing import Any

from proxy.model.commands import Command, Dispatch, Failed, FirstToken, Refuse
from proxy.model.scheduling import CoreSettings, SchedulingSettings
from proxy.model.windows import Window
from tests.unit.core.playing import Play, fault, gone, spec

ADAPTIVE = Window(True, 0.01, 32, 8192)
SHARED = tuple(range(60))


def ask(play: Play, job_id: int, **more: Any) -> list[Command]:
    fields = {"stream": True, "prompt_tokens": 6000, "prefix": SHARED, "prefix_block_tokens": 100, "gather": ADAPTIVE}
    return play.submit(job_id, **(fields | more))


def before(*names: str) -> Play:
    return Play(*(spec(name) for name in names), policy="goodput")


def first_token(play: Play, job_id: int) -> list[Command]:
    return play.scheduler.observe(FirstToken(play.attempt(job_id)), play.now)


def test_the_first_goes_and_the_others_follow_it_to_the_same_engine() -> None:
    play = before("a", "b", "c")
    ((_, home, _),) = gone(ask(play, 1))
    assert ask(play, 2) == ask(play, 3) == []
    assert play.counts.held == 2
    play.now += 0.6
    assert gone(first_token(play, 1)) == [(2, home, 1), (3, home, 1)]
    assert play.counts.followed == 2
    assert play.counts.followed_tokens == 2 * 6000


def test_what_is_computed_already_is_waited_for_by_nobody() -> None:
    play = before("a", "b")
    ask(play, 1)
    play.now += 0.6
    first_token(play, 1)
    assert len(ask(play, 2)) == 1
    play.finish(1)
    assert len(ask(play, 3)) == 1


def test_nobody_waits_for_a_short_beginning_or_another_one() -> None:
    play = before("a")
    ask(play, 1)
    assert len(ask(play, 2, prefix=SHARED[:3])) == 1
    assert len(ask(play, 3, prefix=tuple(range(1000, 1060)))) == 1
    play = before("a")
    ask(play, 1, prompt_tokens=600, prefix=SHARED[:6])
    assert len(ask(play, 2, prompt_tokens=600, prefix=SHARED[:6])) == 1


def test_nobody_waits_without_time_to_spare_or_without_windows() -> None:
    play = before("a")
    ask(play, 1)
    assert len(ask(play, 2, slo_ttft_s=0.3)) == 1
    assert len(ask(play, 3, gather=None)) == 1


def test_nobody_waits_for_a_leader_that_has_left_or_failed() -> None:
    play = before("a")
    ask(play, 1)
    ask(play, 2)
    ask(play, 3)
    assert gone(play.cancel(1)) == [(2, "a", 1), (3, "a", 1)]
    assert play.counts.held == 0
    play = before("a", "b")
    ask(play, 1)
    ask(play, 2)
    commands = play.scheduler.observe(Failed(play.attempt(1), fault(), False), play.now)
    assert {type(one) for one in commands} == {Refuse, Dispatch}
    assert play.counts.held == 0
    assert play.counts.followed == 0


def test_a_leader_that_is_slow_is_not_waited_for_for_ever() -> None:
    play = before("a")
    ask(play, 1)
    ask(play, 2)
    at = play.scheduler.wakeup_at()
    assert at is not None
    assert at < play.now + 3.0
    assert gone(play.later(at - play.now)) == [(2, "a", 1)]
    assert first_token(play, 1) == []


def test_who_leaves_follows_nobody() -> None:
    play = before("a")
    ask(play, 1)
    ask(play, 2)
    play.cancel(2)
    play.now += 0.6
    assert first_token(play, 1) == []
    assert play.counts.followed == 0


def test_engines_that_came_and_went_meanwhile_confuse_nobody() -> None:
    """Whose blocks are known is no place in the list of engines."""
    play = before("a", "b", "c")
    ask(play, 1)
    goodput = CoreSettings(scheduling=SchedulingSettings(policy="goodput"))
    play.scheduler.reconfigure([spec(name) for name in ("d", "c", "b", "a")], goodput, play.now)
    assert ask(play, 2) == []
    play.now += 0.6
    assert len(first_token(play, 1)) == 1


def test_nobody_follows_to_an_engine_that_was_taken_out() -> None:
    play = before("a", "b")
    ((_, home, _),) = gone(ask(play, 1))
    (other,) = {"a", "b"} - {home}
    ask(play, 2)
    goodput = CoreSettings(scheduling=SchedulingSettings(policy="goodput"))
    play.scheduler.reconfigure([spec(other)], goodput, play.now)
    play.now += 0.6
    assert gone(first_token(play, 1)) == [(2, other, 1)]
