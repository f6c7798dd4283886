"""Calls on the modelled engine, in the engine's own time."""

import pytest

from proxy.app.forecast.replay import replay, spec_of
from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.fitting import Constants

ENGINE = Constants(1e-4, 0.0, 0.01, 0.0, 0.0, token_budget=1024, max_num_seqs=1)


def test_each_is_sent_when_it_was_sent_and_waits_for_its_seat() -> None:
    calls = [
        Call("a", 100.0, 0, 0, 1000, 0, 11),
        Call("a", 100.05, 0, 0, 1000, 0, 1),
        Call("a", 200.0, 0, 0, 500, 0, 2),
    ]
    times = replay(ENGINE, calls)
    assert times[0] == pytest.approx((100.1, 100.2))
    assert times[1] == pytest.approx((100.3, 100.3))
    assert times[2] == pytest.approx((200.05, 200.06))


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
