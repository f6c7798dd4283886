"""What of a prompt was in a cache, as its prefill tells."""

import pytest

from proxy.core.learn.cost_model import CostModel, PoolModel, prefill_features
from proxy.core.learn.inferred_hit import inferred_hit


def learned(linear: float, square: float, beside: float) -> CostModel:
    model = CostModel(PoolModel())
    for number in range(3000):
        fresh, hit, decoding = 100.0 + 977.0 * (number % 13), 512.0 * (number % 7), float(number % 5)
        prompt = fresh + hit
        squares = prompt * prompt - hit * hit
        took = 0.01 + linear * fresh + square * squares + beside * fresh * decoding
        model.learn_prefill(prefill_features(fresh, squares, decoding), took)
    return model


@pytest.mark.parametrize(("linear", "square", "beside"), [(1e-4, 0.0, 0.0), (5e-5, 4e-9, 0.0), (5e-5, 4e-9, 2e-6)])
@pytest.mark.parametrize("hit", [0.0, 2000.0, 7500.0])
def test_it_is_what_the_time_says(linear: float, square: float, beside: float, hit: float) -> None:
    model, prompt, decoding = learned(linear, square, beside), 8000.0, 3.0
    fresh = prompt - hit
    took = 0.01 + linear * fresh + square * (prompt * prompt - hit * hit) + beside * fresh * decoding
    assert inferred_hit(model, prompt, decoding, took) == pytest.approx(hit, abs=0.08 * prompt)


def test_it_is_between_nothing_and_all() -> None:
    model = learned(1e-4, 1e-9, 0.0)
    assert inferred_hit(model, 1000.0, 0.0, 99.0) == 0.0
    assert inferred_hit(model, 1000.0, 0.0, 0.0) == 1000.0
    assert inferred_hit(CostModel(PoolModel()), 0.0, 0.0, 0.1) == 0.0
