"""Calls on the modelled engine, in the engine's own time."""

import pytest

from proxy.app.forecast.replay import replay, spec_of
from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.fitting import Constants

ENGINE = Constants(1e-4, 0.0, 0.01, 0.0, 0.0, token_budget=1024, max_num_seqs=1)


def test_what_nothing_came_before_is_sent_when_it_was_sent_and_waits_for_its_seat() -> None:
    calls = [Call("a", 100.0, 100.1, 100.2, 1000, 0, 11), Call("a", 100.05, 100.3, 100.3, 1000, 0, 1)]
    times = replay(ENGINE, calls)
    assert times[0] == pytest.approx((0.0, 0.1, 0.2))
    assert times[1] == pytest.approx((0.05, 0.3, 0.3))


def test_what_was_sent_upon_an_end_is_sent_upon_it_in_the_model() -> None:
    """By the clock it would find two others in an engine that is a third too slow, and wait longer each time."""
    calls = [Call("a", float(at), at + 0.1, at + 0.99, 1000, 0, 90) for at in range(20)]
    slow = Constants(1e-4, 0.0, 0.0133, 0.0, 0.0, token_budget=1024, max_num_seqs=1)
    times = replay(slow, calls)
    assert [one.first - one.sent for one in times] == pytest.approx([0.1] * 20)
    assert times[1].sent - times[0].done == pytest.approx(0.01)


def test_a_moment_that_was_rounded_is_that_of_the_end_it_came_upon() -> None:
    calls = [Call("a", 0.0, 0.1, 0.5, 1000, 0, 41), Call("a", 0.499, 0.6, 0.6, 1000, 0, 1)]
    assert replay(ENGINE, calls)[1].sent == pytest.approx(0.5)


def test_what_lies_before_an_engine_is_in_the_time_to_the_first_token() -> None:
    far = Constants(1e-4, 0.0, 0.01, 0.0, 0.0, request_s=0.02, token_budget=1024, max_num_seqs=1)
    (one,) = replay(far, [Call("a", 5.0, 5.1, 5.2, 1000, 0, 11)])
    assert one == pytest.approx((0.0, 0.12, 0.22))


def test_what_was_in_the_cache_is_not_computed_and_still_takes_its_place() -> None:
    (cold,), (warm,) = (replay(ENGINE, [Call("a", 0.0, 0, 0, 1000, cached, 1)]) for cached in (0, 900))
    assert (cold.first, warm.first) == (pytest.approx(0.1), pytest.approx(0.01))
    with_context = Constants(1e-4, 0.0, 0.01, 0.0, 1e-5, token_budget=1024, max_num_seqs=1)
    paces = [
        (time.done - time.first) / 9
        for cached in (0, 900)
        for time in replay(with_context, [Call("a", 0.0, 0, 0, 1000, cached, 10)])
    ]
    assert paces[0] == pytest.approx(paces[1])


def test_the_longest_call_fits() -> None:
    assert spec_of(ENGINE, 300_000).max_model_len == 300_000
