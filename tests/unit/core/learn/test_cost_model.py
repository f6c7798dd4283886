"""Seconds of prefills and of tokens, learned from an engine's own answers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.learn.cost_model import (
    MAX_PREFILL_S,
    MAX_TPOT_S,
    MIN_PREFILL_S,
    MIN_TPOT_S,
    CostModel,
    Drift,
    Features,
    PoolModel,
    bounded_prefill,
    bounded_tpot,
    decode_features,
    prefill_features,
    significant,
)

PREFILL = (0.02, 0.57, 0.44, 0.1)
DECODE = (0.0106, 0.00419, 0.0142, 0.8)


def truth(coefficients: Features, x: Features) -> float:
    return sum(c * f for c, f in zip(coefficients, x, strict=True))


def drawn_prefill(rng: random.Random) -> Features:
    fresh = rng.uniform(50, 20_000)
    return prefill_features(fresh, fresh * fresh * rng.uniform(1, 1.5), rng.randrange(30))


def drawn_decode(rng: random.Random) -> Features:
    decoding = rng.randrange(1, 40)
    return decode_features(decoding, decoding * rng.uniform(500, 5000), rng.uniform(0, 0.05))


def taught(pool: PoolModel | None = None, samples: int = 400, slower: float = 1.0, seed: int = 1) -> CostModel:
    model, rng = CostModel(pool or PoolModel()), random.Random(seed)
    for _ in range(samples):
        x = drawn_prefill(rng)
        model.learn_prefill(x, slower * truth(PREFILL, x) * rng.uniform(0.9, 1.1))
        x = drawn_decode(rng)
        model.learn_decode(x, slower * truth(DECODE, x) * rng.uniform(0.9, 1.1))
    return model


def prefill_s(model: CostModel, x: Features) -> float:
    return truth(tuple(model.prefill), x) * model.slow  # type: ignore[arg-type]


def decode_s(model: CostModel, x: Features) -> float:
    return truth(tuple(model.decode), x) * model.slow_decode  # type: ignore[arg-type]


@pytest.mark.parametrize("truth_of", [(0.02, 8.0, 0.2, 0.0), (0.005, 20.0, 0.2, 0.0), (0.06, 0.5, 0.2, 0.0)])
def test_short_prompts_teach_what_they_cost_on_an_engine_of_any_speed(truth_of: Features) -> None:
    """llama.cpp on a processor: prompts of 30 to 700 tokens to compute, 0.05 to 0.5 s each."""
    model, rng, off = CostModel(PoolModel()), random.Random(1), []
    for number in range(120):
        fresh = rng.choice((45, 45, 250, 500)) * rng.uniform(0.7, 1.3)
        x = prefill_features(fresh, fresh * (fresh + 400), rng.randrange(3))
        if number >= 40:
            off.append(abs(prefill_s(model, x) / truth(truth_of, x) - 1.0))
        model.learn_prefill(x, truth(truth_of, x) * rng.uniform(0.8, 1.2))
    assert sorted(off)[len(off) // 2] < 0.3
    assert sorted(off)[len(off) * 9 // 10] < 0.6


def test_what_was_seen_is_predicted() -> None:
    model, rng = taught(), random.Random(2)
    for _ in range(50):
        x = drawn_prefill(rng)
        assert prefill_s(model, x) == pytest.approx(truth(PREFILL, x), rel=0.15)
        x = drawn_decode(rng)
        assert decode_s(model, x) == pytest.approx(truth(DECODE, x), rel=0.15)


def test_a_backend_nobody_has_seen_is_as_its_pool() -> None:
    pool = PoolModel()
    taught(pool)
    newcomer = CostModel(pool)
    x = prefill_features(5000, 5000**2, 4)
    assert prefill_s(newcomer, x) == pytest.approx(truth(PREFILL, x), rel=0.2)


def test_its_own_samples_count_more_the_more_there_are() -> None:
    pool = PoolModel()
    taught(pool, samples=600)
    x = prefill_features(5000, 5000**2, 4)
    few, many = taught(pool, samples=3, slower=3.0), taught(pool, samples=300, slower=3.0)
    for model in (few, many):
        model.slow = 1.0  # without what the last few say
    assert prefill_s(few, x) < 2 * truth(PREFILL, x)
    assert prefill_s(many, x) == pytest.approx(3 * truth(PREFILL, x), rel=0.2)


def test_becoming_slower_without_a_word_is_noticed_within_a_few_samples() -> None:
    model, rng = taught(), random.Random(3)
    for _ in range(8):
        x = drawn_prefill(rng)
        model.learn_prefill(x, 5 * truth(PREFILL, x))
    x = prefill_features(5000, 5000**2, 4)
    assert prefill_s(model, x) > 2.5 * truth(PREFILL, x)
    assert model.slow > 2


def test_becoming_faster_is_no_reason_for_haste() -> None:
    model, rng = taught(), random.Random(3)
    for _ in range(8):
        x = drawn_prefill(rng)
        model.learn_prefill(x, truth(PREFILL, x) / 5)
    assert model.slow == 1.0


def test_what_is_late_already_counts_before_it_ends() -> None:
    model = taught()
    for _ in range(5):
        model.late(0.3, 3.0)
    assert model.slow > 1.5


def test_faster_than_without_any_prefix_hit_says_nothing_and_slower_does() -> None:
    model = taught()
    x = prefill_features(5000, 5000**2, 0)
    for _ in range(10):
        model.notice(x, 0.01)
    assert model.slow == 1.0
    for _ in range(10):
        model.notice(x, 10 * truth(PREFILL, x))
    assert model.slow > 2


@pytest.mark.parametrize(
    ("ratio", "factor"), [(0.0, 1.0), (1.0, 1.0), (1.25, 1.0), (2.5, 2.0), (62.5, 50.0), (1e9, 50.0)]
)
def test_a_drift_within_noise_is_none_and_none_is_endless(ratio: float, factor: float) -> None:
    assert significant(ratio) == pytest.approx(factor)


@given(samples=st.lists(st.tuples(st.floats(1e-3, 100), st.floats(1e-3, 100)), min_size=1, max_size=50))
def test_a_drift_stays_between_the_ratios_it_has_seen(samples: list[tuple[float, float]]) -> None:
    drift = Drift(0.85, 0.05)
    for predicted, actual in samples:
        drift.learn(predicted, actual)
    ratios = [1.0, *(actual / predicted for predicted, actual in samples)]
    assert min(ratios) - 1e-9 <= drift.ratio() <= max(ratios) + 1e-9


@given(seconds=st.floats(-1e9, 1e9))
def test_predictions_stay_within_reason(seconds: float) -> None:
    assert MIN_PREFILL_S <= bounded_prefill(seconds) <= MAX_PREFILL_S
    assert MIN_TPOT_S <= bounded_tpot(seconds) <= MAX_TPOT_S


@given(seed=st.integers(0, 50))
def test_wild_samples_leave_finite_numbers(seed: int) -> None:
    model, rng = CostModel(PoolModel()), random.Random(seed)
    for _ in range(100):
        model.learn_prefill(drawn_prefill(rng), 10 ** rng.uniform(-4, 4))
        model.learn_decode(drawn_decode(rng), 10 ** rng.uniform(-5, 1))
    assert all(abs(c) < 1e9 for c in (*model.prefill, *model.decode))
    assert 1.0 <= model.slow <= 50.0
