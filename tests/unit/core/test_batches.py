"""Who goes together to an engine that runs one batch at a time."""

from typing import Any

from proxy.model.commands import Dispatch, Finished, FirstToken
from proxy.model.windows import Window
from tests.unit.core.playing import Play, gone, spec

ADAPTIVE = Window(True, 0.01, 32, 8192)
FIXED = Window(False, 0.01, 3, 8192)


def static(most: int = 32, **settings: Any) -> Play:
    """Before one engine that is known to be static, and has learned what a prompt and a step cost."""
    play = Play(spec("a"), policy="goodput", **settings)
    for job_id in range(1000, 1030):
        prompt = 100 + job_id % 7 * 100
        play.submit(job_id, stream=True, prompt_tokens=prompt)
        attempt = play.attempt(job_id)
        play.now += 0.01 + prompt * 1e-4
        play.scheduler.observe(FirstToken(attempt), play.now)
        play.now += 1.0
        play.scheduler.observe(Finished(attempt, prompt, 0, 51), play.now)
    (backend,) = play.scheduler._fleet.backends
    backend.batching.static = backend.batching.is_closed = True
    backend.batching.most = most
    play.submit(0, stream=True, prompt_tokens=100)
    return play


def ask(play: Play, *ids: int, **fields: Any) -> None:
    for job_id in ids:
        assert play.submit(job_id, **({"stream": True, "prompt_tokens": 100, "gather": ADAPTIVE} | fields)) == []


def test_nobody_goes_while_a_batch_runs_and_all_go_when_it_has_ended() -> None:
    play = static()
    ask(play, 1, 2, 3)
    assert gone(play.finish(0)) == [(1, "a", 1), (2, "a", 1), (3, "a", 1)]
    ask(play, 4, 5)
    assert play.finish(1) == play.finish(2) == []
    assert [job_id for job_id, _, _ in gone(play.finish(3))] == [4, 5]


def test_no_more_than_the_engine_begins_at_once() -> None:
    play = static(most=2)
    ask(play, 1, 2, 3)
    assert [job_id for job_id, _, _ in gone(play.finish(0))] == [1, 2]


def test_no_more_than_are_in_time_together() -> None:
    """Three prompts of a tenth of a second are computed before any of them has its first token."""
    play = static()
    ask(play, *range(1, 9), prompt_tokens=1000, slo_ttft_s=0.8)
    together = len(gone(play.finish(0)))
    assert 3 <= together <= 6


def test_the_last_chance_of_one_does_not_cost_the_others_theirs() -> None:
    play = static()
    ask(play, 1, prompt_tokens=1000, slo_ttft_s=0.95)
    play.now += 0.75
    ask(play, 2, 3, 4, 5, prompt_tokens=1000, slo_ttft_s=1.0)
    assert [job_id for job_id, _, _ in gone(play.finish(0))] == [2, 3, 4, 5]


def test_much_longer_prompts_go_with_their_like() -> None:
    play = static()
    ask(play, 1, 2)
    ask(play, 3, prompt_tokens=5000)
    ask(play, 4)
    assert [job_id for job_id, _, _ in gone(play.finish(0))] == [1, 2, 4]
    play.finish(1)
    play.finish(2)
    assert [job_id for job_id, _, _ in gone(play.finish(4))] == [3]


def test_a_serial_engine_gets_the_shortest_and_those_who_wait_become_shorter() -> None:
    play = static(most=1)
    ask(play, 1, prompt_tokens=9000)
    ask(play, 2, prompt_tokens=300)
    ask(play, 3, prompt_tokens=100)
    order, last = [], 0
    while commands := play.finish(last):
        (command,) = commands
        assert isinstance(command, Dispatch)
        last = command.jobs[0]
        order.append(last)
        if last == 3:
            play.now += 10.0
            ask(play, 4, prompt_tokens=200)
    assert order == [3, 2, 1, 4] or order == [3, 1, 2, 4]
    assert order.index(1) < order.index(4), "who has waited for long goes before one that has just come"


def test_without_windows_everything_goes_as_it_comes() -> None:
    play = static()
    assert gone(play.submit(1, stream=True)) == [(1, "a", 1)]


def test_a_fixed_window_collects_before_an_idle_engine_too() -> None:
    play = static()
    play.finish(0)
    ask(play, 1, 2, gather=FIXED)
    assert play.later(0.009) == []
    assert [job_id for job_id, _, _ in gone(play.later(0.001))] == [1, 2]


def test_a_fixed_window_that_is_full_waits_no_longer() -> None:
    play = static()
    play.finish(0)
    ask(play, 1, 2, gather=FIXED)
    assert sorted(job_id for job_id, _, _ in gone(play.submit(3, stream=True, gather=FIXED))) == [1, 2, 3]


def test_a_fixed_window_is_over_when_its_time_is_even_if_the_engine_is_at_a_batch() -> None:
    play = static()
    ask(play, 1, 2, gather=FIXED)
    assert play.later(0.02) == []
    ask(play, 3, gather=FIXED)
    assert [job_id for job_id, _, _ in gone(play.finish(0))] == [1, 2]


def test_a_fixed_window_holds_chats_before_any_engine_for_whoever_wants_to_measure_that() -> None:
    play = Play(spec("a"), spec("b"))
    ask(play, 1, gather=FIXED)
    play.later(0.004)
    ask(play, 2, gather=FIXED)
    assert play.later(0.005) == []
    went = gone(play.later(0.001))
    assert sorted(job_id for job_id, _, _ in went) == [1, 2]
    assert {backend for _, backend, _ in went} == {"a", "b"}, "each goes where it would have gone"
    ask(play, 3, 4, gather=FIXED)
    assert sorted(job_id for job_id, _, _ in gone(play.submit(5, stream=True, gather=FIXED))) == [3, 4, 5]


def test_jobs_that_could_be_merged_are_no_part_of_it() -> None:
    play = static()
    play.finish(0)
    window = {"window": b"w", "stream": False, "gather": FIXED}
    ask(play, 1, **window)
    ask(play, 2, gather=FIXED)
    assert len(gone(play.later(0.01))) == 1
    assert play.counts.held == 1, "they are no batch"
