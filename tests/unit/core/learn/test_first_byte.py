"""How long a first byte may take, by what was learned."""

import random

import pytest

from proxy.core.learn.first_byte import QUANTILES, FirstByteTimes


def taught(count: int, seed: int = 1, prompt: float = 500.0, streams: bool = True) -> FirstByteTimes:
    patience, rng = FirstByteTimes(), random.Random(seed)
    for _ in range(count):
        patience.learn(prompt, streams, 0.2, 0.2 * rng.uniform(0.5, 2.5))
    return patience


@pytest.mark.parametrize(("quantile", "truth"), [(0.5, 1.5), (0.9, 2.3), (0.95, 2.4)])
def test_limits_are_quantiles_of_what_came_true(quantile, truth):
    limits = [taught(2000, seed).limit_s(500, True, 1.0, quantile) for seed in range(20)]
    assert sum(limits) / 20 == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize(("quantile", "enough"), [(0.9, 50), (0.95, 100), (0.99, 500)])
def test_nothing_is_late_before_enough_was_seen(quantile, enough):
    assert taught(enough - 1).limit_s(500, True, 1.0, quantile) is None
    assert taught(enough).limit_s(500, True, 1.0, quantile) is not None


def test_a_size_seen_too_rarely_takes_the_limit_of_all_sizes():
    patience = taught(200, prompt=500)
    assert patience.limit_s(100_000, True, 1.0, 0.9) == patience.limit_s(500, True, 1.0, 0.9)
    for _ in range(200):
        patience.learn(100_000, True, 1.0, 9.0)
    assert patience.limit_s(100_000, True, 1.0, 0.9) > 3 * patience.limit_s(500, True, 1.0, 0.9)


def test_whole_answers_are_learned_apart_from_streams():
    patience = taught(200, streams=False)
    assert patience.limit_s(500, True, 1.0, 0.9) is None
    assert patience.limit_s(500, False, 1.0, 0.9) is not None
    assert (patience.usual(500, True), patience.usual(500, False) is None) == (None, False)


def test_an_attempt_given_up_says_only_that_it_took_longer():
    patience = taught(1000)
    before = [patience.limit_s(500, True, 1.0, q) for q in QUANTILES]
    patience.exceeded(500, True, 1.0, before[1] * 1.01)
    after = [patience.limit_s(500, True, 1.0, q) for q in QUANTILES]
    assert [b < a for b, a in zip(before, after, strict=True)] == [True, True, False, False]


def test_giving_the_slow_ones_up_at_the_limit_does_not_shrink_the_limit():
    """Each attempt that outlives its limit is dropped for another one: all that is known of it is that it was slow."""
    patience, rng = taught(500), random.Random(3)
    for _ in range(5000):
        actual, limit = 0.2 * rng.uniform(0.5, 2.5), patience.limit_s(500, True, 0.2, 0.95)
        if actual > limit:
            patience.exceeded(500, True, 0.2, limit * 1.0001)
        else:
            patience.learn(500, True, 0.2, actual)
    assert patience.limit_s(500, True, 1.0, 0.95) == pytest.approx(2.4, rel=0.15)


def test_limits_stay_within_reason():
    patience = FirstByteTimes()
    for _ in range(1000):
        patience.learn(10, True, 1e-3, 1e6)
    assert patience.limit_s(10, True, 1.0, 0.9) == 100.0
    for _ in range(5000):
        patience.learn(10, True, 1e3, 1e-6)
    assert patience.limit_s(10, True, 1.0, 0.99) >= 0.01
