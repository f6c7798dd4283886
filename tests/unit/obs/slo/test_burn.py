"""Burn rates by hand, and the pairs of the workbook."""

from dataclasses import replace

import pytest

from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.burn import (
    ALERTS,
    WINDOWS_S,
    alerts_of,
    attainment,
    budget_left,
    burn_rate,
    exhausted_in_s,
    firing,
)

MONTH = ServiceLevelObjective(name="x", class_="interactive", objective=0.999)


def test_the_pairs_are_those_of_the_workbook() -> None:
    assert [(one.severity, one.factor, one.long, one.short) for one in ALERTS] == [
        ("page", 14.4, "1h", "5m"),
        ("page", 6.0, "6h", "30m"),
        ("ticket", 3.0, "1d", "2h"),
        ("ticket", 1.0, "3d", "6h"),
    ]
    spent = [one.factor * WINDOWS_S[one.long] / MONTH.window for one in ALERTS]
    assert spent == pytest.approx([0.02, 0.05, 0.1, 0.1])


def test_numbers() -> None:
    assert attainment((0, 0)) is None
    assert attainment((999, 1000)) == 0.999
    assert burn_rate((0, 0), 0.001) == 0
    assert burn_rate((999, 1000), 0.001) == pytest.approx(1)
    assert burn_rate((0, 7), 0.001) == pytest.approx(1000)
    assert budget_left((0, 0), 0.001) == 1
    assert budget_left((9995, 10_000), 0.001) == pytest.approx(0.5)
    assert budget_left((9970, 10_000), 0.001) == pytest.approx(-2)


def test_until_the_budget_is_gone() -> None:
    assert exhausted_in_s(0.5, 0.0, 1000.0) is None
    assert exhausted_in_s(1.0, 1.0, 1000.0) == 1000
    assert exhausted_in_s(0.5, 10.0, 1000.0) == 50
    assert exhausted_in_s(0.0, 10.0, 1000.0) == 0
    assert exhausted_in_s(-3.0, 0.0, 1000.0) == 0


@pytest.mark.parametrize(
    ("objective", "window", "factors"),
    [
        (0.999, 30, [14.4, 6, 3, 1]),
        (0.9, 30, [6, 3, 1]),  # an outage burns 10
        (0.5, 30, [1]),
        (0.999, 1, [14.4, 6, 3]),
        (0.999, 1 / 24, [14.4]),
        (0.5, 1 / 24, []),
    ],
)
def test_alerts_that_could_never_fire_or_look_too_far_back_are_left_out(
    objective: float, window: float, factors: list[float]
) -> None:
    slo = replace(MONTH, objective=objective, window=window * 86400)
    assert [one.factor for one in alerts_of(slo)] == factors


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({}, None),
        ({"1h": 14.4}, None),  # the short window says that it is over
        ({"5m": 14.4}, None),
        ({"1h": 14.4, "5m": 14.4}, "page"),
        ({"6h": 6.0, "30m": 6.0}, "page"),
        ({"6h": 5.99, "30m": 100.0}, None),
        ({"1d": 3.0, "2h": 3.0}, "ticket"),
        ({"3d": 1.0, "6h": 1.0}, None),  # exactly as fast as it may
        ({"3d": 1.1, "6h": 1.1}, "ticket"),
    ],
)
def test_what_fires(over: dict[str, float], said: str | None) -> None:
    assert firing(MONTH, dict.fromkeys(WINDOWS_S, 0.0) | over) == said
