"""The recursion finds what generated the samples, forgets what is old, and survives what does not vary."""

import random

import pytest

from proxy.core.learn.rls import Rls

TRUE = (0.02, 0.7, 0.4, 1.5)


def samples(count: int, coefficients: tuple[float, ...] = TRUE, noise: float = 0.0, seed: int = 1) -> list[tuple]:
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        x = (1.0, rng.uniform(0, 4), rng.uniform(0, 9), rng.uniform(0, 1))
        out.append((x, sum(c * v for c, v in zip(coefficients, x, strict=True)) + rng.gauss(0, noise)))
    return out


def learned(pairs: list[tuple], start: tuple[float, ...] = (0.0,) * 4) -> Rls:
    model = Rls(start, (1.0,) * 4)
    for x, y in pairs:
        model.learn(x, y, 10.0)
    return model


def test_it_finds_the_coefficients() -> None:
    assert learned(samples(400)).coefficients == pytest.approx(TRUE, abs=0.01)


def test_noise_averages_out() -> None:
    assert learned(samples(2000, noise=0.3)).coefficients == pytest.approx(TRUE, abs=0.15)


def test_it_follows_a_change() -> None:
    model = learned(samples(500))
    for x, y in samples(3000, (0.1, 1.4, 0.8, 3.0), seed=2):
        model.learn(x, y, 10.0)
    assert model.coefficients == pytest.approx((0.1, 1.4, 0.8, 3.0), abs=0.05)


def test_features_that_never_vary_do_not_blow_up() -> None:
    model = Rls((0.0,) * 4, (1.0,) * 4)
    for _ in range(20_000):
        model.learn((1.0, 0.5, 0.0, 0.0), 2.0, 10.0)
    model.learn((1.0, 0.5, 1.0, 1.0), 2.5, 10.0)
    assert all(abs(c) < 100 for c in model.coefficients)
    assert model.predict((1.0, 0.5, 0.0, 0.0)) == pytest.approx(2.0, abs=0.2)


def test_what_is_not_known_any_more_is_learned_from_a_few_samples() -> None:
    firm = learned(samples(200))
    firm.loosen(0.0)
    before = list(firm.coefficients)
    firm.loosen(100.0)
    assert firm.coefficients == before
    changed = (TRUE[0], TRUE[1] + 7.0, *TRUE[2:])
    for x, y in samples(5, changed):
        firm.learn(x, y)
    assert firm.coefficients[1] == pytest.approx(changed[1], rel=0.05)
